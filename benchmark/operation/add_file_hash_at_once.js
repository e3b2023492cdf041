// @ts-check
'use strict';

const { addAllInOneTransaction, createAddition } = require('../file_insertion.js');

/** Owns `addFileHash`, many at once: all are called in one turn, then all are awaited. */

module.exports = createAddition(
  (files, addFileHash) => Promise.all(files.map((file) => addFileHash(file))),
  {
    name: 'addFileHash, 1,000 at once',
    count: 1_000,
    quickCount: 1_000,
    goal: { betterSqlite3: 1.9 },
    floor: 'add_file_hash_in_one_transaction',
  },
  addAllInOneTransaction,
);
