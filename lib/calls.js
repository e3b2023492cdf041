// @ts-check
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { readSignal } = require('./call_options.js');
const { aborted, inUse, invalidArgument, kindOf, notConnected, transactionState } = require('./error.js');
const { SHORT_LIST, buildList, collectPages, iteratePages, readIteration } = require('./listing.js');
const native = require('./native.js');
const { readFields } = require('./record.js');
const { checkFile } = require('./recovery.js');
const { Transaction } = require('./transaction.js');
const { Turn } = require('./turn.js');

/**
 * Owns which way a manager's call goes: to the turn of the present connection, or, from inside a
 * transaction's function, to that transaction; and the connections, one behind the other.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('../index').CallOptions | undefined} CallOptions
 */

class Calls {
  #config;
  #events;
  /** @type {AsyncLocalStorage<InstanceType<typeof Transaction>> | undefined} made when first needed: it slows promises */
  #storage;
  /** @type {InstanceType<typeof Turn> | undefined} where calls go: absent unless connecting or connected */
  #turn;
  /** @type {Promise<void> | undefined} the present connection's closing, or the last one's */
  #closing;
  /** @type {unknown} why the last connecting failed */
  #failure;

  /**
   * @param {import('../index').ResolvedConfig} config
   * @param {Omit<import('./turn.js').Events, 'onLost'>} events
   */
  constructor(config, events) {
    this.#config = config;
    this.#events = events;
  }

  // --- connections ----------------------------------------------------------------------------

  connect() {
    if (!this.#turn) {
      const closed = this.#closing;
      this.#closing = undefined;
      this.#failure = undefined;
      const turn = new Turn(
        this.#config,
        async (isFirst) => {
          await closed?.catch(() => {});
          // A file that is gone must not come back empty.
          return openLedgers(isFirst ? this.#config : { ...this.#config, create: false });
        },
        { ...this.#events, onLost: (error) => this.#forget(turn, error) },
      );
      this.#turn = turn;
      turn.opened.catch((error) => this.#forget(turn, error));
    }
    return this.#turn.opened;
  }

  /**
   * Lets go of a connection that could not be opened.
   *
   * @param {InstanceType<typeof Turn>} turn
   * @param {unknown} error
   */
  #forget(turn, error) {
    if (this.#turn !== turn) return;
    this.#turn = undefined;
    this.#failure = error;
  }

  disconnect() {
    return attempt(() => {
      this.refuseInside('disconnect');
      const turn = this.#turn;
      // From here on, calls are refused, or wait for the next connection.
      this.#turn = undefined;
      this.#failure = undefined;
      this.#closing ??= turn ? turn.close() : Promise.resolve();
      return this.#closing;
    });
  }

  get isOpen() {
    return this.#turn?.isOpen === true;
  }

  get checkpointError() {
    return this.#turn?.checkpointError;
  }

  // --- transactions ---------------------------------------------------------------------------

  /**
   * @template T
   * @param {() => T | Promise<T>} run
   * @param {CallOptions} [options]
   * @returns {Promise<T>}
   */
  async transaction(run, options) {
    if (typeof run !== 'function') {
      throw invalidArgument('transaction', 'fn', `must be a function, not ${kindOf(run)}`);
    }
    const signal = readSignal('transaction', options);
    this.#storage ??= new AsyncLocalStorage();
    const storage = this.#storage;
    const outer = storage.getStore();
    if (outer) return outer.nest(storage, run, signal);
    const turn = await this.#requireTurn('transaction').beginTransaction(signal);
    const transaction = new Transaction(turn.ledger, turn, turn.loopTurn, this.#config.timeout);
    turn.attach(transaction);
    return transaction.execute(storage, run, signal);
  }

  // --- calls ----------------------------------------------------------------------------------

  /** @param {CallOptions} [options] */
  flush(options) {
    return attempt(() => {
      const signal = readSignal('flush', options);
      this.refuseInside('flush');
      return this.#requireTurn('flush').flush(signal);
    });
  }

  /** @param {string} operation */
  #requireTurn(operation) {
    if (!this.#turn) throw notConnected(operation, this.#failure);
    return this.#turn;
  }

  /** @param {string} operation */
  refuseInside(operation) {
    const transaction = this.#storage?.getStore();
    if (!transaction) return;
    transaction.requireOpen(operation);
    throw transactionState(operation, 'not possible inside a transaction; let it end first');
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @param {CallOptions} options
   * @returns {Promise<T>}
   */
  read(operation, run, options) {
    try {
      return this.#startRead(operation, run, options === undefined ? undefined : readSignal(operation, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<T>}
   */
  #startRead(operation, run, signal) {
    const transaction = this.#storage?.getStore();
    return transaction
      ? transaction.call(operation, run, signal)
      : this.#requireTurn(operation).read(operation, run, signal);
  }

  /**
   * Reads in pieces, each a read of its own.
   *
   * @param {string} operation
   * @param {{ isDone: boolean }} work
   * @param {(ledger: Ledger) => void} next reads a piece
   * @param {CallOptions} options
   */
  async readPieces(operation, work, next, options) {
    const signal = readSignal(operation, options);
    for (;;) {
      if (signal?.aborted) throw aborted(operation, signal.reason);
      // One at least, which says when it cannot be.
      await this.#startRead(operation, next, signal);
      if (work.isDone) return;
      await this.#turn?.pause();
    }
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @param {CallOptions} options
   * @returns {Promise<T>}
   */
  write(operation, run, options) {
    return attempt(() => this.#startWrite(operation, run, readSignal(operation, options)));
  }

  /**
   * Writes a record, whose fields are read now: what the caller does to it later changes nothing.
   *
   * @param {keyof Ledger & string} operation the public method, and the addon's
   * @param {string} name the parameter
   * @param {unknown} record
   * @param {readonly string[]} fields
   * @param {unknown[]} before the arguments before the record's
   * @param {CallOptions} options
   * @returns {Promise<any>}
   */
  writeRecord(operation, name, record, fields, before, options) {
    return attempt(() => {
      const values = [...before, ...readFields(operation, name, record, fields)];
      return this.writeValues(operation, values, readSignal(operation, options));
    });
  }

  /**
   * @param {keyof Ledger & string} operation the public method, and the addon's
   * @param {unknown[]} values
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<any>}
   */
  writeValues(operation, values, signal) {
    const run = (/** @type {any} */ ledger) => ledger[operation](...values);
    return this.#startWrite(operation, run, signal);
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<T>}
   */
  #startWrite(operation, run, signal) {
    const transaction = this.#storage?.getStore();
    return transaction
      ? transaction.call(operation, run, signal)
      : this.#requireTurn(operation).enqueue('write', operation, run, signal);
  }

  /**
   * Reads a list: a short one at once, a long one without keeping the loop.
   *
   * @param {'findFileHashes' | 'getErrors' | 'listSessions'} operation
   * @param {any} filter
   * @param {'fileHashPage' | 'errorPage' | 'sessionPage'} page the addon's method for a part of it
   * @param {import('./rows.js').Builder} build
   * @param {CallOptions} options
   * @returns {Promise<any[]>}
   */
  async list(operation, filter, page, build, options) {
    const signal = readSignal(operation, options);
    const checkSignal = () => {
      if (signal?.aborted) throw aborted(operation, signal.reason);
    };
    const readShort = () => this.#startRead(operation, (ledger) => ledger.upTo[operation](SHORT_LIST, filter), signal);
    const storage = this.#storage;
    const transaction = storage?.getStore();
    if (storage && transaction) {
      // Only its own handle sees what it has written: other calls wait until all pages are read.
      const readPages = () =>
        collectPages(async (cursor) => {
          await this.#turn?.pause();
          return this.#startRead(operation, (/** @type {any} */ ledger) => ledger[page](filter, cursor), signal);
        });
      return transaction.nest(storage, async () => (await readShort()) ?? readPages(), signal, operation);
    }
    const short = await readShort();
    if (short) return short;
    checkSignal();
    const turn = this.#requireTurn(operation);
    const interruption = new native.Interruption();
    const start = (/** @type {Ledger} */ ledger) => ledger.readList(operation, filter, interruption);
    const packed = await turn.readInBackground(operation, interruption, start, signal);
    return buildList(packed, build, () => turn.pause(), checkSignal);
  }

  /**
   * @param {'iterateFileHashes' | 'iterateErrors' | 'iterateSessions'} operation
   * @param {string} filter the name of the option that narrows the list
   * @param {'fileHashPage' | 'errorPage' | 'sessionPage'} page the addon's method for a part of it
   * @param {unknown} options
   * @returns {AsyncGenerator<any, void, undefined>}
   */
  iterate(operation, filter, page, options) {
    const { only, after, limit, signal } = readIteration(operation, filter, options);
    return iteratePages(
      async (cursor, records) => {
        if (signal?.aborted) throw aborted(operation, signal.reason);
        return this.#startRead(operation, (/** @type {any} */ ledger) => ledger[page](only, cursor, records), signal);
      },
      after,
      limit,
    );
  }

  /**
   * Writes many records in one transaction: inside another, in a savepoint of it.
   *
   * @template T
   * @param {string} operation
   * @param {{ isDone: boolean, isShort: boolean, finish: () => T }} batch
   * @param {(ledger: Ledger) => void} next writes a part of it
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<T>}
   */
  writeBatch(operation, batch, next, signal) {
    const storage = this.#storage;
    const transaction = storage?.getStore();
    if (!storage || !transaction) {
      const steps = {
        get isDone() {
          return batch.isDone;
        },
        next,
        finish: () => batch.finish(),
      };
      return this.#requireTurn(operation).batch(operation, steps, signal);
    }
    if (batch.isShort) {
      const run = (/** @type {Ledger} */ ledger) => {
        if (!batch.isDone) next(ledger);
        return batch.finish();
      };
      return transaction.call(operation, run, signal);
    }
    const run = async () => {
      while (!batch.isDone) {
        await this.#turn?.pause();
        await storage.getStore()?.call(operation, next);
      }
      return batch.finish();
    };
    return transaction.nest(storage, run, signal, operation);
  }

  /**
   * Checks the file, whether or not it is connected, or can be: as it is last committed.
   *
   * @param {boolean} deep
   * @param {number | undefined} maxMs
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<import('../index').IntegrityReport>}
   */
  async checkIntegrity(deep, maxMs, signal) {
    if (this.#config.path === ':memory:') {
      return this.#startRead('checkIntegrity', (ledger) => ledger.checkIntegrity(deep, maxMs), signal);
    }
    return checkFile(this.#config, deep, maxMs, signal, this.#turn);
  }

  /**
   * Repairs the file: for that, nobody may have it open, this manager least of all.
   *
   * @param {boolean} dryRun
   * @param {InstanceType<typeof import('./progress.js').ProgressWatch>} watch what is told of it
   * @returns {Promise<import('../index').RepairReport>}
   */
  async repair(dryRun, watch) {
    this.refuseInside('repair');
    if (this.#turn && !dryRun) throw inUse('repair');
    await this.#closing?.catch(() => {});
    return native.repair(this.#config, dryRun, watch.progress, watch.interruption);
  }

  /**
   * Works on another thread beside everything else, once what was written before is committed; a
   * database in memory has one handle for all.
   *
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => Promise<T>} run
   * @param {CallOptions} options
   * @param {{ request: () => void }} interruption what stops it half-way
   * @returns {Promise<T>}
   */
  async beside(operation, run, options, interruption) {
    if (this.#config.path === ':memory:') return this.job(operation, run, options, interruption);
    const signal = readSignal(operation, options);
    this.refuseInside(operation);
    await this.#startRead(operation, () => {}, signal);
    if (signal?.aborted) throw aborted(operation, signal.reason);
    return this.#requireTurn(operation).readInBackground(operation, interruption, run, signal);
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => Promise<T>} run
   * @param {CallOptions} options
   * @param {{ request: () => void }} [interruption] what stops it half-way
   * @returns {Promise<T>}
   */
  job(operation, run, options, interruption) {
    return attempt(() => {
      const signal = readSignal(operation, options);
      this.refuseInside(operation);
      return this.#requireTurn(operation).enqueue(
        'job',
        operation,
        run,
        signal,
        interruption && (() => interruption.request()),
      );
    });
  }
}

/**
 * Opens the handle that writes and, for a file, the one that reads beside a transaction.
 *
 * @param {import('../index').DatabaseConfig} config
 */
async function openLedgers(config) {
  const writer = await native.openLedger(config, false);
  if (config.path === ':memory:') return { writer, reader: undefined };
  try {
    return { writer, reader: await native.openLedger(config, true) };
  } catch (error) {
    await writer.close(true);
    throw error;
  }
}

/**
 * Turns what is thrown before a promise exists into its rejection.
 *
 * @template T
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
function attempt(call) {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}

module.exports = { Calls, attempt };
