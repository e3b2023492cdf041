'use strict';

/** Owns chance: a seed repeats it. */

const { makeRandom } = require('../../support/ledger.js');

class Dice {
  #random;

  /** @param {number} seed */
  constructor(seed) {
    this.#random = makeRandom(seed);
  }

  /** @param {number} bound */
  below(bound) {
    return Math.floor(this.#random() * bound);
  }

  /** @param {number} probability */
  chance(probability) {
    return this.#random() < probability;
  }

  /**
   * @template T
   * @param {readonly T[]} list
   */
  pick(list) {
    return list[this.below(list.length)];
  }
}

module.exports = { Dice };
