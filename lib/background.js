// @ts-check
'use strict';

const { onAbort } = require('./call_options.js');
const { aborted, isInterrupted, notConnected } = require('./error.js');

/**
 * Owns work of a connection on other threads that needs nothing of the writing side: each piece can
 * be stopped by its signal, and all by closing.
 */

/** @typedef {{ request: () => void }} Interruption */

class Background {
  /** @type {Set<Promise<unknown>>} */
  #running = new Set();
  /** @type {Set<Interruption>} */
  #interruptions = new Set();
  #isClosing = false;

  /**
   * Has a piece of work run.
   *
   * @template T
   * @param {string} operation the public method
   * @param {Interruption} interruption what stops it
   * @param {() => Promise<T>} start
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async run(operation, interruption, start, signal) {
    const stopListening = onAbort(signal, () => interruption.request());
    this.#interruptions.add(interruption);
    const work = start();
    this.#running.add(work);
    try {
      return await work;
    } catch (error) {
      if (!isInterrupted(error)) throw error;
      if (signal?.aborted) throw aborted(operation, signal.reason);
      throw this.#isClosing ? notConnected(operation) : error;
    } finally {
      this.#running.delete(work);
      this.#interruptions.delete(interruption);
      stopListening();
    }
  }

  /** Stops all work; resolves when it has stopped. */
  async close() {
    this.#isClosing = true;
    for (const interruption of this.#interruptions) interruption.request();
    await Promise.allSettled(this.#running);
  }
}

module.exports = { Background };
