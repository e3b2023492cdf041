// @ts-check
'use strict';

const { createLookup, createLookups, sequentially } = require('../file_lookup.js');
const { statement, toFile } = require('../statement.js');

/**
 * Owns `getFileHash`: records of nine fields; all are there. Once more behind a commit of another
 * connection, as when two processes write: SQLite then drops its cache of the file.
 */

/** @type {import('../file_lookup.js').Lookup} */
const LOOKUP = {
  name: 'getFileHash',
  count: 20_000,
  quickCount: 1_000,
  floor: 'get_file_hash',
  areSomeMissing: false,
  ours: (manager, hash) => manager.getFileHash(hash),
  peer: (database) => {
    const get = statement(database, 'getFile');
    return async (hash) => get.get(hash);
  },
  peerFastest: (database) => {
    const get = statement(database, 'getFile', 'arrays');
    return (hash) => toFile(get.get(hash)).hash === hash;
  },
  isFound: (file, hash) => file?.hash === hash,
};

module.exports = [
  ...createLookups(LOOKUP, { sequential: 1.7, atOnce: 2 }),
  createLookup(
    { ...LOOKUP, name: "getFileHash, behind another's commit", count: 5_000, isReading: false },
    sequentially,
  ),
];
