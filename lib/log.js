// @ts-check
'use strict';

const { AsyncResource } = require('node:async_hooks');

/**
 * Owns what one connection of a manager has to do about SQLite's write-ahead log, none of it on
 * the event loop's thread: when to begin it again, when to move it into the file, when to sync.
 *
 * It decides and starts; when the writing side is free for it is the turn's business.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 */

/** A log of this many pages is moved into the file: 16 MB. */
const CHECKPOINT_PAGES = 4000;

class Log {
  #isUsed;
  #syncsCommits;
  #checkpointAt = CHECKPOINT_PAGES;
  #isCheckpointDue = false;
  /** @type {Promise<void> | undefined} */
  #runningSync;
  /** @type {Promise<void> | undefined} */
  #nextSync;
  /** Runs a function outside any transaction's context: events are nobody's call. */
  #outside = AsyncResource.bind((/** @type {() => void} */ run) => run());

  /** @param {Required<import('../index').DatabaseConfig>} config */
  constructor(config) {
    this.#isUsed = config.enableWAL && !config.readonly && config.path !== ':memory:';
    this.#syncsCommits = this.#isUsed && config.synchronous === 'FULL';
  }

  /**
   * Says whether the next write would begin the log again: its first page is synced by whoever
   * writes it, so another thread does.
   *
   * @param {Ledger} writer
   */
  mustBegin(writer) {
    return this.#isUsed && writer.startsLog;
  }

  /**
   * Looks at what a commit leaves to do.
   *
   * @param {Ledger} writer
   * @param {string} operation the public method
   * @returns {Promise<void>} resolves when the commit may be acknowledged
   */
  acknowledge(writer, operation) {
    if (!this.#isUsed) return Promise.resolve();
    const pages = writer.logPages;
    if (pages < CHECKPOINT_PAGES) {
      this.#checkpointAt = CHECKPOINT_PAGES;
    } else if (pages >= this.#checkpointAt) {
      // A reader elsewhere may keep the log as it is: the next try waits for as much again.
      this.#checkpointAt = pages + CHECKPOINT_PAGES;
      this.#isCheckpointDue = true;
    }
    return this.#syncsCommits ? this.#sync(writer, operation) : Promise.resolve();
  }

  /** Says, once, whether the log is to be moved into the file. */
  takeCheckpoint() {
    const isDue = this.#isCheckpointDue;
    this.#isCheckpointDue = false;
    return isDue;
  }

  /**
   * Tells of a failed checkpoint, which nobody awaits: its pages stay safe in the log.
   *
   * @param {unknown} error
   */
  warn(error) {
    this.#outside(() => process.emitWarning(/** @type {Error} */ (error)));
  }

  /** Resolves when no sync is under way. */
  async settle() {
    await Promise.allSettled([this.#runningSync, this.#nextSync]);
  }

  /**
   * Waits until the disk has all commits made before the call; one sync serves many.
   *
   * @param {Ledger} writer
   * @param {string} operation the public method
   */
  #sync(writer, operation) {
    if (!this.#nextSync) {
      const sync = Promise.resolve(this.#runningSync)
        .catch(() => {})
        .then(() => {
          this.#runningSync = sync;
          this.#nextSync = undefined;
          return writer.syncLog(operation);
        });
      this.#nextSync = sync;
    }
    return this.#nextSync;
  }
}

module.exports = { Log };
