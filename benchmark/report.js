// @ts-check
'use strict';

const { formatTable, formatTime, median } = require('./statistic.js');

/**
 * Owns what is printed of the rounds: medians, and ratios within each round.
 *
 * @typedef {import('./measurement.js').Variant} Variant
 *
 * @typedef {object} Ratio how many times faster ours was
 * @property {Variant} against
 * @property {number} median
 * @property {number} min
 * @property {number} max
 *
 * @typedef {object} Result
 * @property {string} operation
 * @property {number} count calls in a round
 * @property {Record<Variant, number[]>} times nanoseconds per call, of each round
 * @property {Record<Variant, number>} medians
 * @property {{ bestPeer: Ratio, fastestIdiom: Ratio, floor: Ratio }} ratios
 */

/** @type {Record<Variant, string>} */
const LABELS = {
  ours: 'ours',
  betterSqlite3: 'better-sqlite3',
  nodeSqlite: 'node:sqlite',
  betterSqlite3Fastest: 'better-sqlite3, fastest',
  nodeSqliteFastest: 'node:sqlite, fastest',
  floor: 'Rust floor',
};

/** @type {Variant[]} */
const COMPARABLE = ['betterSqlite3', 'nodeSqlite'];
/** @type {Variant[]} the fastest idiom of a peer may turn out to be the comparable one */
const ANY_IDIOM = [...COMPARABLE, 'betterSqlite3Fastest', 'nodeSqliteFastest'];

/**
 * @param {string} operation
 * @param {number} count
 * @param {Record<Variant, number[]>} times
 * @returns {Result}
 */
function evaluate(operation, count, times) {
  const medians = /** @type {Record<Variant, number>} */ (
    Object.fromEntries(Object.entries(times).map(([variant, list]) => [variant, median(list)]))
  );
  const best = (/** @type {Variant[]} */ variants) =>
    variants.reduce((fastest, variant) => (medians[variant] < medians[fastest] ? variant : fastest));
  const ratio = (/** @type {Variant} */ against) => {
    const ratios = times.ours.map((ours, round) => times[against][round] / ours);
    return { against, median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
  };
  return {
    operation,
    count,
    times,
    medians,
    ratios: { bestPeer: ratio(best(COMPARABLE)), fastestIdiom: ratio(best(ANY_IDIOM)), floor: ratio('floor') },
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
    ['ours is faster by', 'best peer', 'ratio', 'spread', 'fastest idiom', 'ratio', 'spread', 'floor', 'spread'],
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

module.exports = { evaluate, formatRatios, formatTimes };
