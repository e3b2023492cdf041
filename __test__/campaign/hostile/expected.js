'use strict';

/**
 * Owns what a ledger must hold after hostile calls: what resolved is there as it was given, what was
 * refused left nothing. Each key has one call in flight at most, so order does not matter.
 */

const { isDeepStrictEqual } = require('node:util');

/** Stands for a value that the ledger may have chosen or normalised. */
const ANY = '<any>';

const COUNTERS = ['total_files', 'processed_files', 'success_count', 'error_count', 'duplicate_count'];
const TIMES = ['start_time', 'last_update', 'created_at', 'uploaded_at', 'timestamp'];
const CANONICAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Brings given values into the form in which they come back. */
function normalize(record) {
  const normal = {};
  for (const [name, value] of Object.entries(record)) {
    if (value === undefined || value === null) continue;
    if (TIMES.includes(name) && !CANONICAL.test(value)) normal[name] = ANY;
    else normal[name] = Object.is(value, -0) ? 0 : value;
  }
  return normal;
}

class Expected {
  constructor() {
    this.sessions = new Map();
    this.hashes = new Map();
    this.errors = new Map();
    this.settings = new Map();
  }

  copy() {
    const copy = new Expected();
    for (const name of Object.keys(copy)) copy[name] = new Map(this[name]);
    return copy;
  }

  become(other) {
    Object.assign(this, other.copy());
  }

  createSession(id, given) {
    const counters = Object.fromEntries(COUNTERS.map((name) => [name, 0]));
    this.sessions.set(id, { ...counters, status: 'running', created_at: ANY, ...normalize(given), id });
  }

  updateSession(id, changes) {
    const session = { ...this.sessions.get(id), last_update: ANY, ...normalize(changes) };
    if (changes.last_processed_file === null) delete session.last_processed_file;
    this.sessions.set(id, session);
  }

  incrementSession(id, deltas) {
    const session = { ...this.sessions.get(id), last_update: ANY };
    for (const name of COUNTERS) session[name] += deltas[name] ?? 0;
    this.sessions.set(id, session);
  }

  deleteSession(id) {
    this.sessions.delete(id);
    this.clearErrors(id);
  }

  addFileHash(given, onConflict) {
    const known = this.hashes.has(given.hash);
    if (known && onConflict === 'ignore') return;
    if (known && onConflict !== 'replace') throw new Error('a known hash was accepted without onConflict');
    this.hashes.set(given.hash, { uploaded_at: ANY, ...normalize(given) });
  }

  logError(id, given) {
    if (!this.sessions.has(given.session_id)) throw new Error('an error of an unknown session was accepted');
    this.errors.set(id, { retry_count: 0, timestamp: ANY, ...normalize(given), id });
  }

  incrementRetryCount(id, count) {
    const error = this.errors.get(id);
    if (count !== error.retry_count + 1) throw new Error(`retry ${count} follows ${error.retry_count}`);
    this.errors.set(id, { ...error, retry_count: count });
  }

  clearErrors(sessionId) {
    for (const [id, error] of this.errors) if (error.session_id === sessionId) this.errors.delete(id);
  }

  /** Says in which ways a ledger differs from this, counters of the statistics included. */
  async differences(db) {
    const all = async (records) => {
      const list = [];
      for await (const record of records) list.push(record);
      return list;
    };
    const problems = [
      ...differ('session', this.sessions, new Map((await db.listSessions()).map((row) => [row.id, row]))),
      ...differ('file', this.hashes, new Map((await all(db.iterateFileHashes())).map((row) => [row.hash, row]))),
      ...differ('error', this.errors, new Map((await all(db.iterateErrors())).map((row) => [row.id, row]))),
      ...differ('setting', this.settings, new Map((await db.listConfig()).map((row) => [row.key, row.value]))),
    ];
    const stats = await db.getStats();
    const sum = (field) => [...this.sessions.values()].reduce((total, session) => total + session[field], 0);
    const counted = [stats.totalSessions, stats.totalFiles, stats.successfulUploads, stats.failedUploads];
    const expected = [this.sessions.size, this.hashes.size, sum('success_count'), sum('error_count')];
    if (problems.length === 0 && !isDeepStrictEqual(counted, expected)) {
      problems.push(`the statistics say ${counted}, the rows ${expected}`);
    }
    return problems;
  }
}

function differ(kind, expected, found) {
  const problems = [];
  for (const [key, value] of expected) {
    if (!found.has(key)) problems.push(`${kind} ${show(key)} was acknowledged and is not there`);
    else if (!isSame(value, found.get(key))) {
      problems.push(`${kind} ${show(key)} is ${show(found.get(key))}, not ${show(value)}`);
    }
  }
  for (const key of found.keys()) if (!expected.has(key)) problems.push(`${kind} ${show(key)} was never acknowledged`);
  return problems;
}

function isSame(expected, found) {
  if (expected === ANY) return true;
  if (typeof expected !== 'object' || expected === null) return Object.is(expected, found);
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
  for (const name of names) {
    if (expected[name] !== ANY && !isDeepStrictEqual(expected[name], found[name])) return false;
  }
  return true;
}

function show(value) {
  let text;
  try {
    text =
      typeof value === 'string'
        ? JSON.stringify(value)
        : JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}n` : item));
  } catch {
    text = String(value);
  }
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}

module.exports = { ANY, Expected, show };
