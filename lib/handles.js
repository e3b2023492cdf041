// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');

/**
 * Owns the two ledgers of a connection: one that writes, and reads while it is free to, and one that only
 * reads. A database in memory has the first alone.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {{ writer: Ledger, reader: Ledger | undefined }} Pair
 */

/** Handles that fail are opened again at most once in so long: a disk that fails on is not helped by it. */
const REOPEN_MS = 1000;

class Handles {
  /** @type {Pair | undefined} */
  #pair;
  #isLent = false;
  #reopenedAt = Number.NEGATIVE_INFINITY;
  #connect;

  /** @param {(isFirst: boolean) => Promise<Pair>} connect */
  constructor(connect) {
    this.#connect = connect;
  }

  /** The handle that writes; none is open before {@link Handles.open} is done. */
  get writer() {
    return /** @type {Pair} */ (this.#pair).writer;
  }

  get reader() {
    return this.#pair?.reader;
  }

  /** The handle whose cache is warm, unless the log's thread has it. */
  get forReading() {
    return this.#isLent ? this.reader : this.writer;
  }

  /** @param {boolean} isFirst whether it may make the file */
  async open(isFirst) {
    await this.#pair?.writer.setLogAside();
    this.#pair = await this.#connect(isFirst);
  }

  /** Says whether handles that have failed may be opened again now: whoever asks does so. */
  claimReopening() {
    const now = performance.now();
    if (now - this.#reopenedAt < REOPEN_MS) return false;
    this.#reopenedAt = now;
    return true;
  }

  /** @param {boolean} keepLog whether the log's last pages are left where they are */
  async close(keepLog) {
    await this.#pair?.reader?.close(true);
    await this.#pair?.writer.close(keepLog);
  }

  /**
   * Lends the handle that writes to the log's thread; meanwhile reads go by the other one.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async lendWriter(work) {
    this.#isLent = true;
    try {
      return await work();
    } finally {
      this.#isLent = false;
    }
  }
}

module.exports = { Handles };
