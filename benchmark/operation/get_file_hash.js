// @ts-check
'use strict';

const { createLookups } = require('../file_lookup.js');
const { statement, toFile } = require('../statement.js');

/** Owns `getFileHash`: records of nine fields; all are there. */

module.exports = createLookups(
  {
    name: 'getFileHash',
    count: 5_000,
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
  },
  { sequential: 1.7, atOnce: 2 },
);
