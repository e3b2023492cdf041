// @ts-check
'use strict';

const { AsyncResource } = require('node:async_hooks');
const { invalidArgument, kindOf } = require('./error.js');
const native = require('./native.js');

/**
 * Owns telling a caller how far long work is: it looks at what the work's thread noted, so the
 * caller's function runs on the event loop, never inside other code, and never once the call is over.
 */

/** How often it looks. */
const INTERVAL_MS = 25;

/** Work that can be stopped, and that says how far it is. */
class ProgressWatch {
  interruption = new native.Interruption();
  progress = new native.Progress();
  #onProgress;
  #describe;
  #last = '';
  /** @type {{ error: unknown } | undefined} what the caller's function threw */
  #failure;

  /**
   * @param {string} operation the public method
   * @param {unknown} onProgress the caller's function, if there is one
   * @param {(phase: string, done: number, total: number) => unknown} describe makes what it is given
   */
  constructor(operation, onProgress, describe) {
    if (onProgress !== undefined && onProgress !== null && typeof onProgress !== 'function') {
      throw invalidArgument(operation, 'options.onProgress', `must be a function, not ${kindOf(onProgress)}`);
    }
    const given = /** @type {((progress: unknown) => unknown) | undefined} */ (onProgress ?? undefined);
    this.#onProgress = given && AsyncResource.bind(given);
    this.#describe = describe;
  }

  /**
   * Tells of the work until it is over; what the caller's function throws stops it, and is what comes out.
   *
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T>}
   */
  async follow(work) {
    if (!this.#onProgress) return work;
    const timer = setInterval(() => this.#tell(), INTERVAL_MS);
    timer.unref();
    try {
      const result = await work;
      this.#tell();
      if (this.#failure) throw this.#failure.error;
      return result;
    } catch (error) {
      throw this.#failure ? this.#failure.error : error;
    } finally {
      clearInterval(timer);
    }
  }

  #tell() {
    const now = this.progress.read();
    const [phase, done, total] = now;
    if (total === 0 || this.#failure || String(now) === this.#last) return;
    this.#last = String(now);
    try {
      this.#onProgress?.(this.#describe(phase, done, total));
    } catch (error) {
      this.#failure = { error };
      this.interruption.request();
    }
  }
}

module.exports = { ProgressWatch };
