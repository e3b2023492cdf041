// @ts-check
'use strict';

const { createRandom, deriveSeed, shuffle } = require('./random.js');

/**
 * Owns the rounds: every variant does the same work in each, in an order that is drawn anew, from
 * the same state of its file; only the work itself is timed, and its result is checked.
 *
 * @typedef {'ours' | 'betterSqlite3' | 'nodeSqlite' | 'betterSqlite3Fastest' | 'nodeSqliteFastest'} NodeVariant
 * @typedef {NodeVariant | 'floor'} Variant
 *
 * @typedef {object} Round what a variant's process is asked for
 * @property {string} operation
 * @property {number} seed
 * @property {number} roundSeed
 * @property {number} count
 * @property {boolean} isTidied whether the file is tidied before
 *
 * @typedef {{ ask: (round: Round) => Promise<{ nanoseconds: number, result: number }> }} Runner
 */

/**
 * What must be shown: how many times faster than better-sqlite3 in the comparable idiom, and at
 * most how many times the floor's time.
 *
 * @typedef {{ betterSqlite3: number, floor?: number }} Goal
 *
 * @typedef {object} Added rows that a round adds, to count and to delete after it
 * @property {string} table
 * @property {string} key
 * @property {number} above
 * @property {(count: number) => number} [count] one a call when absent
 */

/**
 * @template Input
 * @template [Subject=import('../index').DatabaseManager]
 * @typedef {object} Operation
 * @property {string} name
 * @property {'manager' | 'statement'} group whether ours is the manager or a synchronous connection
 * @property {number} count calls in a round
 * @property {number} quickCount the same for `--quick`
 * @property {number} [rows] rows that a call reads, where the floor must know
 * @property {boolean} [isReading] whether it changes nothing: it is tidied for once, and then finds in SQLite's
 *   cache what the round before has left there, as in a program that runs
 * @property {Goal} [goal]
 * @property {string} floor the floor's name for it
 * @property {number} [checkpointPages] the log's size at which peers and floor checkpoint, 0 for never; SQLite's default when absent
 * @property {Added[]} [added]
 * @property {(round: { seed: number, roundSeed: number, count: number }) => Input} prepare
 * @property {(count: number) => number} expected what every driver must return
 * @property {(subject: Subject, input: Input) => Promise<number>} ours
 * @property {(database: any, input: Input) => number | Promise<number>} betterSqlite3 our promises and commits
 * @property {(database: any, input: Input) => number | Promise<number>} nodeSqlite
 * @property {(database: any, input: Input) => number | Promise<number>} betterSqlite3Fastest its fastest idiom
 * @property {(database: any, input: Input) => number | Promise<number>} nodeSqliteFastest
 */

/** SQLite's own, which peers have for whoever leaves it alone. */
const DEFAULT_CHECKPOINT_PAGES = 1_000;

/** @type {readonly NodeVariant[]} */
const NODE_VARIANTS = ['ours', 'betterSqlite3', 'nodeSqlite', 'betterSqlite3Fastest', 'nodeSqliteFastest'];

/** @type {readonly Variant[]} */
const VARIANTS = [...NODE_VARIANTS, 'floor'];

/**
 * @param {Operation<any, any>} operation
 * @param {Record<Variant, Runner>} runners
 * @param {{ rounds: number, count: number, seed: number }} options
 * @returns {Promise<Record<Variant, number[]>>} nanoseconds per call, of each round
 */
async function measure(operation, runners, { rounds, count, seed }) {
  const times = /** @type {Record<Variant, number[]>} */ ({});
  for (const variant of VARIANTS) times[variant] = [];
  const expected = operation.expected(count);
  // Round 0 warms up and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    const roundSeed = deriveSeed(seed, round);
    const isTidied = round === 0 || !operation.isReading;
    const request = { operation: operation.name, seed, roundSeed, count, isTidied };
    for (const variant of shuffle(createRandom(roundSeed), VARIANTS)) {
      const { nanoseconds, result } = await runners[variant].ask(request);
      requireEqual(operation, variant, result, expected);
      if (round > 0) times[variant].push(nanoseconds / count);
    }
  }
  return times;
}

/**
 * A driver that has not done the work must not get a figure.
 *
 * @param {Operation<any, any>} operation
 * @param {Variant} variant
 * @param {number} result
 * @param {number} expected
 */
function requireEqual(operation, variant, result, expected) {
  if (result !== expected) {
    throw new Error(`${operation.name}: ${variant} gave ${result} where ${expected} was to be`);
  }
}

module.exports = { DEFAULT_CHECKPOINT_PAGES, NODE_VARIANTS, VARIANTS, measure, requireEqual };
