// @ts-check
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const path = require('node:path');
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
 */

class DatabaseManager {
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
      const turn = new Turn(this.#config, async () => {
        await closed?.catch(() => {});
        return openLedgers(this.#config);
      });
      this.#turn = turn;
      turn.opened.catch((error) => {
        if (this.#turn !== turn) return;
        this.#turn = undefined;
        this.#failure = error;
      });
    }
    return this.#turn.opened;
  }

  disconnect() {
    return attempt(() => {
      if (this.#inside('disconnect')) {
        throw transactionState('disconnect', 'not possible inside a transaction; let it end first');
      }
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

  initializeSchema() {
    return this.#job('initializeSchema', (ledger) => ledger.initializeSchema(), { canInterrupt: false });
  }

  getSchemaVersion() {
    return this.#read('getSchemaVersion', (ledger) => ledger.getSchemaVersion());
  }

  // --- sessions -------------------------------------------------------------------------------

  /** @param {import('../index').NewUploadSession} session */
  createSession(session) {
    return attempt(() => {
      const values = readFields('createSession', 'session', session, FIELDS.newSession);
      return this.#write('createSession', (ledger) =>
        ledger.createSession(.../** @type {Parameters<Ledger['createSession']>} */ (values)),
      );
    });
  }

  /** @param {string} id */
  getSession(id) {
    return this.#read('getSession', (ledger) => ledger.getSession(id));
  }

  /**
   * @param {string} id
   * @param {import('../index').UploadSessionChanges} changes
   */
  updateSession(id, changes) {
    return attempt(() => {
      const values = [id, ...readFields('updateSession', 'changes', changes, FIELDS.sessionChanges)];
      return this.#write('updateSession', (ledger) =>
        ledger.updateSession(.../** @type {Parameters<Ledger['updateSession']>} */ (values)),
      );
    });
  }

  /**
   * @param {string} id
   * @param {import('../index').UploadSessionDeltas} deltas
   */
  incrementSession(id, deltas) {
    return attempt(() => {
      const values = [id, ...readFields('incrementSession', 'deltas', deltas, FIELDS.sessionDeltas)];
      return this.#write('incrementSession', (ledger) =>
        ledger.incrementSession(.../** @type {Parameters<Ledger['incrementSession']>} */ (values)),
      );
    });
  }

  /** @param {import('../index').SessionStatus} [status] */
  listSessions(status) {
    return this.#read('listSessions', (ledger) => ledger.listSessions(status));
  }

  /** @param {string} id */
  deleteSession(id) {
    return this.#write('deleteSession', (ledger) => ledger.deleteSession(id));
  }

  // --- file hashes ----------------------------------------------------------------------------

  /**
   * @param {import('../index').NewFileHash} fileHash
   * @param {import('../index').AddFileHashOptions} [options]
   */
  addFileHash(fileHash, options) {
    return attempt(() => {
      const values = readFields('addFileHash', 'fileHash', fileHash, FIELDS.newFileHash);
      values.push(...readFields('addFileHash', 'options', options ?? {}, FIELDS.addOptions));
      return this.#write('addFileHash', (ledger) =>
        ledger.addFileHash(.../** @type {Parameters<Ledger['addFileHash']>} */ (values)),
      );
    });
  }

  /** @param {string} hash */
  getFileHash(hash) {
    return this.#read('getFileHash', (ledger) => ledger.getFileHash(hash));
  }

  /** @param {string} chatId */
  findFileHashes(chatId) {
    return this.#read('findFileHashes', (ledger) => ledger.findFileHashes(chatId));
  }

  /** @param {string} hash */
  deleteFileHash(hash) {
    return this.#write('deleteFileHash', (ledger) => ledger.deleteFileHash(hash));
  }

  /** @param {string} hash */
  isFileUploaded(hash) {
    return this.#read('isFileUploaded', (ledger) => ledger.isFileUploaded(hash));
  }

  // --- errors ---------------------------------------------------------------------------------

  /** @param {import('../index').NewUploadError} error */
  logError(error) {
    return attempt(() => {
      const values = readFields('logError', 'error', error, FIELDS.newUploadError);
      return this.#write('logError', (ledger) =>
        ledger.logError(.../** @type {Parameters<Ledger['logError']>} */ (values)),
      );
    });
  }

  /** @param {string} sessionId */
  getErrors(sessionId) {
    return this.#read('getErrors', (ledger) => ledger.getErrors(sessionId));
  }

  /** @param {number} errorId */
  incrementRetryCount(errorId) {
    return this.#write('incrementRetryCount', (ledger) => ledger.incrementRetryCount(errorId));
  }

  /** @param {string} sessionId */
  clearErrors(sessionId) {
    return this.#write('clearErrors', (ledger) => ledger.clearErrors(sessionId));
  }

  // --- settings -------------------------------------------------------------------------------

  /**
   * @param {string} key
   * @param {unknown} value
   */
  setConfig(key, value) {
    return attempt(() => {
      const json = toJson('setConfig', value);
      return this.#write('setConfig', (ledger) => ledger.setConfig(key, json));
    });
  }

  /** @param {string} key */
  getConfig(key) {
    return this.#read('getConfig', (ledger) => {
      const json = ledger.getConfig(key);
      return json === undefined ? undefined : JSON.parse(json);
    });
  }

  /** @param {string} key */
  deleteConfig(key) {
    return this.#write('deleteConfig', (ledger) => ledger.deleteConfig(key));
  }

  listConfig() {
    return this.#read('listConfig', (ledger) => ledger.listConfig());
  }

  // --- transactions ---------------------------------------------------------------------------

  /**
   * @template T
   * @param {() => T | Promise<T>} run
   * @returns {Promise<T>}
   */
  async transaction(run) {
    if (typeof run !== 'function') {
      throw invalidArgument('transaction', 'fn', `must be a function, not ${kindOf(run)}`);
    }
    this.#storage ??= new AsyncLocalStorage();
    const storage = this.#storage;
    const outer = storage.getStore();
    if (outer) return outer.nest(storage, run);
    const turn = await this.#requireTurn('transaction').beginTransaction();
    const transaction = new Transaction(turn.ledger, turn, this.#config.timeout);
    turn.attach(transaction);
    return transaction.execute(storage, run);
  }

  // --- maintenance ----------------------------------------------------------------------------

  vacuum() {
    return this.#job('vacuum', (ledger) => ledger.vacuum(), { canInterrupt: true });
  }

  analyze() {
    return this.#job('analyze', (ledger) => ledger.analyze(), { canInterrupt: true });
  }

  getStats() {
    return this.#read('getStats', (ledger) => ledger.getStats());
  }

  // --- the way of a call ----------------------------------------------------------------------

  /** @param {string} operation */
  #requireTurn(operation) {
    if (!this.#turn) throw notConnected(operation, this.#failure);
    return this.#turn;
  }

  /** @param {string} operation */
  #inside(operation) {
    const transaction = this.#storage?.getStore();
    transaction?.requireOpen(operation);
    return transaction;
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @returns {Promise<T>}
   */
  #read(operation, run) {
    const transaction = this.#storage?.getStore();
    return transaction
      ? transaction.call(operation, run)
      : attempt(() => this.#requireTurn(operation).read(operation, run));
  }

  /**
   * @template T
   * @param {string} operation
   * @param {(ledger: Ledger) => T} run
   * @returns {Promise<T>}
   */
  #write(operation, run) {
    const transaction = this.#storage?.getStore();
    return transaction
      ? transaction.call(operation, run)
      : attempt(() => this.#requireTurn(operation).write(operation, run));
  }

  /**
   * @param {string} operation
   * @param {(ledger: Ledger) => Promise<void>} run
   * @param {{ canInterrupt: boolean }} options
   * @returns {Promise<void>}
   */
  #job(operation, run, options) {
    return attempt(() => {
      if (this.#inside(operation)) {
        throw transactionState(operation, 'not possible inside a transaction; let it end first');
      }
      return this.#requireTurn(operation).job(operation, run, options);
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
    await writer.close();
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
