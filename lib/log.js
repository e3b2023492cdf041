// @ts-check
'use strict';

const { isLocked } = require('./error.js');

/**
 * Owns what one connection of a manager has to do about SQLite's write-ahead log, none of it on
 * the event loop's thread: when to begin it again, when to move it into the file, when to sync.
 *
 * It decides and starts; when the writing side is free for it is the turn's business.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 */

/** At this many pages, 20 MB, writers wait until all of the log is in the file, readers permitting. */
const CHECKPOINT_PAGES = 5000;

/** Each time it has so many more, another thread moves them while the writers go on. */
const RELIEF_PAGES = 1000;

/** From so many on, each move follows the one before, for what was written during that. */
const CLOSING_PAGES = 3000;

/** So few are moved while the writers wait: they wait a moment now instead of a long one later. */
const SHORT_PAGES = 250;

/** Calls that make nothing larger: they are to work on a full disk too. */
const DELETIONS = new Set(['deleteSession', 'deleteFileHash', 'clearErrors', 'deleteConfig']);

class Log {
  /** Calls for which room was made once. @type {WeakSet<import('./entry.js').Entry>} */
  #retried = new WeakSet();
  #isUsed;
  #syncsCommits;
  #checkpointAt = CHECKPOINT_PAGES;
  #closeAt = CLOSING_PAGES;
  #relieveAt = RELIEF_PAGES;
  /** How many of the log's pages were in the file when the last move had ended. */
  #movedPages = 0;
  #isReliefDue = false;
  /** @type {Promise<void> | undefined} */
  #relief;
  #isWritten = false;
  #reportFailure;
  #lendWriter;
  /** @type {Promise<void> | undefined} */
  #runningSync;
  /** @type {Promise<void> | undefined} */
  #nextSync;
  /** Why the last checkpoint failed. @type {unknown} */
  checkpointError;

  /**
   * @param {import('../index').ResolvedConfig} config
   * @param {(error: unknown) => void} reportFailure told of every checkpoint that fails
   * @param {(work: () => Promise<boolean>) => Promise<boolean>} lendWriter has work done that needs the handle itself
   */
  constructor(config, reportFailure, lendWriter) {
    this.#isUsed = config.enableWAL && !config.readonly && config.path !== ':memory:';
    this.#syncsCommits = this.#isUsed && config.synchronous === 'FULL';
    this.#reportFailure = reportFailure;
    this.#lendWriter = lendWriter;
  }

  /**
   * Makes ready for a write and looks at the log.
   *
   * A write that would begin the log again would sync its first page, so another thread does that
   * first; a log that is full is moved into the file first, or it would grow without end.
   *
   * @param {Ledger} writer
   * @param {string} operation the public method
   * @returns {Promise<unknown> | undefined} what the write has to wait for, if anything
   */
  prepareWrite(writer, operation) {
    if (!this.#isUsed) return undefined;
    this.#isWritten = true;
    const pages = writer.prepareWrite();
    if (pages < 0) return this.#begin(writer, operation);
    // Relief begins behind the write: it could move the whole log before the write has begun,
    // which would then begin the log again by itself.
    this.#isReliefDue ||= this.#mustRelieve(pages);
    return this.#makeShort(writer, pages);
  }

  /**
   * Moves a full log while nobody waits for it.
   *
   * @param {Ledger} writer
   * @returns {Promise<void> | undefined} what the next write has to wait for, if anything
   */
  tidy(writer) {
    if (!this.#isUsed) return undefined;
    const pages = writer.prepareWrite();
    const shortened = this.#makeShort(writer, pages);
    if (!shortened && (this.#isReliefDue || this.#mustRelieve(pages))) this.#relieve(writer);
    return shortened;
  }

  /**
   * Moves the log into the file when the disk is too full for a deletion: the log that is begun anew
   * lies where the old one lay, so that deletions fit in.
   *
   * @param {Ledger | undefined} writer
   * @param {import('./entry.js').Entry[]} entries calls that were to share a commit
   * @param {unknown} error why there was none
   * @returns {Promise<void> | undefined} after what they are to be tried again, if they are
   */
  makeRoom(writer, entries, error) {
    if (!this.#isUsed || !writer || !isFull(error)) return undefined;
    const deletions = entries.filter((entry) => DELETIONS.has(entry.operation) && !this.#retried.has(entry));
    if (deletions.length === 0) return undefined;
    for (const entry of deletions) this.#retried.add(entry);
    // A disk that is too full for that as well is told of by the deletion itself.
    const checkpoint = writer.checkpoint().catch((failure) => {
      if (!isFull(failure)) throw failure;
    });
    return this.#report(checkpoint.then((isWhole) => isWhole === true));
  }

  /**
   * Makes the log as short as it can be before the file is closed.
   *
   * @param {Ledger} writer
   * @returns {Promise<boolean>} whether its last pages must be left where they are
   */
  async finish(writer) {
    await Promise.allSettled([this.#runningSync, this.#nextSync, this.#relief]);
    if (!this.#isWritten) return false;
    await this.#report(writer.checkpoint());
    return this.checkpointError !== undefined;
  }

  /**
   * Says what a commit waits for before it may be acknowledged.
   *
   * @param {Ledger} writer
   * @param {string} operation the public method
   * @returns {Promise<void> | undefined} nothing to wait for unless every commit is synced
   */
  acknowledge(writer, operation) {
    if (this.#isReliefDue) this.#relieve(writer);
    return this.#syncsCommits ? this.flush(writer, operation) : undefined;
  }

  /**
   * Waits until the disk has all commits made before the call; one sync serves many.
   *
   * @param {Ledger} writer
   * @param {string} operation the public method
   * @returns {Promise<void>}
   */
  flush(writer, operation) {
    if (!this.#isUsed) return Promise.resolve();
    if (!this.#nextSync) {
      const sync = Promise.resolve(this.#runningSync)
        .catch(() => {})
        .then(() => {
          this.#runningSync = sync;
          this.#nextSync = undefined;
          return writer.flush(operation);
        });
      this.#nextSync = sync;
    }
    return this.#nextSync;
  }

  /**
   * Begins the log anew, by the writing handle: what another one writes makes it forget its cache.
   *
   * @param {Ledger} writer
   * @param {string} operation
   */
  async #begin(writer, operation) {
    const isBegun = await this.#lendWriter(() => writer.beginLog(operation));
    // Which it is only when all of it is in the file and synced, or written anew after a failed sync.
    if (isBegun) this.checkpointError = undefined;
    return isBegun;
  }

  /**
   * @param {Ledger} writer
   * @param {number} pages how many the log has
   * @returns {Promise<void> | undefined} what writers have to wait for, if anything
   */
  #makeShort(writer, pages) {
    if (pages < CLOSING_PAGES) this.#closeAt = CLOSING_PAGES;
    if (pages < CHECKPOINT_PAGES) this.#checkpointAt = CHECKPOINT_PAGES;
    if (pages < this.#movedPages) this.#movedPages = 0;
    const isFull = pages >= this.#checkpointAt;
    const isNearlyMoved = pages >= this.#closeAt && !this.#relief && pages - this.#movedPages <= SHORT_PAGES;
    if (!isFull && !isNearlyMoved) return undefined;
    // A reader elsewhere may keep the log as it is: the next try waits for as much again.
    this.#closeAt = pages + CLOSING_PAGES;
    if (isFull) this.#checkpointAt = pages + CHECKPOINT_PAGES;
    return this.#report(this.#shorten(writer, isFull));
  }

  /**
   * Moves the rest of the log and begins it anew.
   *
   * @param {Ledger} writer
   * @param {boolean} isFull whether readers that are in the way are waited for
   * @returns {Promise<boolean>} whether all of it is in the file
   */
  async #shorten(writer, isFull) {
    await writer.relieveLog();
    // A lock in the way is nothing but a log that stays as it is.
    const isBegun = await this.#begin(writer, 'checkpoint').catch((error) => {
      if (isLocked(error)) return false;
      throw error;
    });
    return isBegun || !isFull ? isBegun : writer.checkpoint();
  }

  /** @param {number} pages how many the log has */
  #mustRelieve(pages) {
    if (pages < RELIEF_PAGES) this.#relieveAt = RELIEF_PAGES;
    if (pages < this.#relieveAt || this.#relief) return false;
    this.#relieveAt = pages + RELIEF_PAGES;
    return true;
  }

  /**
   * Moves what can be moved while the writers go on.
   *
   * @param {Ledger} writer
   */
  #relieve(writer) {
    this.#isReliefDue = false;
    const moved = writer.relieveLog().then((pages) => this.#noteMoved(pages));
    this.#relief = this.#report(moved).then(() => {
      this.#relief = undefined;
    });
  }

  /**
   * @param {number | null} pages how many the log had that are all in the file now
   * @returns {boolean} false: what was written meanwhile is not, nor is the file synced before it is
   */
  #noteMoved(pages) {
    if (pages !== null) this.#movedPages = pages;
    if (pages !== null && pages >= CLOSING_PAGES) this.#relieveAt = pages + SHORT_PAGES;
    return false;
  }

  /**
   * A failure is told and held against no write: its pages stay safe in the log. Only when all of
   * them are in the file and synced is it over.
   *
   * @param {Promise<boolean>} checkpoint says whether all of the log is in the file
   */
  async #report(checkpoint) {
    try {
      if (await checkpoint) this.checkpointError = undefined;
    } catch (error) {
      this.checkpointError = error;
      this.#reportFailure(error);
    }
  }
}

/** @param {unknown} error */
function isFull(error) {
  return /** @type {{ code?: unknown } | undefined} */ (error)?.code === 'SQLITE_FULL';
}

module.exports = { Log };
