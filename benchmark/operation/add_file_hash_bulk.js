// @ts-check
'use strict';

const { addAllInOneTransaction, addOneByOne, createAddition } = require('../file_insertion.js');

/** Owns the bulk insert: `addFileHash` of many files in one transaction, each awaited. */

module.exports = createAddition(
  addOneByOne,
  {
    name: 'addFileHash, bulk in one transaction',
    count: 100_000,
    quickCount: 10_000,
    floor: 'add_file_hash_in_one_transaction',
    checkpointPages: 0,
  },
  addAllInOneTransaction,
  true,
);
