// @ts-check
'use strict';

/**
 * Owns what one connection of a manager has to do about SQLite's write-ahead log, none of it on
 * the event loop's thread: when to begin it again, when to move it into the file, when to sync.
 *
 * It decides and starts; when the writing side is free for it is the turn's business.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 */

/** Writers wait when the log has this many pages, 16 MB, until all of it is in the file. */
const CHECKPOINT_PAGES = 4000;

/** Each time it has so many more, another thread moves them while the writers go on. */
const RELIEF_PAGES = 1000;

/** Calls that make nothing larger: they are to work on a full disk too. */
const DELETIONS = new Set(['deleteSession', 'deleteFileHash', 'clearErrors', 'deleteConfig']);

class Log {
  /** Calls for which room was made once. @type {WeakSet<import('./entry.js').Entry>} */
  #retried = new WeakSet();
  #isUsed;
  #syncsCommits;
  #checkpointAt = CHECKPOINT_PAGES;
  #relieveAt = RELIEF_PAGES;
  #isReliefDue = false;
  /** @type {Promise<void> | undefined} */
  #relief;
  #isWritten = false;
  #reportFailure;
  /** @type {Promise<void> | undefined} */
  #runningSync;
  /** @type {Promise<void> | undefined} */
  #nextSync;
  /** Why the last checkpoint failed. @type {unknown} */
  checkpointError;

  /**
   * @param {import('../index').ResolvedConfig} config
   * @param {(error: unknown) => void} reportFailure told of every checkpoint that fails
   */
  constructor(config, reportFailure) {
    this.#isUsed = config.enableWAL && !config.readonly && config.path !== ':memory:';
    this.#syncsCommits = this.#isUsed && config.synchronous === 'FULL';
    this.#reportFailure = reportFailure;
  }

  /**
   * Makes ready for a write and looks at the log.
   *
   * A write that would begin the log again would sync its first page, so another thread does that
   * first; a log that is full is moved into the file first, or it would grow without end.
   *
   * @param {Ledger} writer
   * @param {string} operation the public method
   * @returns {Promise<void> | undefined} what the write has to wait for, if anything
   */
  prepareWrite(writer, operation) {
    if (!this.#isUsed) return undefined;
    this.#isWritten = true;
    const pages = writer.prepareWrite();
    if (pages < 0) return writer.beginLog(operation);
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
    return this.#report(checkpoint);
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
   * @param {Ledger} writer
   * @param {number} pages how many the log has
   * @returns {Promise<void> | undefined} what writers have to wait for, if anything
   */
  #makeShort(writer, pages) {
    if (pages < CHECKPOINT_PAGES) this.#checkpointAt = CHECKPOINT_PAGES;
    if (pages < this.#checkpointAt) return undefined;
    // A reader elsewhere may keep the log as it is: the next try waits for as much again.
    this.#checkpointAt = pages + CHECKPOINT_PAGES;
    return this.#report(writer.checkpoint());
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
    this.#relief = this.#report(writer.relieveLog()).then(() => {
      this.#relief = undefined;
    });
  }

  /**
   * A failure is told and held against no write: its pages stay safe in the log. Only when all of
   * them are in the file and synced is it over.
   *
   * @param {Promise<boolean | void>} checkpoint
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
