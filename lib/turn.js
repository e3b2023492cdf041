// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');
const { Background } = require('./background.js');
const { CallQueue } = require('./call_queue.js');
const { joinUpkeep, runSlice, runSteps, settleSlice } = require('./commit.js');
const { fitsSlice, isWrite, watchSignal } = require('./entry.js');
const { aborted, behindTransaction, isIoFailure, isLocked, locked, notConnected } = require('./error.js');
const { Handles } = require('./handles.js');
const { LockWait, pauseAfter } = require('./lock_wait.js');
const { Log } = require('./log.js');
const { LoopTurn } = require('./loop_turn.js');
const { ExpiryTimer, TransactionTurn } = require('./transaction_turn.js');

/**
 * Owns when a call runs, for one connection of a manager from opening to closing: the queue, the
 * slices of the loop's turns, waiting for other connections' locks, and the work that must not
 * happen on the event loop's thread. ARCHITECTURE.md draws its states.
 *
 * Nothing here knows SQL or records. A call is a function of a ledger (the addon's handle) that
 * runs to its end at once. While a transaction is open on the writing handle, or the log's thread
 * has it, reads from outside use a second one.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('./entry.js').Entry} Entry
 * @typedef {object} Events what the manager is told
 * @property {(error: unknown) => void} onCheckpointError
 * @property {(reason: 'IOERR' | 'replaced', error: unknown) => void} onReconnect
 * @property {(error: unknown) => void} onLost the connection failed and could not be opened again
 */

/** How long a writer with much to do pauses while others want the file's lock. */
const COURTESY_MS = 2;

class Turn {
  /** @type {'opening' | 'open' | 'closing' | 'closed'} */
  #state = 'opening';
  /** @type {Promise<void>} */
  #opened;
  #queue = new CallQueue();
  /** @type {Entry | undefined} the job or transaction that has the writing side to itself */
  #active;
  /** @type {unknown} why the batch that runs now was not committed */
  #batchFailure;
  /** Whether the writing side waits: for a lock of another connection, or for the log. */
  #isHeld = false;
  /** @type {Set<Entry>} reads that wait for another connection's lock, outside the queue */
  #retryingReads = new Set();
  /** @type {InstanceType<typeof TransactionTurn> | undefined} */
  #transaction;
  #hasWritten = false;
  #isDrainPlanned = false;
  #background = new Background();
  #expiry;
  #loopTurn;
  #lockWait = new LockWait();
  /** @type {unknown} why the connection could not be opened */
  #failure;
  /** @type {(() => void) | undefined} called when nothing waits or runs any more */
  #whenIdle;
  #config;
  #events;
  #handles;
  #log;

  /**
   * @param {import('../index').ResolvedConfig} config
   * @param {(isFirst: boolean) => Promise<import('./handles.js').Pair>} connect
   * @param {Events} events
   */
  constructor(config, connect, events) {
    this.#config = config;
    this.#handles = new Handles(connect);
    this.#expiry = new ExpiryTimer(config.timeout);
    this.#loopTurn = new LoopTurn(
      config.enableWAL && config.path !== ':memory:',
      () => this.#isFree() && this.#handles.writer.isReplaced && this.#reopen('replaced'),
      () => this.#onTurnEnd(),
    );
    this.#events = events;
    this.#log = new Log(config, events.onCheckpointError, (work) => {
      this.#loopTurn.releaseSnapshot();
      return this.#handles.lendWriter(work);
    });
    this.#opened = this.#open(true);
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

  get checkpointError() {
    return this.#log.checkpointError;
  }

  /** @param {boolean} isFirst */
  async #open(isFirst) {
    try {
      await this.#handles.open(isFirst);
    } catch (error) {
      this.#state = 'closed';
      this.#failure = error;
      this.#queue.rejectWaiting((entry) => notConnected(entry.operation, error));
      throw error;
    }
    this.#state = 'open';
    this.#drain();
  }

  /**
   * Opens both handles again: a file that was replaced is another one, and a handle that failed
   * at I/O may have lost what it knows of its file. Calls wait meanwhile.
   * @type {(reason: 'IOERR' | 'replaced', error?: unknown) => void}
   */
  #reopen(reason, error) {
    this.#state = 'opening';
    this.#loopTurn.forgetSnapshot();
    this.#opened = this.#handles
      .close(true)
      .catch(() => {})
      .then(() => this.#open(false));
    this.#opened.then(() => this.#events.onReconnect(reason, error), this.#events.onLost);
  }

  /** Lets queued writes end, rolls an open transaction back, and closes. No call follows this one. */
  async close() {
    this.#queue.rejectWaiting(
      (entry) => notConnected(entry.operation),
      (entry) => entry.kind === 'transaction' || entry.interrupt !== undefined,
    );
    // A failure to open has been told to whoever asked to connect.
    if (this.#state === 'opening') await this.#opened.catch(() => {});
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    this.#active?.interrupt?.();
    this.#transaction?.abort(notConnected('transaction'));
    await this.#background.close();
    if (!this.#isIdle()) {
      await new Promise((resolve) => {
        this.#whenIdle = () => resolve(undefined);
        this.#drainSoon();
      });
    }
    this.#loopTurn.releaseSnapshot();
    try {
      await this.#handles.close(await this.#log.finish(this.#handles.writer));
    } finally {
      this.#expiry.close();
      this.#state = 'closed';
    }
  }

  #isIdle() {
    return !this.#active && !this.#isHeld && this.#queue.length === 0 && this.#retryingReads.size === 0;
  }

  // --- calls --------------------------------------------------------------------------------

  /**
   * Reads: at once, unless a write made before waits or the turn has lasted long enough.
   *
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T | Promise<T>} run
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  read(operation, run, signal) {
    if (this.#queue.pendingWrites === 0 && this.#state === 'open' && this.#loopTurn.hasTimeForOne()) {
      const ledger = this.#readHandle();
      if (ledger && this.#state === 'open') {
        try {
          return Promise.resolve(this.#loopTurn.read(ledger, run));
        } catch (error) {
          if (!isLocked(error) && !this.#mustReopen(error)) return Promise.reject(error);
        }
      }
    }
    return this.enqueue('read', operation, run, signal);
  }

  /**
   * Writes in many steps, in one transaction and in as many turns of the loop as they need.
   *
   * @template T
   * @param {string} operation
   * @param {import('./commit.js').Steps<T>} steps
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  batch(operation, steps, signal) {
    const run = (/** @type {Ledger} */ writer) => {
      writer.begin();
      return runSteps(writer, operation, steps, {
        pause: () => this.pause(),
        acknowledge: () => this.#log.acknowledge(writer, operation),
        fail: (error) => {
          this.#batchFailure = error;
        },
        signal,
        timeoutMs: this.#config.timeout,
      });
    };
    return this.enqueue('job', operation, run, signal);
  }

  /**
   * Reads on another thread, beside everything else, what is committed when it begins.
   *
   * @template T
   * @param {string} operation
   * @param {{ request: () => void }} interruption what stops it
   * @param {(ledger: Ledger) => Promise<T>} start
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async readInBackground(operation, interruption, start, signal) {
    if (!this.#hasHandles) throw notConnected(operation);
    const { writer } = this.#handles;
    return this.#background.run(operation, interruption, () => start(writer), signal);
  }

  /** Waits until the disk has all writes and transactions made before. @param {AbortSignal} [signal] */
  flush(signal) {
    return this.enqueue('upkeep', 'flush', (writer) => this.#log.flush(writer, 'flush'), signal);
  }

  /**
   * Opens a transaction; resolves when it has begun, with what ends it.
   * @type {(signal?: AbortSignal) => Promise<InstanceType<typeof TransactionTurn>>}
   */
  beginTransaction(signal) {
    return this.enqueue('transaction', 'transaction', (ledger) => ledger.begin(), signal);
  }

  pause() {
    return this.#loopTurn.pause();
  }

  // --- the queue ----------------------------------------------------------------------------

  /**
   * Lets a call wait for its turn: a write behind every write and transaction made before, in one
   * commit with its neighbours; a job with the writing side to itself until its promise settles.
   *
   * @param {Entry['kind']} kind
   * @param {string} operation
   * @param {Entry['run']} run
   * @param {AbortSignal} [signal]
   * @param {() => void} [interrupt] stops a job half-way
   * @returns {Promise<any>}
   */
  enqueue(kind, operation, run, signal, interrupt) {
    if (signal?.aborted) return Promise.reject(aborted(operation, signal.reason));
    if (this.#state === 'closing' || this.#state === 'closed')
      return Promise.reject(notConnected(operation, this.#failure));
    // Reads go on beside it by the reader, now or, when this turn has lasted long enough, in the next.
    const isFreeRead = kind === 'read' && this.#queue.pendingWrites === 0 && this.#handles.reader !== undefined;
    if (this.#transaction?.isExpired && !isFreeRead)
      return Promise.reject(behindTransaction(operation, this.#transaction.ageMs));
    return new Promise((resolve, reject) => {
      const queuedAt = kind === 'read' ? 0 : performance.now();
      /** @type {Entry} */
      const entry = { kind, operation, run, interrupt, queuedAt, resolve, reject };
      if (signal) watchSignal(entry, signal, (error) => this.#abort(entry, error));
      this.#queue.push(entry);
      this.#drainSoon();
    });
  }

  /** @type {(entry: Entry, error: unknown) => void} */
  #abort(entry, error) {
    if (this.#active === entry) entry.interrupt?.();
    if (!this.#queue.includes(entry) && !this.#retryingReads.delete(entry)) return;
    this.#queue.giveUp(entry, error);
    this.#drainSoon();
  }

  /** Lets the queue go on at the end of what runs now, so that calls made together run together. */
  #drainSoon() {
    if (this.#isDrainPlanned) return;
    this.#isDrainPlanned = true;
    queueMicrotask(() => this.#drain());
  }

  /** Runs what can run, in order, until it must wait or the turn has lasted long enough. */
  #drain() {
    this.#isDrainPlanned = false;
    if (!this.#hasHandles) return;
    // No turn begins for what cannot run before the writing side is free: the loop would never rest.
    if (this.#queue.length > 0 && (this.#isStuck || !this.#loopTurn.hasTime())) return;
    const queue = this.#queue.take();
    // Reads pass what waits for the writing side, but no write that was made before them.
    let isBehindWrite = this.#active?.kind === 'job';
    let waiting = 0;
    let index = 0;
    while (index < queue.length && this.#hasHandles) {
      const entry = queue[index];
      const isTaken = this.#active !== undefined || this.#isHeld;
      if (isTaken && isBehindWrite) break;
      if (isTaken && entry.kind !== 'read') {
        queue[waiting++] = entry;
        isBehindWrite = isWrite(entry);
        index += 1;
        continue;
      }
      if (!(entry.kind === 'read' ? this.#loopTurn.hasTimeForOne() : this.#loopTurn.hasTime())) break;
      if (entry.kind === 'read') {
        if (isBehindWrite || !this.#startRead(entry)) queue[waiting++] = entry;
        index += 1;
      } else {
        index += this.#start(queue, index);
        isBehindWrite ||= this.#active?.kind === 'job';
      }
    }
    queue.splice(waiting, index - waiting);
    this.#queue.restore(queue);
    if (this.#isIdle()) this.#whenIdle?.();
  }

  #onTurnEnd() {
    if (this.#hasWritten && this.#isFree()) {
      this.#hasWritten = false;
      // Without a pause, others would hardly ever find the lock free.
      const isCourteous = this.#lockWait.isContended && this.#queue.length > 0;
      const pause = () => new Promise((resolve) => setTimeout(resolve, COURTESY_MS));
      this.#hold(isCourteous ? pause() : this.#log.tidy(this.#handles.writer));
    }
    this.#drain();
  }

  /** Whether calls can run: not between two pairs of handles. */
  get #hasHandles() {
    return this.#state === 'open' || this.#state === 'closing';
  }

  /** Whether nothing that waits can run before the writing side is free. */
  get #isStuck() {
    if (!this.#active && !this.#isHeld) return false;
    if (this.#active?.kind === 'job' || (this.#transaction && !this.#handles.reader)) return true;
    return !this.#queue.hasFreeRead;
  }

  /** Says whether the connection is open and nothing has its writing side. */
  #isFree() {
    return this.#state === 'open' && !this.#active && !this.#isHeld;
  }

  /**
   * @returns {Ledger | undefined} the handle that shows the last committed state; none when a job has it, or it is
   *   better to wait: a transaction that began in this turn will often end in it, and the second handle knows less
   */
  #readHandle() {
    if (this.#active?.kind === 'job') return undefined;
    if (!this.#transaction) return this.#handles.forReading;
    return this.#transaction.turnNumber === this.#loopTurn.number ? undefined : this.#handles.reader;
  }

  /**
   * Reads for a call that was queued; tries again a little later while a lock is in the way.
   *
   * @type {(entry: Entry, attempts?: number, since?: number) => boolean} since when the timeout counts; false
   *   when it must wait in the queue: there is no handle for it now
   */
  #startRead(entry, attempts = 0, since = 0) {
    const ledger = this.#readHandle();
    if (!ledger || !this.#hasHandles) return false;
    try {
      entry.resolve(this.#loopTurn.read(ledger, entry.run));
    } catch (error) {
      if (this.#mustReopen(error)) return false;
      const metAt = since || performance.now();
      if (!isLocked(error) || performance.now() - metAt >= this.#config.timeout) {
        entry.reject(error);
        return true;
      }
      this.#retryingReads.add(entry);
      setTimeout(() => {
        const isWanted = this.#retryingReads.delete(entry);
        if (isWanted && !this.#startRead(entry, attempts + 1, metAt)) this.#queue.unshift(entry);
        this.#drain();
      }, pauseAfter(attempts));
    }
    return true;
  }

  /** Opens the handles again after a failure of I/O; says whether it does. @param {unknown} error */
  #mustReopen(error) {
    const { path, readonly } = this.#config;
    if (!isIoFailure(error, readonly) || !this.#isFree() || path === ':memory:') return false;
    if (!this.#handles.claimReopening()) return false;
    this.#reopen('IOERR', error);
    return true;
  }

  /**
   * Lets reads that need not wait for a transaction run in it, before anything of its own does: they see what
   * is committed, without locks of their own.
   * @type {(queue: Entry[], index: number, writer: Ledger) => boolean} those that ran are taken out; false when the
   *   transaction is lost to a failure of one, and rolled back
   */
  #readAhead(queue, index, writer) {
    for (let next = index; next < queue.length && !isWrite(queue[next]); ) {
      const entry = queue[next];
      if (entry.kind !== 'read') {
        next += 1;
        continue;
      }
      if (!this.#loopTurn.hasTime()) break;
      queue.splice(next, 1);
      try {
        entry.resolve(entry.run(writer));
      } catch (error) {
        const isLost = !writer.inTransaction;
        if (isLost) writer.rollBack();
        if (isLost && this.#mustReopen(error)) queue.splice(next, 0, entry);
        else entry.reject(error);
        if (isLost) return false;
      }
    }
    return true;
  }

  // --- the writing side ---------------------------------------------------------------------

  /**
   * Gives the writing side to the call at `index`, and to writes and reads behind it as far as
   * they fit into one commit.
   *
   * @param {Entry[]} queue
   * @param {number} index
   * @returns {number} how many calls are dealt with; none when the first must wait
   */
  #start(queue, index) {
    const entry = queue[index];
    const { writer } = this.#handles;
    this.#loopTurn.releaseSnapshot();
    this.#hasWritten = true;
    try {
      const ready = this.#log.prepareWrite(writer, entry.operation);
      if (ready) {
        this.#hold(ready, entry);
        return 0;
      }
      const next = queue[index + 1];
      if (entry.kind === 'write' && next !== undefined && fitsSlice(next))
        return this.#commitSlice(queue, index, writer);
      const value = entry.run(writer);
      this.#lockWait.end();
      if (entry.kind === 'transaction') {
        if (!this.#readAhead(queue, index + 1, writer)) return 0;
        this.#openTransaction(entry, writer);
      } else if (entry.kind === 'write') this.#settle([entry], [value], writer);
      else {
        this.#startJob(entry, value);
        if (entry.kind === 'upkeep') return 1 + joinUpkeep(queue, index + 1, value);
      }
    } catch (error) {
      return this.#refuse(entry, error);
    }
    return 1;
  }

  /**
   * Runs a write and its neighbours in one commit, and settles each; gives how many are dealt with.
   *
   * @type {(queue: Entry[], start: number, writer: Ledger) => number}
   */
  #commitSlice(queue, start, writer) {
    const slice = runSlice(queue, start, writer, () => this.#loopTurn.hasTime());
    this.#lockWait.end();
    const count = slice.done.length + slice.failed.length;
    if (this.#hold(this.#log.makeRoom(writer, queue.slice(start, start + count), slice.lostTo))) return 0;
    for (const { entry, error } of slice.failed) this.#queue.giveUp(entry, error);
    if (slice.lostTo === undefined) {
      if (slice.done.length > 0) this.#settle(slice.done, slice.values, writer);
    } else {
      for (const entry of slice.done) {
        // A read has nothing to lose: it sees what is there now.
        if (entry.kind !== 'read' || !this.#startRead(entry)) this.#queue.giveUp(entry, slice.lostTo);
      }
      this.#mustReopen(slice.lostTo);
    }
    return count;
  }

  /**
   * Resolves calls whose commit is done, or, with `synchronous: 'FULL'`, when the disk has it.
   * @type {(entries: Entry[], values: unknown[], writer: Ledger) => void}
   */
  #settle(entries, values, writer) {
    for (const entry of entries) this.#queue.end(entry);
    settleSlice(entries, values, this.#log.acknowledge(writer, entries[0].operation));
  }

  /**
   * Deals with a call that failed before it had the writing side: a lock is waited for.
   * @type {(entry: Entry, error: unknown) => number} gives how many calls are dealt with
   */
  #refuse(entry, error) {
    if (!isLocked(error)) {
      if (this.#hold(this.#log.makeRoom(this.#handles.writer, [entry], error))) return 0;
      this.#queue.giveUp(entry, error);
      this.#mustReopen(error);
      return 1;
    }
    const pauseMs = this.#lockWait.meet();
    this.#hold(new Promise((resolve) => setTimeout(resolve, pauseMs)).then(() => this.#expireLocked(error)));
    return 0;
  }

  /** @param {unknown} error what the last attempt at the lock met */
  #expireLocked(error) {
    // Calls made before the lock came in the way give up together, not one after the other.
    this.#queue.rejectWaiting(
      (entry) => locked(entry.operation, error),
      (entry) => entry.kind !== 'read' && this.#lockWait.waitedMs(entry.queuedAt) >= this.#config.timeout,
    );
    // Who comes next has not met the lock yet.
    if (!this.#queue.hasWriters) this.#lockWait.end();
  }

  /**
   * Keeps the writing side until `ready`, if it must; a failure is the waiting call's.
   * @type {(ready: Promise<unknown> | undefined, entry?: Entry) => boolean}
   */
  #hold(ready, entry) {
    if (!ready) return false;
    this.#isHeld = true;
    ready.then(
      () => {
        this.#isHeld = false;
        this.#drain();
      },
      (error) => {
        this.#isHeld = false;
        // A signal may have taken it out of the queue meanwhile.
        if (entry && this.#queue.includes(entry)) this.#refuse(entry, error);
        this.#drain();
      },
    );
    return true;
  }

  /**
   * Lets a job have the writing side until its promise settles.
   * @type {(entry: Entry, work: Promise<unknown>) => void}
   */
  #startJob(entry, work) {
    this.#active = entry;
    const end = () => {
      this.#active = undefined;
      this.#queue.end(entry);
      this.#mustReopen(this.#batchFailure);
      this.#batchFailure = undefined;
      this.#drainSoon();
    };
    work.then(
      (value) => {
        end();
        entry.resolve(value);
      },
      (error) => {
        end();
        entry.reject(error);
      },
    );
  }

  /**
   * Lets a transaction have the writing side until it ends.
   * @type {(entry: Entry, writer: Ledger) => void}
   */
  #openTransaction(entry, writer) {
    const transaction = new TransactionTurn(writer, this.#expiry, this.#loopTurn, {
      onExpire: () => this.#queue.rejectWaiting((waiting) => behindTransaction(waiting.operation, transaction.ageMs)),
      acknowledge: () => this.#log.acknowledge(writer, 'transaction'),
      onEnd: (error) => {
        this.#transaction = undefined;
        this.#active = undefined;
        this.#mustReopen(error);
        this.#drainSoon();
      },
    });
    this.#active = entry;
    this.#transaction = transaction;
    entry.resolve(transaction);
  }
}

module.exports = { Turn };
