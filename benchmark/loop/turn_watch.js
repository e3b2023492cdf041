// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');
const { threadMilliseconds } = require('./sampler.js');

/**
 * Owns the trace of our own slices: it wraps every function of the addon with a clock, and sums
 * what they take in each turn of the event loop. A turn is from the first call of the addon to the
 * next `setImmediate`, so our JavaScript around the calls is in its length too.
 *
 * It must come before the package is loaded.
 *
 * @typedef {object} LongTurn
 * @property {number} start on the clock of `performance`
 * @property {number} length milliseconds, as all of them
 * @property {number} native what the addon took of it
 * @property {number} running what the thread was on the processor
 * @property {{ name: string, calls: number, native: number }[]} work what the addon did, the longest first
 *
 * @typedef {object} Watched
 * @property {number} turns
 * @property {number} longestNative
 * @property {LongTurn[]} long
 */

class TurnWatch {
  #limitMs;
  #turns = 0;
  #longestNative = 0;
  /** @type {LongTurn[]} */
  #long = [];
  /** What the present turn has done, by the addon's functions. @type {Map<string, { calls: number, native: number }>} */
  #work = new Map();
  #start = 0;
  #runningAtStart = 0;
  #isInTurn = false;
  /** Calls of the addon can nest: a getter that it reads may call it again. */
  #depth = 0;

  /** @param {number} limitMs turns longer than this are listed */
  constructor(limitMs) {
    this.#limitMs = limitMs;
  }

  /** Wraps all that the addon's module exports. */
  install() {
    const native = require('../../lib/native.js');
    for (const [name, value] of Object.entries(native)) {
      if (typeof value !== 'function') continue;
      const prototype = value.prototype;
      const isClass = prototype && Object.getOwnPropertyNames(prototype).length > 1;
      if (isClass) {
        this.#wrapAll(prototype, `${name}.`);
        this.#wrapAll(value, `${name}.`);
      } else {
        this.#wrapProperty(native, name, name);
      }
    }
  }

  /** Forgets what was seen: what follows counts. */
  reset() {
    this.#turns = 0;
    this.#longestNative = 0;
    this.#long = [];
  }

  /** @returns {Watched} */
  get watched() {
    return { turns: this.#turns, longestNative: this.#longestNative, long: this.#long };
  }

  /**
   * @param {any} owner
   * @param {string} prefix
   */
  #wrapAll(owner, prefix) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (name !== 'constructor') this.#wrapProperty(owner, name, prefix + name);
    }
  }

  /**
   * @param {any} owner
   * @param {string} key
   * @param {string} name
   */
  #wrapProperty(owner, key, name) {
    const property = Object.getOwnPropertyDescriptor(owner, key);
    if (!property?.configurable) return;
    if (typeof property.value === 'function') property.value = this.#wrap(property.value, name);
    else if (property.get) property.get = this.#wrap(property.get, name);
    else return;
    Object.defineProperty(owner, key, property);
  }

  /**
   * @param {Function} original
   * @param {string} name
   */
  #wrap(original, name) {
    const watch = this;
    return function (/** @type {any[]} */ ...values) {
      if (!watch.#isInTurn) watch.#beginTurn();
      watch.#depth += 1;
      const start = performance.now();
      try {
        // @ts-expect-error `this` is whatever the addon's function is called on
        return Reflect.apply(original, this, values);
      } finally {
        watch.#depth -= 1;
        if (watch.#depth === 0) watch.#note(name, performance.now() - start);
      }
    };
  }

  #beginTurn() {
    this.#isInTurn = true;
    this.#work.clear();
    this.#runningAtStart = threadMilliseconds();
    this.#start = performance.now();
    setImmediate(() => this.#endTurn());
  }

  /**
   * @param {string} name
   * @param {number} native
   */
  #note(name, native) {
    const done = this.#work.get(name);
    if (done) {
      done.calls += 1;
      done.native += native;
    } else {
      this.#work.set(name, { calls: 1, native });
    }
  }

  #endTurn() {
    this.#isInTurn = false;
    this.#turns += 1;
    const length = performance.now() - this.#start;
    let native = 0;
    for (const done of this.#work.values()) native += done.native;
    this.#longestNative = Math.max(this.#longestNative, native);
    if (length <= this.#limitMs) return;
    const work = [...this.#work].map(([name, done]) => ({ name, ...done }));
    this.#long.push({
      start: this.#start,
      length,
      native,
      running: threadMilliseconds() - this.#runningAtStart,
      work: work.sort((a, b) => b.native - a.native),
    });
  }
}

module.exports = { TurnWatch };
