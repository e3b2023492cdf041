// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');
const { behindTransaction, isLocked, notConnected } = require('./error.js');
const { Log } = require('./log.js');

/**
 * Owns when a call runs, for one connection of a manager from opening to closing: the queue,
 * waiting for other connections' locks, and the work that must not happen on the event loop's
 * thread.
 *
 * Nothing here knows SQL or records. A call is a function of a ledger (the addon's handle) that
 * runs to its end at once. While a transaction is open on the writing handle, reads from outside
 * use a second one.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 *
 * @typedef {object} Entry
 * @property {'read' | 'write' | 'transaction' | 'commit' | 'upkeep'} kind
 * @property {string} operation the public method
 * @property {(ledger: Ledger) => unknown} run runs on the loop, or gives the promise of a job
 * @property {boolean} isJob whether `run` starts work on another thread
 * @property {boolean} canInterrupt whether closing may stop it half-way
 * @property {number} queuedAt when the call was made
 * @property {(value: any) => void} resolve
 * @property {(error: unknown) => void} reject
 *
 * @typedef {object} OpenTransaction
 * @property {(reason: unknown) => void} abort ends it from outside: closing does
 */

/** Queued calls run for at most this long before the loop gets a turn. */
const SLICE_MS = 5;

/** How long to wait before a lock is tried again; the last number repeats. */
const LOCK_PAUSES_MS = [1, 2, 5, 10, 15, 20, 25];

class Turn {
  /** @type {'opening' | 'open' | 'closing' | 'closed'} */
  #state = 'opening';
  /** @type {Promise<void>} */
  #opened;
  /** @type {Entry[]} calls that wait, in the order in which they were made */
  #queue = [];
  /** @type {Entry | undefined} what has the writing side to itself */
  #active;
  /** How many writes outside transactions wait or run: reads made after them wait for them. */
  #pendingWrites = 0;
  /** @type {{ openedAt: number, expired: boolean, timer: NodeJS.Timeout, handle?: OpenTransaction } | undefined} */
  #transaction;
  /** @type {Ledger | undefined} */
  #writer;
  /** @type {Ledger | undefined} */
  #reader;
  /** @type {number | undefined} since when another connection's lock keeps the writing side waiting */
  #lockedSince;
  /** How many reads wait for another connection's lock, outside the queue. */
  #retryingReads = 0;
  #isDrainPlanned = false;
  /** @type {(() => void) | undefined} called when nothing waits or runs any more */
  #whenIdle;
  #timeoutMs;
  #log;

  /**
   * @param {Required<import('../index').DatabaseConfig>} config
   * @param {() => Promise<{ writer: Ledger, reader: Ledger | undefined }>} connect
   */
  constructor(config, connect) {
    this.#timeoutMs = config.timeout;
    this.#log = new Log(config);
    this.#opened = this.#open(connect);
    this.#opened.catch(() => {});
  }

  // --- life ---------------------------------------------------------------------------------

  /** Resolves once it is open; calls made before that wait. */
  get opened() {
    return this.#opened;
  }

  get isOpen() {
    return this.#state === 'open';
  }

  /** @param {() => Promise<{ writer: Ledger, reader: Ledger | undefined }>} connect */
  async #open(connect) {
    try {
      const { writer, reader } = await connect();
      this.#writer = writer;
      this.#reader = reader;
    } catch (error) {
      this.#state = 'closed';
      this.#rejectWaiting((entry) => notConnected(entry.operation, error));
      throw error;
    }
    this.#state = 'open';
    this.#drain();
  }

  /** Lets queued writes end, rolls an open transaction back, and closes. No call follows this one. */
  async close() {
    this.#rejectWaiting(
      (entry) => notConnected(entry.operation),
      (entry) => entry.kind === 'transaction' || entry.canInterrupt,
    );
    // A failure to open has been told to whoever asked to connect.
    if (this.#state === 'opening') await this.#opened.catch(() => {});
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    if (this.#active?.canInterrupt) this.#writer?.interrupt();
    this.#transaction?.handle?.abort(notConnected('transaction'));
    if (this.#active || this.#queue.length > 0 || this.#retryingReads > 0) {
      await new Promise((resolve) => {
        this.#whenIdle = () => resolve(undefined);
        this.#drain();
      });
    }
    await this.#log.settle();
    try {
      await this.#reader?.close();
      await this.#writer?.close();
    } finally {
      this.#state = 'closed';
    }
  }

  // --- calls --------------------------------------------------------------------------------

  /**
   * Reads: at once, unless a write made before waits.
   *
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @returns {Promise<T>}
   */
  read(operation, run) {
    const ledger = this.#readHandle();
    if (this.#state === 'open' && this.#pendingWrites === 0 && ledger) {
      try {
        return Promise.resolve(run(ledger));
      } catch (error) {
        if (!isLocked(error)) return Promise.reject(error);
      }
    }
    return this.#enqueue({ kind: 'read', operation, run });
  }

  /**
   * Writes, behind every write and transaction made before.
   *
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @returns {Promise<T>}
   */
  write(operation, run) {
    return this.#enqueue({ kind: 'write', operation, run });
  }

  /**
   * Works on another thread, with the writing side to itself.
   *
   * @param {string} operation
   * @param {(ledger: Ledger) => Promise<void>} run
   * @param {{ canInterrupt: boolean }} options
   * @returns {Promise<void>}
   */
  job(operation, run, { canInterrupt }) {
    return this.#enqueue({ kind: 'write', operation, run, isJob: true, canInterrupt });
  }

  /**
   * Opens a transaction; resolves when it has begun, with what ends it.
   *
   * @returns {Promise<TransactionTurn>}
   */
  beginTransaction() {
    return this.#enqueue({ kind: 'transaction', operation: 'transaction', run: (ledger) => ledger.begin() });
  }

  // --- the queue ----------------------------------------------------------------------------

  /**
   * @param {Pick<Entry, 'kind' | 'operation' | 'run'> & Partial<Entry>} call
   * @returns {Promise<any>}
   */
  #enqueue(call) {
    if (this.#state === 'closing' || this.#state === 'closed') {
      return Promise.reject(notConnected(call.operation));
    }
    if (this.#transaction?.expired) {
      return Promise.reject(behindTransaction(call.operation, performance.now() - this.#transaction.openedAt));
    }
    return new Promise((resolve, reject) => {
      const queuedAt = performance.now();
      const entry = { isJob: false, canInterrupt: false, ...call, queuedAt, resolve, reject };
      if (this.#state !== 'open') {
        this.#wait(entry);
      } else if (entry.kind === 'read' && this.#pendingWrites === 0 && this.#readHandle()) {
        this.#attempt(entry, performance.now(), 0);
      } else if (entry.kind !== 'read' && !this.#active && this.#queue.length === 0) {
        if (entry.kind === 'write') this.#pendingWrites += 1;
        this.#start(entry);
      } else {
        // Whatever it waits for drains the queue when it ends.
        this.#wait(entry);
      }
    });
  }

  /** @param {Entry} entry */
  #wait(entry) {
    if (entry.kind === 'write') this.#pendingWrites += 1;
    this.#queue.push(entry);
  }

  /** Runs what can run, in order, until it must wait or its slice is over. */
  #drain() {
    if (this.#state !== 'open' && this.#state !== 'closing') return;
    const sliceStart = performance.now();
    /** @type {Entry[]} */
    const waiting = [];
    const queue = this.#queue;
    this.#queue = waiting;
    let isBehindWrite = this.#isWriting();
    let index = 0;
    for (; index < queue.length; index += 1) {
      const entry = queue[index];
      if (performance.now() - sliceStart > SLICE_MS) {
        this.#drainLater();
        break;
      }
      // Writes wait for the writing side, reads for the writes before them: nothing more can run.
      if (this.#active && isBehindWrite) break;
      if (entry.kind === 'read' && !isBehindWrite && this.#readHandle()) {
        this.#attempt(entry, performance.now(), 0);
      } else if (entry.kind !== 'read' && !this.#active) {
        this.#start(entry);
        isBehindWrite = this.#isWriting();
      } else {
        waiting.push(entry);
        isBehindWrite ||= entry.kind === 'write';
      }
    }
    for (; index < queue.length; index += 1) waiting.push(queue[index]);
    if (!this.#active && this.#queue.length === 0 && this.#retryingReads === 0) this.#whenIdle?.();
  }

  /** Gives the loop a turn before the queue goes on. */
  #drainLater() {
    if (this.#isDrainPlanned) return;
    this.#isDrainPlanned = true;
    setImmediate(() => {
      this.#isDrainPlanned = false;
      this.#drain();
    });
  }

  /** Says whether a write outside transactions is under way. */
  #isWriting() {
    return this.#active?.kind === 'write';
  }

  /** @returns {Ledger | undefined} the handle that shows the last committed state */
  #readHandle() {
    return this.#transaction ? this.#reader : this.#writer;
  }

  /**
   * Gives the writing side to an entry.
   *
   * @param {Entry} entry
   */
  #start(entry) {
    const writer = /** @type {Ledger} */ (this.#writer);
    this.#active = entry;
    // A lock that is in the way already counts from when it began to be, or from the call.
    const since = Math.max(entry.queuedAt, this.#lockedSince ?? performance.now());
    if (entry.isJob) {
      runJob(entry, writer).then(
        (value) => this.#finish(entry, value),
        (error) => this.#fail(entry, error),
      );
    } else {
      this.#prepare(entry, since, 0);
    }
  }

  /**
   * Lets another thread begin the log again when the next write would: its first page is synced by
   * whoever writes it.
   *
   * @param {Entry} entry
   * @param {number} since from when the timeout counts
   * @param {number} attempts
   */
  #prepare(entry, since, attempts) {
    const writer = /** @type {Ledger} */ (this.#writer);
    if (!this.#log.mustBegin(writer)) {
      this.#attempt(entry, since, attempts);
      return;
    }
    writer.prepareLog(entry.operation).then(
      () => this.#attempt(entry, since, attempts),
      (error) => this.#retryOrFail(entry, since, attempts, error),
    );
  }

  /**
   * Runs an entry on the handle that is right for it now.
   *
   * @param {Entry} entry
   * @param {number} since from when the timeout counts
   * @param {number} attempts
   */
  #attempt(entry, since, attempts) {
    const ledger = entry.kind === 'read' ? this.#readHandle() : this.#writer;
    if (!ledger) {
      // In memory, where a transaction has begun since the call was let in.
      this.#queue.unshift(entry);
      return;
    }
    let value;
    try {
      value = entry.run(ledger);
    } catch (error) {
      this.#retryOrFail(entry, since, attempts, error);
      return;
    }
    if (entry === this.#active) this.#lockedSince = undefined;
    this.#finish(entry, value);
  }

  /**
   * Tries again a little later while another connection's lock is in the way.
   *
   * @param {Entry} entry
   * @param {number} since from when the timeout counts
   * @param {number} attempts
   * @param {unknown} error
   */
  #retryOrFail(entry, since, attempts, error) {
    if (!isLocked(error)) {
      this.#fail(entry, error);
      return;
    }
    const isActive = entry === this.#active && entry.kind !== 'commit';
    if (isActive) this.#lockedSince ??= since;
    if (performance.now() - since >= this.#timeoutMs) {
      this.#fail(entry, error);
      return;
    }
    const pause = LOCK_PAUSES_MS[Math.min(attempts, LOCK_PAUSES_MS.length - 1)];
    const isRead = entry.kind === 'read';
    if (isRead) this.#retryingReads += 1;
    const retry = () => {
      if (isRead) this.#retryingReads -= 1;
      // Whoever held the lock may have moved the log meanwhile.
      if (isActive) this.#prepare(entry, since, attempts + 1);
      else this.#attempt(entry, since, attempts + 1);
      if (isRead && this.#state === 'closing') this.#drain();
    };
    // Up to half as long again, so that waiting processes do not knock in step.
    setTimeout(retry, pause * (1 + Math.random() / 2));
  }

  /**
   * @param {Entry} entry
   * @param {unknown} value
   */
  #finish(entry, value) {
    if (entry.kind === 'read' || entry.kind === 'commit') {
      entry.resolve(value);
      return;
    }
    if (entry.kind === 'transaction') {
      this.#openTransaction(entry);
      return;
    }
    const writer = /** @type {Ledger} */ (this.#writer);
    this.#log.acknowledge(writer, entry.operation).then(() => entry.resolve(value), entry.reject);
    this.#release(entry);
  }

  /**
   * @param {Entry} entry
   * @param {unknown} error
   */
  #fail(entry, error) {
    entry.reject(error);
    if (entry.kind !== 'read' && entry.kind !== 'commit') this.#release(entry);
  }

  /** @param {Entry} entry */
  #release(entry) {
    if (entry.kind === 'write') this.#pendingWrites -= 1;
    this.#active = undefined;
    if (this.#log.takeCheckpoint() && this.#state === 'open') this.#checkpoint();
    if (this.#queue.length > 0 || this.#state === 'closing') queueMicrotask(() => this.#drain());
  }

  /** Lets writers wait, not block, while another thread moves the log into the file. */
  #checkpoint() {
    this.#start({
      kind: 'upkeep',
      operation: 'checkpoint',
      run: (ledger) => ledger.checkpoint(),
      isJob: true,
      canInterrupt: false,
      queuedAt: performance.now(),
      resolve: () => {},
      reject: (error) => this.#log.warn(error),
    });
  }

  /**
   * @param {(entry: Entry) => unknown} reason
   * @param {(entry: Entry) => boolean} [which]
   */
  #rejectWaiting(reason, which = () => true) {
    const queue = this.#queue;
    this.#queue = queue.filter((entry) => !which(entry));
    for (const entry of queue) {
      if (!which(entry)) continue;
      if (entry.kind === 'write') this.#pendingWrites -= 1;
      entry.reject(reason(entry));
    }
  }

  // --- transactions -------------------------------------------------------------------------

  /** @param {Entry} entry */
  #openTransaction(entry) {
    const openedAt = performance.now();
    const transaction = {
      openedAt,
      expired: false,
      timer: setTimeout(() => {
        transaction.expired = true;
        this.#rejectWaiting((waiting) => behindTransaction(waiting.operation, performance.now() - openedAt));
      }, this.#timeoutMs),
      /** @type {OpenTransaction | undefined} */
      handle: undefined,
    };
    this.#transaction = transaction;
    const end = () => {
      clearTimeout(transaction.timer);
      this.#transaction = undefined;
      this.#release(entry);
    };
    entry.resolve({
      ledger: /** @type {Ledger} */ (this.#writer),
      attach: (/** @type {OpenTransaction} */ handle) => {
        transaction.handle = handle;
        if (this.#state === 'closing') handle.abort(notConnected('transaction'));
      },
      commit: () => this.#commit(end),
      rollBack: () => {
        try {
          this.#writer?.rollBack();
        } finally {
          end();
        }
      },
    });
  }

  /**
   * Commits the open transaction; without a log, readers of other processes can be in the way.
   *
   * @param {() => void} end gives the writing side back
   */
  async #commit(end) {
    const writer = /** @type {Ledger} */ (this.#writer);
    try {
      await new Promise((resolve, reject) => {
        const run = () => writer.commit();
        const queuedAt = performance.now();
        const entry = { operation: 'transaction', run, isJob: false, canInterrupt: false, queuedAt, resolve, reject };
        this.#attempt({ kind: 'commit', ...entry }, queuedAt, 0);
      });
    } catch (error) {
      writer.rollBack();
      end();
      throw error;
    }
    const acknowledged = this.#log.acknowledge(writer, 'transaction');
    end();
    return acknowledged;
  }
}

/**
 * Starts a job; one that fails before it has begun rejects like any other.
 *
 * @param {Entry} entry
 * @param {Ledger} ledger
 */
async function runJob(entry, ledger) {
  return entry.run(ledger);
}

/**
 * @typedef {object} TransactionTurn
 * @property {Ledger} ledger the handle that the transaction is open on
 * @property {(handle: OpenTransaction) => void} attach lets closing end it
 * @property {() => Promise<void>} commit
 * @property {() => void} rollBack
 */

module.exports = { Turn };
