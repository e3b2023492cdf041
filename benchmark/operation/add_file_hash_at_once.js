// @ts-check
'use strict';

const { ADDED, addAllInOneTransaction, createAddFileHash, newFiles } = require('../file_insertion.js');

/** Owns `addFileHash`, many at once: all are called in one turn, then all are awaited. */

/** @typedef {import('../dataset.js').FileRecord} FileRecord */

/**
 * @param {any} database
 * @param {FileRecord[]} files
 */
async function peer(database, files) {
  const addFileHash = createAddFileHash(database);
  await Promise.all(files.map((file) => addFileHash(file)));
  return files.length;
}

/** @type {import('../measurement.js').Operation<FileRecord[]>} */
module.exports = {
  name: 'addFileHash, 1,000 at once',
  group: 'manager',
  count: 1_000,
  quickCount: 1_000,
  goal: { betterSqlite3: 1.9 },
  floor: 'add_file_hash_in_one_transaction',
  // A commit for each file fills the log to where our manager checkpoints it; so do the others.
  checkpointPages: 4_000,
  added: [ADDED],
  prepare: newFiles,
  expected: (count) => count,
  async ours(manager, files) {
    await Promise.all(files.map((file) => manager.addFileHash(file)));
    return files.length;
  },
  betterSqlite3: peer,
  nodeSqlite: peer,
  betterSqlite3Fastest: addAllInOneTransaction,
  nodeSqliteFastest: addAllInOneTransaction,
};
