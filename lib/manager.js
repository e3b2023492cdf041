// @ts-check
'use strict';

const { AsyncResource } = require('node:async_hooks');
const { EventEmitter } = require('node:events');
const path = require('node:path');
const { packErrors, packFileHashes, packHashes, packSessionUpdates } = require('./batch.js');
const { checkSignal, readFlag, readMilliseconds, readSignal } = require('./call_options.js');
const { Calls, attempt } = require('./calls.js');
const { invalidArgument, kindOf } = require('./error.js');
const { toJson } = require('./json.js');
const native = require('./native.js');
const { ProgressWatch } = require('./progress.js');
const { FIELDS, readFields } = require('./record.js');
const { buildErrors, buildFileHashes, buildSessions } = require('./rows.js');

/**
 * Owns the public `DatabaseManager`: each method reads its arguments when it is called and says
 * whether it reads, writes or works on another thread. Where it goes is the business of `calls.js`.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('../index').CallOptions | undefined} CallOptions
 */

/** Runs a function outside any caller's context: events are nobody's call. */
const runOutside = AsyncResource.bind((/** @type {() => void} */ run) => run());

class DatabaseManager extends EventEmitter {
  #calls;

  /** @param {import('../index').DatabaseConfig} config */
  constructor(config) {
    super();
    const valid = native.validateConfig(config, 'DatabaseManager');
    // Absolute from here on: the working directory may change before the next opening.
    const absolute = valid.path === ':memory:' ? valid : { ...valid, path: toAbsolute(valid.path) };
    this.#calls = new Calls(absolute, {
      onCheckpointError: (error) => this.#reportCheckpointError(error),
      onReconnect: (reason, error) => runOutside(() => this.emit('reconnect', { reason, error })),
    });
  }

  // --- connection -----------------------------------------------------------------------------

  connect() {
    return this.#calls.connect();
  }

  disconnect() {
    return this.#calls.disconnect();
  }

  isConnected() {
    return this.#calls.isOpen;
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.disconnect();
  }

  /** @param {unknown} error */
  #reportCheckpointError(error) {
    runOutside(() => {
      // Nobody awaits a checkpoint: unheard, its failure is a warning of the process.
      if (!this.emit('checkpointError', error)) process.emitWarning(/** @type {Error} */ (error));
    });
  }

  // --- schema ---------------------------------------------------------------------------------

  /** @param {CallOptions} [options] */
  initializeSchema(options) {
    return this.#calls.job('initializeSchema', (ledger) => ledger.initializeSchema(), options);
  }

  /** @param {CallOptions} [options] */
  getSchemaVersion(options) {
    return this.#calls.read('getSchemaVersion', (ledger) => ledger.getSchemaVersion(), options);
  }

  // --- sessions -------------------------------------------------------------------------------

  /**
   * @param {import('../index').NewUploadSession} session
   * @param {CallOptions} [options]
   */
  createSession(session, options) {
    return this.#calls.writeRecord('createSession', 'session', session, FIELDS.newSession, [], options);
  }

  /**
   * @param {string} id
   * @param {CallOptions} [options]
   */
  getSession(id, options) {
    return this.#calls.read('getSession', (ledger) => ledger.getSession(id), options);
  }

  /**
   * @param {string} id
   * @param {import('../index').UploadSessionChanges} changes
   * @param {CallOptions} [options]
   */
  updateSession(id, changes, options) {
    return this.#calls.writeRecord('updateSession', 'changes', changes, FIELDS.sessionChanges, [id], options);
  }

  /**
   * @param {string} id
   * @param {import('../index').UploadSessionDeltas} deltas
   * @param {CallOptions} [options]
   */
  incrementSession(id, deltas, options) {
    return this.#calls.writeRecord('incrementSession', 'deltas', deltas, FIELDS.sessionDeltas, [id], options);
  }

  /**
   * @param {import('../index').SessionStatus} [status]
   * @param {CallOptions} [options]
   */
  listSessions(status, options) {
    return this.#calls.list('listSessions', status, 'sessionPage', buildSessions, options);
  }

  /** @param {import('../index').SessionIteration} [options] */
  iterateSessions(options) {
    return this.#calls.iterate('iterateSessions', 'status', 'sessionPage', options);
  }

  /**
   * @param {readonly import('../index').UploadSessionUpdate[]} updates
   * @param {CallOptions} [options]
   */
  updateSessions(updates, options) {
    return attempt(() => {
      const batch = packSessionUpdates(updates);
      const next = (/** @type {Ledger} */ ledger) => ledger.updateNextSessions(batch);
      return this.#calls.writeBatch('updateSessions', batch, next, readSignal('updateSessions', options));
    });
  }

  /**
   * @param {string} id
   * @param {CallOptions} [options]
   */
  deleteSession(id, options) {
    return this.#calls.write('deleteSession', (ledger) => ledger.deleteSession(id), options);
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
      return this.#calls.writeValues('addFileHash', values, checkSignal('addFileHash', signal));
    });
  }

  /**
   * @param {string} hash
   * @param {CallOptions} [options]
   */
  getFileHash(hash, options) {
    return this.#calls.read('getFileHash', (ledger) => ledger.getFileHash(hash), options);
  }

  /**
   * @param {string} chatId
   * @param {CallOptions} [options]
   */
  findFileHashes(chatId, options) {
    return this.#calls.list('findFileHashes', chatId, 'fileHashPage', buildFileHashes, options);
  }

  /** @param {import('../index').FileHashIteration} [options] */
  iterateFileHashes(options) {
    return this.#calls.iterate('iterateFileHashes', 'chat_id', 'fileHashPage', options);
  }

  /**
   * @param {readonly import('../index').NewFileHash[]} records
   * @param {import('../index').AddFileHashOptions} [options]
   */
  addFileHashes(records, options) {
    return attempt(() => {
      const batch = packFileHashes(records);
      const [onConflict, signal] = readFields('addFileHashes', 'options', options ?? {}, FIELDS.addOptions);
      const next = (/** @type {Ledger} */ ledger) => ledger.addNextFileHashes(batch, onConflict);
      return this.#calls.writeBatch('addFileHashes', batch, next, checkSignal('addFileHashes', signal));
    });
  }

  /**
   * @param {readonly string[]} hashes
   * @param {CallOptions} [options]
   * @returns {Promise<Map<string, boolean>>}
   */
  async findUploaded(hashes, options) {
    const lookup = packHashes(hashes);
    await this.#calls.readPieces('findUploaded', lookup, (ledger) => ledger.findNext(lookup), options);
    return lookup.finish();
  }

  /**
   * @param {string} hash
   * @param {CallOptions} [options]
   */
  deleteFileHash(hash, options) {
    return this.#calls.write('deleteFileHash', (ledger) => ledger.deleteFileHash(hash), options);
  }

  /**
   * @param {string} hash
   * @param {CallOptions} [options]
   */
  isFileUploaded(hash, options) {
    return this.#calls.read('isFileUploaded', (ledger) => ledger.isFileUploaded(hash), options);
  }

  // --- errors ---------------------------------------------------------------------------------

  /**
   * @param {import('../index').NewUploadError} error
   * @param {CallOptions} [options]
   */
  logError(error, options) {
    return this.#calls.writeRecord('logError', 'error', error, FIELDS.newUploadError, [], options);
  }

  /**
   * @param {string} sessionId
   * @param {CallOptions} [options]
   */
  getErrors(sessionId, options) {
    return this.#calls.list('getErrors', sessionId, 'errorPage', buildErrors, options);
  }

  /** @param {import('../index').ErrorIteration} [options] */
  iterateErrors(options) {
    return this.#calls.iterate('iterateErrors', 'session_id', 'errorPage', options);
  }

  /**
   * @param {readonly import('../index').NewUploadError[]} errors
   * @param {CallOptions} [options]
   */
  logErrors(errors, options) {
    return attempt(() => {
      const batch = packErrors(errors);
      const next = (/** @type {Ledger} */ ledger) => ledger.logNextErrors(batch);
      return this.#calls.writeBatch('logErrors', batch, next, readSignal('logErrors', options));
    });
  }

  /**
   * @param {number} errorId
   * @param {CallOptions} [options]
   */
  incrementRetryCount(errorId, options) {
    return this.#calls.write('incrementRetryCount', (ledger) => ledger.incrementRetryCount(errorId), options);
  }

  /**
   * @param {string} sessionId
   * @param {CallOptions} [options]
   */
  clearErrors(sessionId, options) {
    return this.#calls.write('clearErrors', (ledger) => ledger.clearErrors(sessionId), options);
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
      return this.#calls.write('setConfig', (ledger) => ledger.setConfig(key, json), options);
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
    return this.#calls.read('getConfig', read, options);
  }

  /**
   * @param {string} key
   * @param {CallOptions} [options]
   */
  deleteConfig(key, options) {
    return this.#calls.write('deleteConfig', (ledger) => ledger.deleteConfig(key), options);
  }

  /** @param {CallOptions} [options] */
  listConfig(options) {
    return this.#calls.read('listConfig', (ledger) => ledger.listConfig(), options);
  }

  // --- transactions ---------------------------------------------------------------------------

  /**
   * @template T
   * @param {() => T | Promise<T>} run
   * @param {CallOptions} [options]
   * @returns {Promise<T>}
   */
  transaction(run, options) {
    return this.#calls.transaction(run, options);
  }

  // --- maintenance ----------------------------------------------------------------------------

  /** @param {CallOptions} [options] */
  vacuum(options) {
    const interruption = new native.Interruption();
    return this.#calls.job('vacuum', (ledger) => ledger.vacuum(interruption), options, interruption);
  }

  /** @param {CallOptions} [options] */
  analyze(options) {
    const interruption = new native.Interruption();
    return this.#calls.job('analyze', (ledger) => ledger.analyze(interruption), options, interruption);
  }

  /** @param {import('../index').IntegrityOptions} [options] */
  checkIntegrity(options) {
    return attempt(() => {
      const names = ['deep', 'max_ms', 'signal'];
      const [deep, maxMs, signal] = readFields('checkIntegrity', 'options', options ?? {}, names);
      return this.#calls.checkIntegrity(
        readFlag('checkIntegrity', 'deep', deep),
        readMilliseconds('checkIntegrity', 'max_ms', maxMs),
        checkSignal('checkIntegrity', signal),
      );
    });
  }

  /** @param {import('../index').RepairOptions} [options] */
  repair(options) {
    return attempt(() => {
      const [dryRun, onProgress] = readFields('repair', 'options', options ?? {}, ['dry_run', 'onProgress']);
      const watch = new ProgressWatch('repair', onProgress, (_, done, total) => ({ done, total }));
      return watch.follow(this.#calls.repair(readFlag('repair', 'dry_run', dryRun), watch));
    });
  }

  /**
   * @param {string} file
   * @param {import('../index').BackupOptions} [options]
   * @returns {Promise<import('../index').BackupReport>}
   */
  backup(file, options) {
    return attempt(() => {
      const [onProgress, overwrite, signal] = readFields('backup', 'options', options ?? {}, FIELDS.backupOptions);
      if (overwrite !== undefined && typeof overwrite !== 'boolean') {
        throw invalidArgument('backup', 'options.overwrite', `must be true or false, not ${kindOf(overwrite)}`);
      }
      const watch = new ProgressWatch('backup', onProgress, (_, done, total) => {
        return { copied_pages: done, total_pages: total };
      });
      const { progress, interruption } = watch;
      const run = (/** @type {Ledger} */ ledger) => ledger.backup(file, overwrite === true, progress, interruption);
      return watch.follow(this.#calls.beside('backup', run, { signal: /** @type {any} */ (signal) }, interruption));
    });
  }

  /**
   * @param {string} file
   * @param {import('../index').RestoreOptions} [options]
   * @returns {Promise<import('../index').RestoreReport>}
   */
  restore(file, options) {
    return attempt(() => {
      const [onProgress, signal] = readFields('restore', 'options', options ?? {}, FIELDS.restoreOptions);
      const watch = new ProgressWatch('restore', onProgress, (phase, done, total) => ({ phase, done, total }));
      const { progress, interruption } = watch;
      const run = (/** @type {Ledger} */ ledger) => ledger.restore(file, progress, interruption);
      return watch.follow(this.#calls.job('restore', run, { signal: /** @type {any} */ (signal) }, interruption));
    });
  }

  /** @param {CallOptions} [options] */
  getStats(options) {
    const read = (/** @type {Ledger} */ ledger) => {
      const checkpointError = this.#calls.checkpointError;
      const stats = ledger.getStats();
      return checkpointError === undefined ? stats : { ...stats, checkpointError };
    };
    return this.#calls.read('getStats', read, options);
  }

  /** @param {CallOptions} [options] */
  flush(options) {
    return this.#calls.flush(options);
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

module.exports = { DatabaseManager };
