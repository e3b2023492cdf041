// @ts-check
'use strict';

/**
 * Owns every random choice of the benchmark: a seeded generator (mulberry32), so that a printed
 * seed brings the same run again. `floor.rs` has the same generator and makes the same numbers.
 *
 * @typedef {() => number} Random gives whole numbers from 0 to 2^32-1
 */

const GOLDEN = 0x9e3779b1;

/**
 * @param {number} seed
 * @returns {Random}
 */
function createRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/**
 * Makes another seed for a numbered purpose; no two numbers give the same.
 *
 * @param {number} seed
 * @param {number} number
 */
function deriveSeed(seed, number) {
  return (seed ^ Math.imul(number + 1, GOLDEN)) >>> 0;
}

/**
 * Returns the list in another order.
 *
 * @template T
 * @param {Random} random
 * @param {readonly T[]} list
 * @returns {T[]}
 */
function shuffle(random, list) {
  const shuffled = [...list];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = random() % (last + 1);
    [shuffled[last], shuffled[other]] = [shuffled[other], shuffled[last]];
  }
  return shuffled;
}

module.exports = { createRandom, deriveSeed, shuffle };
