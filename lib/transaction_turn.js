// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');
const { commitTransaction } = require('./commit.js');

/**
 * Owns a transaction's hold on the writing side: how old it is, and how it ends. What happens
 * inside is the business of `transaction.js`.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 *
 * @typedef {object} Inside
 * @property {(reason: unknown) => void} abort ends what is inside, with a rollback
 *
 * @typedef {object} Owner
 * @property {() => void} onExpire called when it has been open for the whole timeout
 * @property {() => Promise<void> | undefined} acknowledge says what its commit waits for
 * @property {() => void} onEnd called when the writing side is free again
 */

class TransactionTurn {
  isExpired = false;
  #openedAt = performance.now();
  #timer;
  #timeoutMs;
  #owner;
  /** @type {Inside | undefined} */
  #inside;
  /** @type {{ reason: unknown } | undefined} */
  #aborted;

  /**
   * @param {Ledger} ledger the handle that it is open on
   * @param {number} timeoutMs
   * @param {number} turnNumber the loop's turn in which it began
   * @param {Owner} owner
   */
  constructor(ledger, timeoutMs, turnNumber, owner) {
    this.ledger = ledger;
    this.turnNumber = turnNumber;
    this.#timeoutMs = timeoutMs;
    this.#owner = owner;
    this.#timer = setTimeout(() => {
      this.isExpired = true;
      owner.onExpire();
    }, timeoutMs);
  }

  get ageMs() {
    const ageMs = performance.now() - this.#openedAt;
    // A timer can be a moment early.
    return this.isExpired ? Math.max(ageMs, this.#timeoutMs) : ageMs;
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

  async commit() {
    let synced;
    try {
      await commitTransaction(this.ledger, this.#timeoutMs);
      synced = this.#owner.acknowledge();
    } finally {
      this.#end();
    }
    return synced;
  }

  rollBack() {
    try {
      this.ledger.rollBack();
    } finally {
      this.#end();
    }
  }

  #end() {
    clearTimeout(this.#timer);
    this.#owner.onEnd();
  }
}

module.exports = { TransactionTurn };
