// @ts-check
'use strict';

const { ADDED, addAllInOneTransaction, addAllNamed, newFiles } = require('../file_insertion.js');
const { bothPeers, statement } = require('../statement.js');

/**
 * Owns the bulk insert by a prepared statement, all in one transaction: ours by `runMany`, the
 * peers' by a loop with named parameters; their fastest way is positional.
 */

/** @typedef {import('../dataset.js').FileRecord} FileRecord */

/**
 * @param {{ name: string, count: number, quickCount: number }} traits
 * @returns {import('../measurement.js').Operation<FileRecord[], any>}
 */
function createInsert(traits) {
  return {
    ...traits,
    group: 'statement',
    goal: { betterSqlite3: 1.6, floor: 1.4 },
    floor: 'add_file_hash_in_one_transaction',
    added: [ADDED],
    checkpointPages: 0,
    prepare: newFiles,
    expected: (count) => count,
    ours: async (connection, files) => statement(connection, 'addFileNamed').runMany(files).changes,
    ...bothPeers(addAllNamed, addAllInOneTransaction),
  };
}

module.exports = [
  createInsert({ name: 'insert of 20,000 rows', count: 20_000, quickCount: 20_000 }),
  createInsert({ name: 'insert of 100,000 rows', count: 100_000, quickCount: 100_000 }),
];
