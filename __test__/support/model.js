'use strict';

/**
 * Owns the model of a ledger: what each call must answer and what it leaves behind, as the public
 * interface says it, in plain maps. It knows nothing of queues, locks or SQL.
 *
 * Records are never changed in place, so that a copy of the model is a copy of its maps.
 */

const STATUSES = ['running', 'completed', 'paused', 'failed'];
const COUNTERS = ['total_files', 'processed_files', 'success_count', 'error_count', 'duplicate_count'];

/** Stands for a time that the ledger took from the clock: any ISO time is right. */
const ANY_TIME = '<any time>';

/** A refusal that the model predicts, by the code of its error. */
class Refusal {
  constructor(code) {
    this.code = code;
  }
}

const refuse = (code) => {
  throw new Refusal(code);
};
const without = (record, ...fields) => {
  const copy = { ...record };
  for (const field of fields) delete copy[field];
  return copy;
};

class Model {
  constructor() {
    /** Hashes in the order of their insertion: a map keeps it, also when a value is replaced. */
    this.hashes = new Map();
    /** Sessions in the order of their creation. */
    this.sessions = new Map();
    /** Errors by their number, counted from 1 at the program's start. */
    this.errors = new Map();
    this.settings = new Map();
    this.lastError = 0;
  }

  copy() {
    const copy = new Model();
    copy.hashes = new Map(this.hashes);
    copy.sessions = new Map(this.sessions);
    copy.errors = new Map(this.errors);
    copy.settings = new Map(this.settings);
    copy.lastError = this.lastError;
    return copy;
  }

  /**
   * Takes another model's state over.
   *
   * @param {Model} other not to be used any more
   */
  become(other) {
    Object.assign(this, other);
  }

  /**
   * Makes a call on the model.
   *
   * @returns {{ value?: unknown, code?: string }} what the same call on a ledger must come to
   */
  answer(method, args) {
    try {
      return { value: this[method](...args) };
    } catch (error) {
      if (error instanceof Refusal) return { code: error.code };
      throw error;
    }
  }

  // --- file hashes --------------------------------------------------------------------------

  addFileHash(file, { onConflict } = {}) {
    if (this.hashes.has(file.hash) && !onConflict) refuse('SQLITE_CONSTRAINT_PRIMARYKEY');
    if (!this.hashes.has(file.hash) || onConflict === 'replace') this.hashes.set(file.hash, file);
  }

  addFileHashes(files, { onConflict } = {}) {
    return files.map((file) =>
      this.#settle(() => {
        if (file.hash === '') refuse('DB_INVALID_ARGUMENT');
        const isIgnored = onConflict === 'ignore' && this.hashes.has(file.hash);
        this.addFileHash(file, { onConflict });
        return isIgnored ? 'ignored' : 'added';
      }),
    );
  }

  deleteFileHash(hash) {
    this.hashes.delete(hash);
  }

  isFileUploaded(hash) {
    return this.hashes.has(hash);
  }

  getFileHash(hash) {
    return this.hashes.get(hash);
  }

  findFileHashes(chatId) {
    return [...this.hashes.values()].filter((file) => file.chat_id === chatId);
  }

  /** As pairs: a `Map` is spread before it is compared, since its order is promised too. */
  findUploaded(hashes) {
    return [...new Map(hashes.map((hash) => [hash, this.hashes.has(hash)]))];
  }

  iterateFileHashes({ chat_id, limit = Number.POSITIVE_INFINITY }) {
    const files = chat_id === undefined ? [...this.hashes.values()] : this.findFileHashes(chat_id);
    return files.slice(0, limit);
  }

  // --- sessions -----------------------------------------------------------------------------

  createSession(session) {
    if (this.sessions.has(session.id)) refuse('SQLITE_CONSTRAINT_PRIMARYKEY');
    const counters = Object.fromEntries(COUNTERS.map((name) => [name, 0]));
    this.sessions.set(session.id, { ...counters, status: 'running', ...session });
    return session.id;
  }

  getSession(id) {
    return this.sessions.get(id);
  }

  updateSession(id, changes) {
    const session = this.sessions.get(id) ?? refuse('DB_NOT_FOUND');
    const changed = { ...session, last_update: ANY_TIME, ...changes };
    if (changed.last_processed_file === null) delete changed.last_processed_file;
    this.sessions.set(id, changed);
  }

  updateSessions(updates) {
    return updates.map(({ id, changes }) => this.#settle(() => this.updateSession(id, changes)));
  }

  incrementSession(id, deltas) {
    const session = this.sessions.get(id) ?? refuse('DB_NOT_FOUND');
    const changed = { ...session, last_update: ANY_TIME };
    for (const [name, delta] of Object.entries(deltas)) {
      changed[name] += delta;
      if (changed[name] < 0) refuse('DB_INVALID_ARGUMENT');
    }
    this.sessions.set(id, changed);
  }

  /** Newest first; those of one moment by their creation, the last one first. */
  listSessions(status) {
    const sessions = [...this.sessions.values()].reverse();
    sessions.sort((one, two) => (one.start_time < two.start_time ? 1 : one.start_time > two.start_time ? -1 : 0));
    return status === undefined ? sessions : sessions.filter((session) => session.status === status);
  }

  iterateSessions({ status, limit = Number.POSITIVE_INFINITY }) {
    return this.listSessions(status).slice(0, limit);
  }

  deleteSession(id) {
    this.sessions.delete(id);
    this.clearErrors(id);
  }

  // --- errors -------------------------------------------------------------------------------

  logError(error) {
    if (!this.sessions.has(error.session_id)) refuse('SQLITE_CONSTRAINT_FOREIGNKEY');
    this.lastError += 1;
    this.errors.set(this.lastError, { id: this.lastError, retry_count: 0, ...error });
    return this.lastError;
  }

  logErrors(errors) {
    return errors.map((error) => this.#settle(() => this.logError(error)));
  }

  getErrors(sessionId) {
    return [...this.errors.values()].filter((error) => error.session_id === sessionId);
  }

  iterateErrors({ session_id, limit = Number.POSITIVE_INFINITY }) {
    return this.getErrors(session_id).slice(0, limit);
  }

  incrementRetryCount(id) {
    const error = this.errors.get(id) ?? refuse('DB_NOT_FOUND');
    this.errors.set(id, { ...error, retry_count: error.retry_count + 1 });
    return error.retry_count + 1;
  }

  clearErrors(sessionId) {
    for (const { id } of this.getErrors(sessionId)) this.errors.delete(id);
  }

  // --- settings -----------------------------------------------------------------------------

  setConfig(key, value) {
    this.settings.set(key, JSON.stringify(value));
  }

  getConfig(key) {
    const json = this.settings.get(key);
    return json === undefined ? undefined : JSON.parse(json);
  }

  deleteConfig(key) {
    this.settings.delete(key);
  }

  listConfig() {
    return [...this.settings].map(([key, value]) => ({ key, value })).sort((one, two) => (one.key < two.key ? -1 : 1));
  }

  // --- maintenance --------------------------------------------------------------------------

  getStats() {
    const sessions = [...this.sessions.values()];
    const sum = (field) => sessions.reduce((total, session) => total + session[field], 0);
    return {
      totalSessions: sessions.length,
      activeSessions: sessions.filter(({ status }) => status === 'running').length,
      totalFiles: this.hashes.size,
      successfulUploads: sum('success_count'),
      failedUploads: sum('error_count'),
      duplicatesFound: sum('duplicate_count'),
    };
  }

  /** Maintenance changes no row. */
  analyze() {}
  vacuum() {}
  flush() {}

  /** Gives what a batch says of one of its records. */
  #settle(run) {
    try {
      return { status: 'fulfilled', value: run() };
    } catch (error) {
      if (error instanceof Refusal) return { status: 'rejected', code: error.code };
      throw error;
    }
  }
}

/** What each method is to the queue; `other` ones are not the model's. */
const READS = new Set([
  ...['isFileUploaded', 'getFileHash', 'findFileHashes', 'findUploaded', 'iterateFileHashes', 'getSession'],
  ...['listSessions', 'iterateSessions', 'getErrors', 'iterateErrors', 'getConfig', 'listConfig', 'getStats'],
]);
const JOBS = new Set(['vacuum', 'analyze', 'flush']);

module.exports = { ANY_TIME, COUNTERS, JOBS, Model, READS, STATUSES, without };
