// @ts-check
'use strict';

/** Owns the example's random numbers: the same seed gives the same numbers (mulberry32). */
class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** Returns 32 random bits as a number from 0 to 2^32-1. */
  bits() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** Returns a number from 0 to below 1. */
  fraction() {
    return this.bits() / 2 ** 32;
  }

  /**
   * Returns a whole number, both ends included.
   *
   * @param {number} min
   * @param {number} max
   */
  integer(min, max) {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /**
   * @template T
   * @param {readonly T[]} list
   */
  pick(list) {
    return list[this.integer(0, list.length - 1)];
  }

  /** @param {number} length */
  bytes(length) {
    const words = new Uint32Array(Math.ceil(length / 4));
    for (let index = 0; index < words.length; index += 1) words[index] = this.bits();
    return Buffer.from(words.buffer, 0, length);
  }
}

// Written by name, so that types can be imported too.
module.exports.Random = Random;
