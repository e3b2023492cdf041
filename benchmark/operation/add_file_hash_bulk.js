// @ts-check
'use strict';

const { ADDED, addAllInOneTransaction, createAddFileHash, newFiles } = require('../file_insertion.js');

/** Owns the bulk insert: `addFileHash` of many files in one transaction, each awaited. */

/** @typedef {import('../dataset.js').FileRecord} FileRecord */

/**
 * @param {any} database
 * @param {FileRecord[]} files
 */
async function peer(database, files) {
  const addFileHash = createAddFileHash(database);
  database.exec('BEGIN IMMEDIATE');
  for (const file of files) await addFileHash(file);
  database.exec('COMMIT');
  return files.length;
}

/** @type {import('../measurement.js').Operation<FileRecord[]>} */
module.exports = {
  name: 'addFileHash, bulk in one transaction',
  group: 'manager',
  count: 100_000,
  quickCount: 10_000,
  floor: 'add_file_hash_in_one_transaction',
  added: [ADDED],
  prepare: newFiles,
  expected: (count) => count,
  async ours(manager, files) {
    await manager.transaction(async () => {
      for (const file of files) await manager.addFileHash(file);
    });
    return files.length;
  },
  betterSqlite3: peer,
  nodeSqlite: peer,
  betterSqlite3Fastest: addAllInOneTransaction,
  nodeSqliteFastest: addAllInOneTransaction,
};
