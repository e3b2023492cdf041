// @ts-check
'use strict';

const { ADDED, addAllInOneTransaction, addAllNamed, newFiles } = require('../file_insertion.js');
const { bothPeers } = require('../statement.js');

/** Owns `addFileHashes`: many records in one call and one transaction, with an outcome for each. */

/** @type {import('../measurement.js').Operation<import('../dataset.js').FileRecord[], any>} */
module.exports = {
  name: 'addFileHashes of 1,000',
  group: 'manager',
  count: 1_000,
  quickCount: 1_000,
  floor: 'add_file_hash_in_one_transaction',
  added: [ADDED],
  prepare: newFiles,
  expected: (count) => count,
  ours: async (manager, files) => (await manager.addFileHashes(files)).length,
  ...bothPeers(
    async (database, files) => addAllNamed(database, files),
    (database, files) => addAllInOneTransaction(database, files),
  ),
};
