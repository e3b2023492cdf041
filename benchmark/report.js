// @ts-check
'use strict';

const { LABELS: DRIVER_LABELS } = require('./database.js');
const { GROUPS } = require('./operations.js');
const { formatTable, formatTime, median } = require('./statistic.js');

/**
 * Owns what is printed of the rounds: medians, ratios within each round, and whether they show what
 * must be shown.
 *
 * @typedef {import('./measurement.js').Variant} Variant
 * @typedef {import('./measurement.js').Goal} Goal
 *
 * @typedef {object} Ratio of two times of the same round
 * @property {Variant} against
 * @property {number} median
 * @property {number} min
 * @property {number} max
 *
 * @typedef {object} Result
 * @property {string} operation
 * @property {keyof typeof GROUPS} group
 * @property {Goal | undefined} goal
 * @property {number} count calls in a round
 * @property {Record<Variant, number[]>} times nanoseconds per call, of each round
 * @property {Record<Variant, number>} medians
 * @property {{ betterSqlite3: Ratio, bestPeer: Ratio, fastestIdiom: Ratio, floor: Ratio }} ratios how many times faster
 * ours was; for the floor, how many times slower
 */

/** @type {Record<Variant, string>} */
const LABELS = {
  ...DRIVER_LABELS,
  betterSqlite3Fastest: 'better-sqlite3, fastest',
  nodeSqliteFastest: 'node:sqlite, fastest',
  floor: 'Rust floor',
};

/** @type {Variant[]} */
const COMPARABLE = ['betterSqlite3', 'nodeSqlite'];
/** @type {Variant[]} the fastest idiom of a peer may turn out to be the comparable one */
const ANY_IDIOM = [...COMPARABLE, 'betterSqlite3Fastest', 'nodeSqliteFastest'];

/**
 * @param {import('./measurement.js').Operation<any, any>} operation
 * @param {number} count
 * @param {Record<Variant, number[]>} times
 * @returns {Result}
 */
function evaluate({ name, group, goal }, count, times) {
  const medians = /** @type {Record<Variant, number>} */ (
    Object.fromEntries(Object.entries(times).map(([variant, list]) => [variant, median(list)]))
  );
  const best = (/** @type {Variant[]} */ variants) =>
    variants.reduce((fastest, variant) => (medians[variant] < medians[fastest] ? variant : fastest));
  const summarize = (/** @type {Variant} */ against, /** @type {number[]} */ ratios) => ({
    against,
    median: median(ratios),
    min: Math.min(...ratios),
    max: Math.max(...ratios),
  });
  const faster = (/** @type {Variant} */ against) =>
    summarize(
      against,
      times.ours.map((ours, round) => times[against][round] / ours),
    );
  const slower = (/** @type {Variant} */ against) =>
    summarize(
      against,
      times.ours.map((ours, round) => ours / times[against][round]),
    );
  return {
    operation: name,
    group,
    goal,
    count,
    times,
    medians,
    ratios: {
      betterSqlite3: faster('betterSqlite3'),
      bestPeer: faster(best(COMPARABLE)),
      fastestIdiom: faster(best(ANY_IDIOM)),
      floor: slower('floor'),
    },
  };
}

/** @param {number} ratio */
function formatRatio(ratio) {
  return `${ratio.toFixed(2)}x`;
}

/** @param {Ratio} ratio */
function formatSpread({ min, max }) {
  return `${min.toFixed(2)}..${max.toFixed(2)}`;
}

/** @param {readonly Result[]} results */
function formatTimes(results) {
  const variants = /** @type {Variant[]} */ (Object.keys(LABELS));
  return formatTable(
    ['median time of one call', 'calls a round', ...variants.map((variant) => LABELS[variant])],
    results.map(({ operation, count, medians }) => [
      operation,
      String(count),
      ...variants.map((variant) => formatTime(medians[variant])),
    ]),
  );
}

/** @param {readonly Result[]} results */
function formatRatios(results) {
  return formatTable(
    ['ours is faster by', 'best peer', 'ratio', 'spread', 'fastest idiom', 'ratio', 'spread', 'ours / floor', 'spread'],
    results.map(({ operation, ratios: { bestPeer, fastestIdiom, floor } }) => [
      operation,
      ...[bestPeer, fastestIdiom].flatMap((ratio) => [
        LABELS[ratio.against],
        formatRatio(ratio.median),
        formatSpread(ratio),
      ]),
      formatRatio(floor.median),
      formatSpread(floor),
    ]),
  );
}

/**
 * Sets what was measured beside what must be shown.
 *
 * @param {readonly Result[]} results
 */
function formatGoals(results) {
  const rows = results.flatMap(({ operation, goal, ratios }) => {
    if (!goal) return [];
    const isFast = ratios.betterSqlite3.median >= goal.betterSqlite3;
    const isNearFloor = goal.floor === undefined || ratios.floor.median <= goal.floor;
    return [
      [
        operation,
        formatRatio(ratios.betterSqlite3.median),
        formatSpread(ratios.betterSqlite3),
        `at least ${formatRatio(goal.betterSqlite3)}`,
        formatRatio(ratios.floor.median),
        goal.floor === undefined ? '' : `at most ${formatRatio(goal.floor)}`,
        isFast && isNearFloor ? 'yes' : 'no',
      ],
    ];
  });
  if (rows.length === 0) return '';
  return formatTable(['must be shown', 'vs better-sqlite3', 'spread', 'goal', 'ours / floor', 'goal', 'shown'], rows);
}

/** @param {readonly Result[]} results */
function formatOperations(results) {
  return Object.entries(GROUPS)
    .flatMap(([group, title]) => {
      const some = results.filter((result) => result.group === group);
      if (some.length === 0) return [];
      return [`### ${title}`, formatTimes(some), formatRatios(some), formatGoals(some)];
    })
    .filter((text) => text !== '')
    .join('\n\n');
}

module.exports = { evaluate, formatOperations, formatRatio };
