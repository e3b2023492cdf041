// @ts-check
'use strict';

const { addAll, addOneByOne, createAddition } = require('../file_insertion.js');

/** Owns `addFileHash`, one after the other: each is awaited, and committed when it is. */

module.exports = createAddition(
  addOneByOne,
  {
    name: 'addFileHash, sequential',
    // So few that no driver's log reaches the size at which it is checkpointed.
    count: 500,
    quickCount: 200,
    goal: { betterSqlite3: 1.1 },
    floor: 'add_file_hash',
  },
  addAll,
);
