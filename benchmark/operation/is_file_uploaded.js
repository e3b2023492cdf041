// @ts-check
'use strict';

const { createLookups } = require('../file_lookup.js');
const { statement } = require('../statement.js');

/** Owns `isFileUploaded`: every second hash is not there. */

module.exports = createLookups(
  {
    name: 'isFileUploaded',
    count: 20_000,
    quickCount: 1_000,
    floor: 'is_file_uploaded',
    areSomeMissing: true,
    ours: (manager, hash) => manager.isFileUploaded(hash),
    peer: (database) => {
      const exists = statement(database, 'fileExists');
      return async (hash) => exists.get(hash) !== undefined;
    },
    peerFastest: (database) => {
      const exists = statement(database, 'fileExists', 'arrays');
      return (hash) => exists.get(hash) !== undefined;
    },
    isFound: (isUploaded) => isUploaded,
  },
  { sequential: 3, atOnce: 4 },
);
