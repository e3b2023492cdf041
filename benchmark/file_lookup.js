// @ts-check
'use strict';

const { FILES, MISSING_FILES, hashText } = require('./dataset.js');
const { createRandom } = require('./random.js');
const { bothPeers, inTransaction } = require('./statement.js');

/**
 * Owns the operations that look up one hash a call: which hashes, one call after the other or
 * many at once, and the peers' fastest way to the same.
 *
 * @typedef {object} Lookup
 * @property {string} name
 * @property {number} count
 * @property {number} quickCount
 * @property {string} floor
 * @property {boolean} [isReading] whether the rounds find what those before have left in SQLite's cache; they do
 * @property {boolean} areSomeMissing whether every second hash is not in the file
 * @property {(manager: import('../index').DatabaseManager, hash: string) => Promise<any>} ours
 * @property {(database: any) => (hash: string) => Promise<any>} peer makes the method of a wrapper around the peer
 * @property {(database: any) => (hash: string) => boolean} peerFastest makes a function that says whether it found it
 * @property {(result: any, hash: string) => boolean} isFound what the callers do with a result
 */

/** So many calls are made in one turn of the event loop. */
const AT_ONCE = 1_000;

/**
 * @param {{ seed: number, roundSeed: number, count: number }} round
 * @param {boolean} areSomeMissing
 */
function chooseHashes({ seed, roundSeed, count }, areSomeMissing) {
  const random = createRandom(roundSeed);
  return Array.from({ length: count }, (_, index) => {
    const file = random() % FILES;
    return hashText(seed, areSomeMissing && index % 2 === 1 ? MISSING_FILES + file : file);
  });
}

/** @type {(hashes: string[], lookUp: (hash: string) => Promise<any>, isFound: Lookup['isFound']) => Promise<number>} */
async function sequentially(hashes, lookUp, isFound) {
  let found = 0;
  for (const hash of hashes) found += Number(isFound(await lookUp(hash), hash));
  return found;
}

/** @type {(hashes: string[], lookUp: (hash: string) => Promise<any>, isFound: Lookup['isFound']) => Promise<number>} */
async function atOnce(hashes, lookUp, isFound) {
  let found = 0;
  for (let start = 0; start < hashes.length; start += AT_ONCE) {
    const some = hashes.slice(start, start + AT_ONCE);
    const results = await Promise.all(some.map((hash) => lookUp(hash)));
    results.forEach((result, index) => {
      found += Number(isFound(result, some[index]));
    });
  }
  return found;
}

/**
 * @param {Lookup} lookup
 * @param {typeof sequentially} run
 * @param {Partial<import('./measurement.js').Operation<string[]>>} [differences]
 * @returns {import('./measurement.js').Operation<string[]>}
 */
function createLookup(lookup, run, differences = {}) {
  const { areSomeMissing, isFound, isReading = true } = lookup;
  const peer = (/** @type {any} */ database, /** @type {string[]} */ hashes) =>
    run(hashes, lookup.peer(database), isFound);
  const peerFastest = (/** @type {any} */ database, /** @type {string[]} */ hashes) => {
    const lookUp = lookup.peerFastest(database);
    return inTransaction(database, 'BEGIN', () => {
      let found = 0;
      for (const hash of hashes) found += Number(lookUp(hash));
      return found;
    });
  };
  return {
    name: lookup.name,
    group: 'manager',
    count: lookup.count,
    quickCount: lookup.quickCount,
    floor: lookup.floor,
    isReading,
    prepare: (round) => chooseHashes(round, areSomeMissing),
    expected: (count) => (areSomeMissing ? Math.ceil(count / 2) : count),
    ours: (manager, hashes) => run(hashes, (hash) => lookup.ours(manager, hash), isFound),
    ...bothPeers(peer, peerFastest),
    ...differences,
  };
}

/**
 * Makes both operations of a lookup: awaited one by one, and many at once.
 *
 * @param {Lookup} lookup
 * @param {{ sequential: number, atOnce: number }} goals how many times better-sqlite3's speed is asked for
 */
function createLookups(lookup, goals) {
  return [
    createLookup(lookup, sequentially, { goal: { betterSqlite3: goals.sequential } }),
    createLookup(lookup, atOnce, {
      name: `${lookup.name}, 1,000 at once`,
      goal: { betterSqlite3: goals.atOnce },
      quickCount: 2 * AT_ONCE,
    }),
  ];
}

module.exports = { chooseHashes, createLookup, createLookups, sequentially };
