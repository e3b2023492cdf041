// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');

/**
 * Owns how long the lock of another connection is waited for: by timers, so that the loop goes
 * on, and never in step with others who wait.
 */

/** How long to wait before a lock is tried again; the last number repeats. */
const PAUSES_MS = [1, 2, 3, 5, 8, 10];

/** For so long after a lock was in the way, others are expected to want it again. */
const CONTENTION_MS = 1000;

/**
 * @param {number} attempts how often the lock was tried before
 * @returns {number} milliseconds, up to half as long again, so that processes do not knock in step
 */
function pauseAfter(attempts) {
  return PAUSES_MS[Math.min(attempts, PAUSES_MS.length - 1)] * (1 + Math.random() / 2);
}

class LockWait {
  /** @type {number | undefined} since when the lock has been in the way */
  #since;
  #attempts = 0;
  #lastMet = Number.NEGATIVE_INFINITY;

  /** Whether a lock was in the way a short time ago. */
  get isContended() {
    return performance.now() - this.#lastMet < CONTENTION_MS;
  }

  /** Notes that the lock is in the way; returns how long to wait before the next try. */
  meet() {
    this.#lastMet = performance.now();
    if (this.#since === undefined) {
      this.#since = this.#lastMet;
      this.#attempts = 0;
    }
    this.#attempts += 1;
    return pauseAfter(this.#attempts - 1);
  }

  /** Notes that the lock was had, or that nobody waits for it any more. */
  end() {
    this.#since = undefined;
  }

  /**
   * Says how long a call has waited: from when it was made, or from when the lock came in the
   * way, whichever is later.
   *
   * @param {number} queuedAt
   */
  waitedMs(queuedAt) {
    const now = performance.now();
    return now - Math.max(queuedAt, this.#since ?? now);
  }
}

module.exports = { LockWait, pauseAfter };
