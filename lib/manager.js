// @ts-check
'use strict';

const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');
const { EventEmitter } = require('node:events');
const path = require('node:path');
const { checkSignal, readSignal } = require('./call_options.js');
const { invalidArgument, kindOf, notConnected, transactionState } = require('./error.js');
const { toJson } = require('./json.js');
const native = require('./native.js');
const { FIELDS, readFields } = require('./record.js');
const { Transaction } = require('./transaction.js');
const { Turn } = require('./turn.js');

/**
 * Owns the public `DatabaseManager`: each method reads its arguments when it is called and says
 * whether it reads, writes or works on another thread. When it runs is the turn's business.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('../index').CallOptions | undefined} CallOptions
 */

/** Runs a function outside any caller's context: events are nobody's call. */
const runOutside = AsyncResource.bind((/** @type {() => void} */ run) => run());

class DatabaseManager extends EventEmitter {
  #config;
  /** @type {AsyncLocalStorage<InstanceType<typeof Transaction>> | undefined} made when first needed: it slows promises */
  #storage;
  /** @type {InstanceType<typeof Turn> | undefined} where calls go: absent unless connecting or connected */
  #turn;
  /** @type {Promise<void> | undefined} the present connection's closing, or the last one's */
  #closing;
  /** @type {unknown} why the last connecting failed */
  #failure;

  /** @param {import('../index').DatabaseConfig} config */
  constructor(config) {
    super();
    const valid = native.validateConfig(config, 'DatabaseManager');
    // Absolute from here on: the working directory may change before the next opening.
    this.#config = valid.path === ':memory:' ? valid : { ...valid, path: toAbsolute(valid.path) };
  }

  // --- connection -----------------------------------------------------------------------------

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
        {
          onCheckpointError: (error) => this.#reportCheckpointError(error),
          onReconnect: (reason, error) => runOutside(() => this.emit('reconnect', { reason, error })),
          onLost: (error) => this.#forget(turn, error),
        },
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

  /** @param {unknown} error */
  #reportCheckpointError(error) {
    runOutside(() => {
      // Nobody awaits a checkpoint: unheard, its failure is a warning of the process.
      if (!this.emit('checkpointError', error)) process.emitWarning(/** @type {Error} */ (error));
    });
  }

  disconnect() {
    return attempt(() => {
      this.#refuseInside('disconnect');
      const turn = this.#turn;
      // From here on, calls are refused, or wait for the next connection.
      this.#turn = undefined;
      this.#failure = undefined;
      this.#closing ??= turn ? turn.close() : Promise.resolve();
      return this.#closing;
    });
  }

  isConnected() {
    return this.#turn?.isOpen === true;
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.disconnect();
  }

  // --- schema ---------------------------------------------------------------------------------

  /** @param {CallOptions} [options] */
  initializeSchema(options) {
    return this.#job('initializeSchema', (ledger) => ledger.initializeSchema(), options);
  }

  /** @param {CallOptions} [options] */
  getSchemaVersion(options) {
    return this.#read('getSchemaVersion', (ledger) => ledger.getSchemaVersion(), options);
  }

  // --- sessions -------------------------------------------------------------------------------

  /**
   * @param {import('../index').NewUploadSession} session
   * @param {CallOptions} [options]
   */
  createSession(session, options) {
    return this.#writeRecord('createSession', 'session', session, FIELDS.newSession, [], options);
  }

  /**
   * @param {string} id
   * @param {CallOptions} [options]
   */
  getSession(id, options) {
    return this.#read('getSession', (ledger) => ledger.getSession(id), options);
  }

  /**
   * @param {string} id
   * @param {import('../index').UploadSessionChanges} changes
   * @param {CallOptions} [options]
   */
  updateSession(id, changes, options) {
    return this.#writeRecord('updateSession', 'changes', changes, FIELDS.sessionChanges, [id], options);
  }

  /**
   * @param {string} id
   * @param {import('../index').UploadSessionDeltas} deltas
   * @param {CallOptions} [options]
   */
  incrementSession(id, deltas, options) {
    return this.#writeRecord('incrementSession', 'deltas', deltas, FIELDS.sessionDeltas, [id], options);
  }

  /**
   * @param {import('../index').SessionStatus} [status]
   * @param {CallOptions} [options]
   */
  listSessions(status, options) {
    return this.#read('listSessions', (ledger) => ledger.listSessions(status), options);
  }

  /**
   * @param {string} id
   * @param {CallOptions} [options]
   */
  deleteSession(id, options) {
    return this.#write('deleteSession', (ledger) => ledger.deleteSession(id), options);
  }

  // --- file hashes ----------------------------------------------------------------------------

  /**
   * @param {import('../index').NewFileHash} fileHash
   * @param {import('../index').AddFileHashOptions} [options]
   */
  addFileHash(fileHash, options) {
    return attempt(() => {
      const values = readFields('addFileHash', 'fileHash', fileHash, FIELDS.newFileHash);
      const [onConflict, signal] = readFields('addFileHash', 'options', options ?? {}, FIELDS.addOptions);
      values.push(onConflict);
      return this.#writeValues('addFileHash', values, checkSignal('addFileHash', signal));
    });
  }

  /**
   * @param {string} hash
   * @param {CallOptions} [options]
   */
  getFileHash(hash, options) {
    return this.#read('getFileHash', (ledger) => ledger.getFileHash(hash), options);
  }

  /**
   * @param {string} chatId
   * @param {CallOptions} [options]
   */
  findFileHashes(chatId, options) {
    return this.#read('findFileHashes', (ledger) => ledger.findFileHashes(chatId), options);
  }

  /**
   * @param {string} hash
   * @param {CallOptions} [options]
   */
  deleteFileHash(hash, options) {
    return this.#write('deleteFileHash', (ledger) => ledger.deleteFileHash(hash), options);
  }

  /**
   * @param {string} hash
   * @param {CallOptions} [options]
   */
  isFileUploaded(hash, options) {
    return this.#read('isFileUploaded', (ledger) => ledger.isFileUploaded(hash), options);
  }

  // --- errors ---------------------------------------------------------------------------------

  /**
   * @param {import('../index').NewUploadError} error
   * @param {CallOptions} [options]
   */
  logError(error, options) {
    return this.#writeRecord('logError', 'error', error, FIELDS.newUploadError, [], options);
  }

  /**
   * @param {string} sessionId
   * @param {CallOptions} [options]
   */
  getErrors(sessionId, options) {
    return this.#read('getErrors', (ledger) => ledger.getErrors(sessionId), options);
  }

  /**
   * @param {number} errorId
   * @param {CallOptions} [options]
   */
  incrementRetryCount(errorId, options) {
    return this.#write('incrementRetryCount', (ledger) => ledger.incrementRetryCount(errorId), options);
  }

  /**
   * @param {string} sessionId
   * @param {CallOptions} [options]
   */
  clearErrors(sessionId, options) {
    return this.#write('clearErrors', (ledger) => ledger.clearErrors(sessionId), options);
  }

  // --- settings -------------------------------------------------------------------------------

  /**
   * @param {string} key
   * @param {unknown} value
   * @param {CallOptions} [options]
   */
  setConfig(key, value, options) {
    return attempt(() => {
      const json = toJson('setConfig', value);
      return this.#write('setConfig', (ledger) => ledger.setConfig(key, json), options);
    });
  }

  /**
   * @param {string} key
   * @param {CallOptions} [options]
   */
  getConfig(key, options) {
    const read = (/** @type {Ledger} */ ledger) => {
      const json = ledger.getConfig(key);
      return json === undefined ? undefined : JSON.parse(json);
    };
    return this.#read('getConfig', read, options);
  }

  /**
   * @param {string} key
   * @param {CallOptions} [options]
   */
  deleteConfig(key, options) {
    return this.#write('deleteConfig', (ledger) => ledger.deleteConfig(key), options);
  }

  /** @param {CallOptions} [options] */
  listConfig(options) {
    return this.#read('listConfig', (ledger) => ledger.listConfig(), options);
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
    const transaction = new Transaction(turn.ledger, turn, this.#config.timeout);
    turn.attach(transaction);
    return transaction.execute(storage, run, signal);
  }

  // --- maintenance ----------------------------------------------------------------------------

  /** @param {CallOptions} [options] */
  vacuum(options) {
    const interruption = new native.Interruption();
    return this.#job('vacuum', (ledger) => ledger.vacuum(interruption), options, interruption);
  }

  /** @param {CallOptions} [options] */
  analyze(options) {
    const interruption = new native.Interruption();
    return this.#job('analyze', (ledger) => ledger.analyze(interruption), options, interruption);
  }

  /** @param {CallOptions} [options] */
  getStats(options) {
    const read = (/** @type {Ledger} */ ledger) => {
      const checkpointError = this.#turn?.checkpointError;
      const stats = ledger.getStats();
      return checkpointError === undefined ? stats : { ...stats, checkpointError };
    };
    return this.#read('getStats', read, options);
  }

  /** @param {CallOptions} [options] */
  flush(options) {
    return attempt(() => {
      const signal = readSignal('flush', options);
      this.#refuseInside('flush');
      return this.#requireTurn('flush').flush(signal);
    });
  }

  // --- the way of a call ----------------------------------------------------------------------

  /** @param {string} operation */
  #requireTurn(operation) {
    if (!this.#turn) throw notConnected(operation, this.#failure);
    return this.#turn;
  }

  /** @param {string} operation */
  #refuseInside(operation) {
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
  #read(operation, run, options) {
    try {
      const signal = options === undefined ? undefined : readSignal(operation, options);
      const transaction = this.#storage?.getStore();
      return transaction ? transaction.call(operation, run) : this.#requireTurn(operation).read(operation, run, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @param {CallOptions} options
   * @returns {Promise<T>}
   */
  #write(operation, run, options) {
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
  #writeRecord(operation, name, record, fields, before, options) {
    return attempt(() => {
      const values = [...before, ...readFields(operation, name, record, fields)];
      return this.#writeValues(operation, values, readSignal(operation, options));
    });
  }

  /**
   * @param {keyof Ledger & string} operation the public method, and the addon's
   * @param {unknown[]} values
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<any>}
   */
  #writeValues(operation, values, signal) {
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
    return transaction ? transaction.call(operation, run) : this.#requireTurn(operation).write(operation, run, signal);
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => Promise<T>} run
   * @param {CallOptions} options
   * @param {{ request: () => void }} [interruption] what stops it half-way
   * @returns {Promise<T>}
   */
  #job(operation, run, options, interruption) {
    return attempt(() => {
      const signal = readSignal(operation, options);
      this.#refuseInside(operation);
      return this.#requireTurn(operation).job(operation, run, signal, interruption && (() => interruption.request()));
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
 * Makes a path absolute and leaves it as it is otherwise: a slash at its end names a folder.
 *
 * @param {string} file
 */
function toAbsolute(file) {
  return path.isAbsolute(file) ? file : path.join(process.cwd(), file);
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

module.exports = { DatabaseManager };
