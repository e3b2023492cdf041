// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');
const { onAbort } = require('./call_options.js');
const { aborted, behindTransaction, transactionAborted, transactionFinished } = require('./error.js');

/**
 * Owns an open transaction and those nested in it: who is inside, who waits, when it ends.
 *
 * A call made inside, at any await depth, is found by AsyncLocalStorage (which the manager
 * holds) and comes to {@link Transaction.call}. While a nested transaction is open, calls of the
 * one around it wait; so do calls when the loop's turn has lasted long enough. What waits, waits in the order
 * of the calls.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('node:async_hooks').AsyncLocalStorage<Transaction>} Storage
 * @typedef {InstanceType<typeof import('./loop_turn.js').LoopTurn>} LoopTurn
 *
 * @typedef {object} Boundary how a transaction ends on its ledger
 * @property {() => Promise<void> | void} commit
 * @property {() => void} rollBack
 *
 * @typedef {object} Waiting
 * @property {string} operation the public method
 * @property {() => void} run
 * @property {(error: unknown) => void} reject
 */

class Transaction {
  /** @type {Transaction | undefined} the nested transaction that is open now */
  #child;
  /** @type {Waiting[]} calls of this transaction that wait for the nested one's end, or for the loop's next turn */
  #waiting = [];
  #isDrainPlanned = false;
  /** @type {Set<Promise<void>>} calls that have begun and not ended: COMMIT waits for them */
  #pending = new Set();
  /** @type {(reason: unknown) => void} */
  #rejectAborted = () => {};
  /** @type {{ error: unknown } | undefined} what it rejects with when it was ended from outside */
  #aborted;
  #isFinished = false;
  /** @type {unknown} what ended it before its time: closing, or an error at which SQLite did */
  #lostTo;
  #isExpired = false;
  #openedAt = performance.now();
  #ledger;
  #boundary;
  #loopTurn;
  #parent;
  #timeoutMs;

  /**
   * @param {Ledger} ledger the handle that the transaction is open on
   * @param {Boundary} boundary
   * @param {LoopTurn} loopTurn
   * @param {number} timeoutMs how old a nested transaction may grow before calls give up on it
   * @param {Transaction} [parent]
   */
  constructor(ledger, boundary, loopTurn, timeoutMs, parent) {
    this.#ledger = ledger;
    this.#boundary = boundary;
    this.#loopTurn = loopTurn;
    this.#timeoutMs = timeoutMs;
    this.#parent = parent;
  }

  /**
   * Runs a caller's function inside this transaction and ends the transaction as it ends.
   *
   * @template T
   * @param {Storage} storage
   * @param {() => T | Promise<T>} run
   * @param {AbortSignal} [signal] rolls it back, unless its commit has begun
   * @param {string} [operation] the public method
   * @returns {Promise<T>}
   */
  async execute(storage, run, signal, operation = 'transaction') {
    let stopListening = () => {};
    let value;
    try {
      // Listening runs the caller's code, which may throw: that ends the transaction, too.
      stopListening = onAbort(signal, () => this.#abortBy(aborted(operation, signal?.reason)));
      if (signal?.aborted) throw aborted(operation, signal.reason);
      this.requireOpen('transaction');
      // What `run` gives may be a promise of others, which does its work when it is waited for: inside, too.
      value = await this.#unlessAborted(() => storage.run(this, () => Promise.resolve(run())));
      while (this.#pending.size > 0) await this.#unlessAborted(() => Promise.all(this.#pending));
      this.requireOpen('transaction');
    } catch (error) {
      if (!this.#isFinished) {
        this.#finish();
        this.#boundary.rollBack();
      }
      throw error;
    } finally {
      stopListening();
    }
    this.#finish();
    const committed = this.#boundary.commit();
    if (committed) await committed;
    return value;
  }

  /**
   * Waits for work, or until the transaction is ended from outside.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #unlessAborted(work) {
    return new Promise((resolve, reject) => {
      if (this.#aborted) throw this.#aborted.error;
      this.#rejectAborted = reject;
      work().then(resolve, reject);
    });
  }

  /**
   * Makes a call inside this transaction.
   *
   * @template T
   * @param {string} operation the public method
   * @param {(ledger: Ledger) => T} run
   * @param {AbortSignal} [signal] takes it out while it waits
   * @returns {Promise<T>}
   */
  call(operation, run, signal) {
    const work = () => {
      try {
        return run(this.#ledger);
      } catch (error) {
        this.#checkAlive(error);
        throw error;
      }
    };
    return this.#inTurn(operation, work, signal);
  }

  /**
   * Opens a transaction inside this one.
   *
   * @template T
   * @param {Storage} storage
   * @param {() => T | Promise<T>} run
   * @param {AbortSignal} [signal]
   * @param {string} [operation] the public method
   * @returns {Promise<T>}
   */
  nest(storage, run, signal, operation = 'transaction') {
    const opened = this.#inTurn(operation, () => this.#openChild(), signal);
    return this.#track(opened.then((child) => this.#executeChild(child, storage, run, signal, operation)));
  }

  /**
   * Refuses a call that starts from this transaction's context after its end.
   *
   * @param {string} operation
   */
  requireOpen(operation) {
    if (this.#lostTo !== undefined) throw transactionAborted(operation, this.#lostTo);
    if (this.#isFinished) throw transactionFinished(operation);
  }

  /**
   * Ends this transaction and those nested in it from outside.
   *
   * @param {unknown} reason
   */
  abort(reason) {
    if (this.#isFinished) return;
    this.#lostTo = reason;
    this.#end(reason);
  }

  /**
   * Ends it as the caller's signal asks: with that error itself.
   *
   * @param {unknown} error
   */
  #abortBy(error) {
    if (this.#isFinished) return;
    this.#lostTo = error;
    this.#end(error, error);
  }

  /**
   * @param {unknown} reason
   * @param {unknown} [error] what the transaction rejects with
   */
  #end(reason, error = transactionAborted('transaction', reason)) {
    if (this.#isFinished) return;
    this.#finish();
    this.#aborted = { error };
    this.#boundary.rollBack();
    this.#rejectAborted(error);
  }

  /**
   * Runs `work` at once; or when the nested transactions in the way have ended, and the loop's turn has time.
   *
   * @template T
   * @param {string} operation the public method
   * @param {() => T} work
   * @param {AbortSignal} [signal] takes it out while it waits
   * @returns {Promise<T>}
   */
  #inTurn(operation, work, signal) {
    try {
      this.requireOpen(operation);
      if (!this.#child && this.#waiting.length === 0 && this.#loopTurn.hasTimeInside()) return Promise.resolve(work());
      if (this.#child && this.#child.#isExpired) throw this.#child.#expiry(operation);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#track(
      new Promise((resolve, reject) => {
        const stopListening = onAbort(signal, () => {
          const index = this.#waiting.indexOf(waiting);
          if (index >= 0) this.#waiting.splice(index, 1);
          waiting.reject(aborted(operation, signal?.reason));
        });
        const run = () => {
          stopListening();
          try {
            // What ran before it may have ended the transaction.
            this.requireOpen(operation);
            resolve(work());
          } catch (error) {
            reject(error);
          }
        };
        /** @type {Waiting} */
        const waiting = {
          operation,
          run,
          reject: (error) => {
            stopListening();
            reject(error);
          },
        };
        this.#waiting.push(waiting);
        if (!this.#child) this.#drainNextTurn();
      }),
    );
  }

  /**
   * Lets waiting calls run, up to one that opens a nested transaction, while the loop's turn has time. One runs in
   * any case: reads from outside may fill each turn.
   */
  #drain() {
    const waiting = this.#waiting;
    let count = 0;
    while (!this.#child && count < waiting.length && (count === 0 || this.#loopTurn.hasTimeInside())) {
      waiting[count++].run();
    }
    waiting.splice(0, count);
    if (!this.#child && waiting.length > 0) this.#drainNextTurn();
  }

  #drainNextTurn() {
    if (this.#isDrainPlanned) return;
    this.#isDrainPlanned = true;
    setImmediate(() => {
      this.#isDrainPlanned = false;
      this.#drain();
    });
  }

  #openChild() {
    const ledger = this.#ledger;
    ledger.openSavepoint();
    /** @type {Boundary} */
    const savepoint = {
      commit: () => ledger.releaseSavepoint(),
      rollBack: () => ledger.rollBackSavepoint(),
    };
    const child = new Transaction(ledger, savepoint, this.#loopTurn, this.#timeoutMs, this);
    this.#child = child;
    return child;
  }

  /**
   * @template T
   * @param {Transaction} child
   * @param {Storage} storage
   * @param {() => T | Promise<T>} run
   * @param {AbortSignal | undefined} signal
   * @param {string} operation
   * @returns {Promise<T>}
   */
  async #executeChild(child, storage, run, signal, operation) {
    const timer = setTimeout(() => {
      child.#isExpired = true;
      for (const waiting of this.#waiting.splice(0)) waiting.reject(child.#expiry(waiting.operation));
    }, this.#timeoutMs);
    try {
      return await child.execute(storage, run, signal, operation);
    } finally {
      clearTimeout(timer);
      this.#child = undefined;
      this.#drain();
    }
  }

  /**
   * Notes a call as begun until it settles.
   *
   * The caller gets a promise of its own: that COMMIT has looked at a rejection does not mean
   * that the caller has handled it.
   *
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>}
   */
  #track(promise) {
    const settled = promise.then(
      () => {},
      () => {},
    );
    this.#pending.add(settled);
    settled.then(() => this.#pending.delete(settled));
    return promise.then((value) => value);
  }

  /** Closes the door: from here on, calls from this transaction's context are refused. */
  #finish() {
    // A nested transaction that is still open ends with this one, innermost first.
    const child = this.#child;
    if (child && this.#lostTo !== undefined) child.abort(this.#lostTo);
    else if (child) child.#end(transactionFinished('transaction'));
    this.#isFinished = true;
    for (const { operation, reject } of this.#waiting.splice(0)) {
      reject(this.#lostTo === undefined ? transactionFinished(operation) : transactionAborted(operation, this.#lostTo));
    }
  }

  /**
   * SQLite ends a transaction by itself after some errors (a full disk, I/O): nothing may run on
   * as if it were still open. The functions inside end in their own time.
   *
   * @param {unknown} error
   */
  #checkAlive(error) {
    if (this.#ledger.inTransaction || this.#isFinished) return;
    /** @type {Transaction | undefined} */
    let lost = this;
    while (lost) {
      lost.#lostTo = error;
      lost.#isFinished = true;
      if (!lost.#parent) lost.#boundary.rollBack();
      lost = lost.#parent;
    }
  }

  /** @param {string} operation */
  #expiry(operation) {
    // A timer can be a moment early.
    return behindTransaction(operation, Math.max(performance.now() - this.#openedAt, this.#timeoutMs));
  }
}

module.exports = { Transaction };
