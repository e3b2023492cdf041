// @ts-check
'use strict';

const { collectGarbage } = require('./garbage.js');
const { createRandom, deriveSeed, shuffle } = require('./random.js');

/**
 * Owns the rounds: every driver does the same work in each, in an order that is drawn anew, from
 * the same state of its file; only the work itself is timed, and its result is checked.
 *
 * @typedef {'ours' | 'betterSqlite3' | 'nodeSqlite' | 'betterSqlite3Fastest' | 'nodeSqliteFastest' | 'floor'} Variant
 *
 * @typedef {object} Drivers
 * @property {import('./driver.js').Driver} ours
 * @property {import('./driver.js').Driver} betterSqlite3
 * @property {import('./driver.js').Driver} nodeSqlite
 * @property {{ ask: (request: any) => Promise<{ nanoseconds: number, result: number }> }} floor
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

/** @type {readonly Variant[]} */
const VARIANTS = ['ours', 'betterSqlite3', 'nodeSqlite', 'betterSqlite3Fastest', 'nodeSqliteFastest', 'floor'];

/** Which driver's file and connection a variant uses. */
const DRIVER_OF = /** @type {const} */ ({
  ours: 'ours',
  betterSqlite3: 'betterSqlite3',
  nodeSqlite: 'nodeSqlite',
  betterSqlite3Fastest: 'betterSqlite3',
  nodeSqliteFastest: 'nodeSqlite',
});

/**
 * @param {Operation<any, any>} operation
 * @param {Drivers} drivers
 * @param {{ rounds: number, count: number, seed: number }} options
 * @returns {Promise<Record<Variant, number[]>>} nanoseconds per call, of each round
 */
async function measure(operation, drivers, { rounds, count, seed }) {
  const times = /** @type {Record<Variant, number[]>} */ ({});
  for (const variant of VARIANTS) times[variant] = [];
  // Round 0 warms up and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    const roundSeed = deriveSeed(seed, round);
    const input = operation.prepare({ seed, roundSeed, count });
    for (const variant of shuffle(createRandom(roundSeed), VARIANTS)) {
      const nanoseconds = await runRound(operation, drivers, variant, { seed, roundSeed, count, input });
      if (round > 0) times[variant].push(nanoseconds / count);
    }
  }
  return times;
}

/**
 * @param {Operation<any, any>} operation
 * @param {Drivers} drivers
 * @param {Variant} variant
 * @param {{ seed: number, roundSeed: number, count: number, input: unknown }} round
 * @returns {Promise<number>} nanoseconds
 */
async function runRound(operation, drivers, variant, { seed, roundSeed, count, input }) {
  const expected = operation.expected(count);
  const checkpointPages = operation.checkpointPages ?? DEFAULT_CHECKPOINT_PAGES;
  if (variant === 'floor') {
    const { nanoseconds, result } = await drivers.floor.ask({
      operation: operation.floor,
      count,
      seed,
      round_seed: roundSeed,
      rows: operation.rows ?? 0,
      checkpoint_pages: checkpointPages,
    });
    check(operation, variant, result, expected);
    return nanoseconds;
  }
  const driver = drivers[DRIVER_OF[variant]];
  const subject = driver.subjects[operation.group];
  await driver.settle(checkpointPages);
  collectGarbage();
  const start = process.hrtime.bigint();
  const result = await operation[variant](subject, /** @type {any} */ (input));
  const nanoseconds = Number(process.hrtime.bigint() - start);
  check(operation, variant, result, expected);
  for (const added of operation.added ?? []) {
    const removed = driver.removeAbove(added.table, added.key, added.above);
    check(operation, variant, removed, added.count?.(count) ?? count);
  }
  return nanoseconds;
}

/**
 * A driver that has not done the work must not get a figure.
 *
 * @param {Operation<any, any>} operation
 * @param {Variant} variant
 * @param {number} result
 * @param {number} expected
 */
function check(operation, variant, result, expected) {
  if (result !== expected) {
    throw new Error(`${operation.name}: ${variant} gave ${result} where ${expected} was to be`);
  }
}

module.exports = { VARIANTS, measure };
