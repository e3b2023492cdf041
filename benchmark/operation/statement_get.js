// @ts-check
'use strict';

const { chooseHashes } = require('../file_lookup.js');
const { bothPeers, inTransaction, statement, toFile } = require('../statement.js');

/**
 * Owns `get()` of prepared statements: a record of nine columns and a single column, in autocommit
 * or with one transaction around the round, in every idiom. The peers' fastest way asks for an
 * array.
 */

/**
 * @param {string[]} hashes
 * @param {(hash: string) => boolean} look says whether the row was there
 */
function lookForEach(hashes, look) {
  let found = 0;
  for (const hash of hashes) found += Number(look(hash));
  return found;
}

/**
 * @param {object} traits
 * @param {string} traits.name
 * @param {string} traits.floor
 * @param {'getFile' | 'getFileName'} traits.sql
 * @param {boolean} traits.isInTransaction
 * @param {{ betterSqlite3: number, floor: number }} traits.goal
 * @param {(row: any) => boolean} traits.isRight of a row as an object
 * @param {(cells: any[]) => boolean} traits.areRight of a row as an array
 * @returns {import('../measurement.js').Operation<string[], any>}
 */
function createGet({ name, floor, sql, isInTransaction, goal, isRight, areRight }) {
  const bracket = (/** @type {any} */ database, /** @type {() => number} */ work) =>
    isInTransaction ? inTransaction(database, 'BEGIN', work) : work();
  const peer = (/** @type {any} */ database, /** @type {string[]} */ hashes) => {
    const get = statement(database, sql);
    return bracket(database, () => lookForEach(hashes, (hash) => isRight(get.get(hash))));
  };
  const peerFastest = (/** @type {any} */ database, /** @type {string[]} */ hashes) => {
    const get = statement(database, sql, 'arrays');
    return bracket(database, () => lookForEach(hashes, (hash) => areRight(get.get(hash))));
  };
  return {
    name,
    group: 'statement',
    count: 20_000,
    quickCount: 2_000,
    goal,
    floor,
    isReading: true,
    prepare: (round) => chooseHashes(round, false),
    expected: (count) => count,
    ours: async (connection, hashes) => {
      const get = statement(connection, sql);
      return bracket(connection, () => lookForEach(hashes, (hash) => isRight(get.get([hash]))));
    },
    ...bothPeers(peer, peerFastest),
  };
}

const RECORD = {
  sql: /** @type {const} */ ('getFile'),
  isRight: (/** @type {any} */ row) => row.file_size > 0,
  areRight: (/** @type {any[]} */ cells) => toFile(cells).file_size > 0,
};

module.exports = [
  createGet({
    ...RECORD,
    name: 'get() of 9 columns, autocommit',
    floor: 'get_file_hash_in_autocommit',
    isInTransaction: false,
    goal: { betterSqlite3: 1.15, floor: 1.4 },
  }),
  createGet({
    ...RECORD,
    name: 'get() of 9 columns, in a transaction',
    floor: 'get_file_hash',
    isInTransaction: true,
    goal: { betterSqlite3: 1.3, floor: 1.4 },
  }),
  createGet({
    name: 'get() of 1 column, in a transaction',
    floor: 'get_file_name',
    sql: 'getFileName',
    isInTransaction: true,
    goal: { betterSqlite3: 1.5, floor: 1.4 },
    isRight: (row) => row.file_name.length > 0,
    areRight: (cells) => cells[0].length > 0,
  }),
];
