// @ts-check
'use strict';

const { ADDED, addAll, createAddFileHash, newFiles } = require('../file_insertion.js');

/** Owns `addFileHash`, one after the other: each is awaited, and committed when it is. */

/** @typedef {import('../dataset.js').FileRecord} FileRecord */

/**
 * @param {any} database
 * @param {FileRecord[]} files
 */
async function peer(database, files) {
  const addFileHash = createAddFileHash(database);
  for (const file of files) await addFileHash(file);
  return files.length;
}

/** @type {import('../measurement.js').Operation<FileRecord[]>} */
module.exports = {
  name: 'addFileHash, sequential',
  group: 'manager',
  // So few that no driver's log reaches the size at which it is checkpointed.
  count: 500,
  quickCount: 200,
  goal: { betterSqlite3: 1.1 },
  floor: 'add_file_hash',
  added: [ADDED],
  prepare: newFiles,
  expected: (count) => count,
  async ours(manager, files) {
    for (const file of files) await manager.addFileHash(file);
    return files.length;
  },
  betterSqlite3: peer,
  nodeSqlite: peer,
  betterSqlite3Fastest: addAll,
  nodeSqliteFastest: addAll,
};
