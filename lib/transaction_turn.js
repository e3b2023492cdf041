// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');
const { commitTransaction } = require('./commit.js');

/**
 * Owns a transaction's hold on the writing side: how old it is, when it is too old, and how it ends. What
 * happens inside is the business of `transaction.js`.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 *
 * @typedef {object} Inside
 * @property {(reason: unknown) => void} abort ends what is inside, with a rollback
 *
 * @typedef {object} Owner
 * @property {() => void} onExpire called when it has been open for the whole timeout
 * @property {() => Promise<void> | undefined} acknowledge says what its commit waits for
 * @property {(error?: unknown) => void} onEnd called when the writing side is free again: with the error of a
 *   commit that failed
 */

/** Tells the open transaction that it is too old: one timer for all, since most end long before. */
class ExpiryTimer {
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {TransactionTurn | undefined} */
  #watched;

  /** @param {number} timeoutMs how old a transaction may grow */
  constructor(timeoutMs) {
    this.timeoutMs = timeoutMs;
  }

  /** @param {TransactionTurn} transaction */
  watch(transaction) {
    this.#watched = transaction;
    this.#timer?.ref();
    this.#timer ??= setTimeout(this.#expire, this.timeoutMs);
  }

  /** Lets the process end while no transaction is open. */
  unwatch() {
    this.#watched = undefined;
    this.#timer?.unref();
  }

  close() {
    clearTimeout(this.#timer);
  }

  #expire = () => {
    this.#timer = undefined;
    if (!this.#watched) return;
    const leftMs = this.timeoutMs - this.#watched.ageMs;
    // A timer can be a moment early.
    if (leftMs <= 1) this.#watched.expire();
    else this.#timer = setTimeout(this.#expire, leftMs);
  };
}

class TransactionTurn {
  isExpired = false;
  #openedAt = performance.now();
  #expiry;
  #owner;
  /** @type {Inside | undefined} */
  #inside;
  /** @type {{ reason: unknown } | undefined} */
  #aborted;

  /**
   * @param {Ledger} ledger the handle that it is open on
   * @param {ExpiryTimer} expiry
   * @param {InstanceType<typeof import('./loop_turn.js').LoopTurn>} loopTurn
   * @param {Owner} owner
   */
  constructor(ledger, expiry, loopTurn, owner) {
    this.ledger = ledger;
    this.loopTurn = loopTurn;
    /** The loop's turn in which it began. */
    this.turnNumber = loopTurn.number;
    this.#expiry = expiry;
    this.#owner = owner;
    expiry.watch(this);
  }

  expire() {
    this.isExpired = true;
    this.#owner.onExpire();
  }

  get ageMs() {
    const ageMs = performance.now() - this.#openedAt;
    // A timer can be a moment early.
    return this.isExpired ? Math.max(ageMs, this.#expiry.timeoutMs) : ageMs;
  }

  /** @param {Inside} inside what is to end with it */
  attach(inside) {
    this.#inside = inside;
    if (this.#aborted) inside.abort(this.#aborted.reason);
  }

  /** @param {unknown} reason */
  abort(reason) {
    this.#aborted = { reason };
    this.#inside?.abort(reason);
  }

  /** @returns {Promise<void> | undefined} what the commit has to wait for, if anything */
  commit() {
    let committed;
    try {
      committed = commitTransaction(this.ledger, this.#expiry.timeoutMs);
    } catch (error) {
      this.#end(error);
      throw error;
    }
    return committed ? this.#endBehind(committed) : this.#endCommitted();
  }

  /** @param {Promise<void>} committed */
  async #endBehind(committed) {
    try {
      await committed;
    } catch (error) {
      this.#end(error);
      throw error;
    }
    await this.#endCommitted();
  }

  #endCommitted() {
    try {
      return this.#owner.acknowledge();
    } finally {
      this.#end();
    }
  }

  rollBack() {
    try {
      this.ledger.rollBack();
    } finally {
      this.#end();
    }
  }

  /** @param {unknown} [error] */
  #end(error) {
    this.#expiry.unwatch();
    this.#owner.onEnd(error);
  }
}

module.exports = { ExpiryTimer, TransactionTurn };
