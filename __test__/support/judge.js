'use strict';

/**
 * Owns the judgement of a program's history by the rules of order: what each call may have
 * answered, given when it was made and when its answer was seen.
 *
 * Outside transactions everything that writes runs in the order of the calls, a transaction as
 * one. So the n-th such call leaves state n, and a write, and all inside a transaction, have one
 * right answer. A read outside has as many as states may have been the last committed one:
 *
 * - none before the last write that was made earlier on this manager (program order);
 * - none before a state that was already known, by a settled promise or an earlier answer;
 * - none of a call that was made later, and none of a transaction whose function still ran when
 *   the answer was seen. So a read that is answered while a transaction is held open has one.
 * - in memory, none before a transaction that was open when it was made: there it waits.
 *
 * A call whose signal was aborted has done all or nothing, and says which. So has a transaction
 * that `disconnect()` met; writes outside that it met are done, and calls after it are refused.
 *
 * Reads of another manager's rows have no program order, only the other three rules.
 */

const { ANY_TIME, JOBS, Model, READS, without } = require('./model.js');

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
/** How calls end whose transaction was ended under them. */
const ENDED = new Set(['DB_TRANSACTION_FINISHED', 'DB_TRANSACTION_ABORTED']);

/** How a transaction, or maintenance, ends that `disconnect()` meets. */
const LOST = new Set(['DB_TRANSACTION_ABORTED', 'DB_NOT_CONNECTED']);
const STOPPED = new Set(['SQLITE_INTERRUPT', 'DB_NOT_CONNECTED']);

/** What a history shows to be wrong. */
class Fault extends Error {
  constructor(message, call) {
    super(`${message}\n${showCall(call)}`);
    this.name = 'Fault';
  }
}

/** Says what became of a call. */
function showCall(call) {
  const { method, args, called, entered, left, settled } = call;
  const outcome = call.failed ? `rejected ${call.error?.code ?? call.error}` : `gave ${show(call.value)}`;
  const body = entered === undefined ? '' : `, function from ${entered} to ${left}`;
  return `  ${method}(${show(args).slice(1, -1)}) called ${called}${body}, settled ${settled}: ${outcome}`;
}

const show = (value) => JSON.stringify(value, showInner) ?? 'undefined';
const showInner = (_key, inner) => {
  // What a transaction's function gives is its own call, which holds many others.
  if (inner?.inside) return '<its value>';
  return inner instanceof Map ? [...inner] : inner;
};

/**
 * The history of one manager, put in order: its entries and the state that each leaves.
 */
class Timeline {
  /** Calls that take the writing side, in order. */
  entries = [];
  /** State n is what the first n entries leave. */
  states = [new Model()];
  reads = [];
  #isOnFile;
  #answers;
  #disconnectedAt;

  /**
   * @param {import('./player.js').Call[]} calls outside calls in the order in which they were made
   * @param {{ name: string, isAlone: boolean, isOnFile: boolean, firstError: number, disconnectedAt: number }} scene
   */
  constructor(calls, scene) {
    this.#disconnectedAt = scene.disconnectedAt;
    this.#isOnFile = scene.isOnFile;
    this.#answers = new Answers(scene);
    for (const call of calls) {
      if (call.called > this.#disconnectedAt) checkRefused(call, new Set(['DB_NOT_CONNECTED']));
      else if (isAborted(call)) continue;
      else if (READS.has(call.method)) this.reads.push({ call, position: this.entries.length });
      else this.#enter(call);
    }
  }

  get last() {
    return this.states[this.states.length - 1];
  }

  #enter(call) {
    const isLost = this.#isLost(call);
    if (call.entered > this.#disconnectedAt) throw new Fault('its function began after disconnect()', call);
    // Its function may run on, and its promise reject later, but it was over then.
    if (isLost) call.left = Math.min(call.left ?? this.#disconnectedAt, this.#disconnectedAt);
    this.#checkAlone(call);
    const state = this.last;
    if (call.method === 'flush') {
      // It waits like a write, but changes nothing that a read could see: reads pass it.
      this.#answers.check(call, state.answer(call.method, call.args));
      return;
    }
    this.entries.push(call);
    if (JOBS.has(call.method)) {
      if (!isLost) this.#answers.check(call, state.answer(call.method, call.args));
      this.states.push(state);
      return;
    }
    const next = state.copy();
    if (call.method === 'transaction') {
      this.#replay(call, next, []);
      this.states.push(!isLost && isKept(call) ? next : state);
    } else {
      this.#answers.check(call, next.answer(call.method, call.args));
      this.states.push(next);
    }
  }

  /** Says whether `disconnect()` met a call that it ends: a transaction, or maintenance. */
  #isLost({ method, failed, error, settled }) {
    if (!failed || settled < this.#disconnectedAt) return false;
    if (method === 'transaction') return LOST.has(error?.code);
    return JOBS.has(method) && STOPPED.has(error?.code);
  }

  /** Nothing of a later entry happens while a transaction's function runs. */
  #checkAlone(call) {
    const happened = call.entered ?? call.settled;
    const open = this.entries.find(({ left }) => left !== undefined && left > happened);
    if (open) throw new Fault(`did not wait for the transaction that was called at ${open.called}`, call);
  }

  /**
   * Replays a transaction and what is nested in it.
   *
   * @param {import('./player.js').Call} transaction
   * @param {Model} state changed as the transaction changes the ledger
   * @param {import('./player.js').Call[]} around the transactions that it is nested in
   */
  #replay(transaction, state, around) {
    const enclosing = [transaction, ...around];
    let before;
    for (const call of transaction.inside) {
      const failed = enclosing.find((around) => this.#isCutBy(call, around));
      if (call.isLate) {
        checkRefused(call, this.#isLost(enclosing.at(-1)) ? ENDED : new Set(['DB_TRANSACTION_FINISHED']));
      } else if (failed && call.called > failed.settled) {
        checkRefused(call, ENDED);
      } else if (isAborted(call)) {
        // It was not let in.
      } else if (failed && call.failed && ENDED.has(call.error?.code)) {
        // It was waiting, or open, when the function around it threw.
      } else if (call.method === 'transaction') {
        if (before && before.left > call.entered) throw new Fault('ran beside its sibling', call);
        before = call;
        const inner = state.copy();
        this.#replay(call, inner, enclosing);
        if (isKept(call)) state.become(inner);
      } else {
        const isRefused = JOBS.has(call.method);
        const expected = isRefused ? { code: 'DB_TRANSACTION_STATE' } : state.answer(call.method, call.args);
        if (call.of === undefined) this.#answers.check(call, expected);
        if (call.of !== undefined || isShared(call)) this.reads.push({ call, transaction: enclosing.at(-1) });
      }
    }
    if (!this.#isLost(transaction)) checkEnd(transaction);
  }

  /** Says whether a call was under way when a transaction around it ended before its time. */
  #isCutBy(call, transaction) {
    if (transaction.thrown && call.settled > transaction.left) return true;
    return this.#isLost(transaction) && call.settled > this.#disconnectedAt;
  }

  // --- reads --------------------------------------------------------------------------------

  /** Judges this manager's own reads outside transactions. */
  checkOwnReads() {
    const seen = [];
    for (const { call, position } of this.reads) {
      if (call.of !== undefined || position === undefined) continue;
      const lower = Math.max(
        this.#settledBefore(call.called),
        this.#heldBack(call, position),
        floor(seen, call.called),
      );
      const upper = Math.min(position, this.#uncommittedAt(call.settled) - 1);
      this.#checkRead(call, lower, upper, seen, this.#answers);
    }
  }

  /**
   * Judges another manager's reads of this one's rows.
   *
   * @param {Timeline} other
   */
  checkReadsOf(other, name) {
    const seen = [];
    const answers = this.#answers;
    for (const { call, transaction } of other.reads) {
      if (call.of !== name && !isShared(call)) continue;
      // Inside a transaction, it sees what was committed when that began.
      const lower = Math.max(
        this.#settledBefore((transaction ?? call).called),
        floor(seen, (transaction ?? call).called),
      );
      const upper = this.#uncommittedAt(transaction ? transaction.entered : call.settled) - 1;
      this.#checkRead(call, lower, upper, seen, answers);
    }
  }

  /** Judges an answer that was given when all was over. */
  checkLast(call) {
    this.#answers.check(call, this.last.answer(call.method, call.args));
  }

  #checkRead(call, lower, upper, seen, answers) {
    if (call.failed) throw new Fault('a read rejected', call);
    for (let n = lower; n <= upper; n += 1) {
      if (answers.agree(call, this.states[n].answer(call.method, call.args))) {
        seen.push({ settled: call.settled, state: n });
        return;
      }
    }
    const legal = this.states.slice(lower, upper + 1).map((state) => show(state.answer(call.method, call.args).value));
    const states = legal.length > 0 ? [...new Set(legal)].join(' or ') : 'not yet';
    throw new Fault(`is none of the legal answers (states ${lower} to ${upper}: ${states})`, call);
  }

  /** The state that settled promises have made known by then. */
  #settledBefore(moment) {
    // What `disconnect()` refuses settles before the writes that were made earlier.
    return this.entries.findLastIndex((entry) => entry.settled < moment && !this.#isLost(entry)) + 1;
  }

  /** The state that a read of this manager's waits for. */
  #heldBack(call, position) {
    for (let n = position; n > 0; n -= 1) {
      const entry = this.entries[n - 1];
      if (entry.method !== 'transaction') return n;
      const isOpen = entry.entered < call.called && entry.left > call.called;
      if (isOpen && !this.#isOnFile) return n;
    }
    return 0;
  }

  /** The first state that cannot have been committed by then. */
  #uncommittedAt(moment) {
    const first = this.entries.findIndex((entry) => (entry.left ?? entry.called) > moment);
    return first === -1 ? this.states.length : first + 1;
  }
}

/** A transaction ends as its function does. */
function checkEnd(transaction) {
  const { entered, thrown, failed, error, value } = transaction;
  if (entered === undefined) throw new Fault('its function never ran', transaction);
  if (thrown && (!failed || error !== thrown.error)) {
    throw new Fault("its function's error did not come out", transaction);
  }
  if (!thrown && failed) throw new Fault('rejected, though its function did not', transaction);
  if (!thrown && value !== transaction) throw new Fault("its function's value did not come out", transaction);
}

/** Says whether what a transaction did is there when it has ended. */
function isKept({ entered, thrown }) {
  return entered !== undefined && !thrown;
}

/** Checks how a call was refused; one whose signal was aborted may say so instead. */
function checkRefused(call, codes) {
  if (call.abort && call.error?.code === 'DB_ABORTED') return;
  if (!call.failed || !codes.has(call.error?.code) || call.error.retryable) {
    throw new Fault(`was not refused with ${[...codes].join(' or ')}`, call);
  }
}

/** Says whether a call's signal has kept it from being made; one aborted before it always does. */
function isAborted(call) {
  if (!call.abort) return false;
  if (call.failed && call.error?.code === 'DB_ABORTED') {
    if (call.error.cause !== call.reason) throw new Fault("the signal's reason is not the cause", call);
    if (call.error.retryable) throw new Fault('to make an aborted call again is no remedy', call);
    return true;
  }
  if (call.abort === 'before') throw new Fault('went on though its signal was aborted before', call);
  return false;
}

/** Says whether a list holds all managers' rows. */
function isShared({ method }) {
  return method === 'listSessions' || method === 'listConfig';
}

/** The state that earlier answers have shown: time does not run backwards. */
function floor(seen, moment) {
  return seen.reduce((most, { settled, state }) => (settled < moment ? Math.max(most, state) : most), 0);
}

/** Compares a ledger's answers with the model's. */
class Answers {
  #name;
  #isAlone;
  #firstError;

  constructor({ name, isAlone, firstError }) {
    this.#name = name;
    this.#isAlone = isAlone;
    this.#firstError = firstError;
  }

  check(call, expected) {
    if (this.agree(call, expected)) return;
    throw new Fault(
      `should have ${expected.code ? `rejected ${expected.code}` : `given ${show(expected.value)}`}`,
      call,
    );
  }

  agree(call, expected) {
    if (call.failed || expected.code) return call.failed && call.error?.code === expected.code;
    return isSame(this.#level(call.method, expected.value, 1), this.#level(call.method, call.value, this.#firstError));
  }

  /** Brings an answer to the form that can be compared: without what the model cannot know. */
  #level(method, value, firstError) {
    const number = (id) => (this.#isAlone ? id - firstError : typeof id);
    switch (method) {
      case 'logError':
        return number(value);
      case 'logErrors':
        return value.map((outcome) => levelOutcome(outcome, number));
      case 'addFileHashes':
      case 'updateSessions':
        return value.map((outcome) => levelOutcome(outcome, (inner) => inner));
      case 'getErrors':
      case 'iterateErrors':
        return value.map((error) => ({ ...without(error, 'timestamp'), id: number(error.id) }));
      case 'findUploaded':
        return [...value];
      case 'listConfig':
        return value.filter(({ key }) => key.startsWith(this.#name)).map((record) => without(record, 'updated_at'));
      case 'listSessions':
        return value.filter(({ id }) => id.startsWith(this.#name));
      case 'getStats':
        return without(value, 'databaseSize', 'lastVacuum', 'walSize', 'checkpointError');
      default:
        return value;
    }
  }
}

function levelOutcome({ status, value, code, reason }, number) {
  return status === 'fulfilled' ? { status, value: number(value) } : { status, code: code ?? reason?.code };
}

/** Compares deeply; a key without a value is no key. */
function isSame(expected, actual) {
  if (expected === actual) return true;
  if (expected === ANY_TIME) return typeof actual === 'string' && ISO.test(actual);
  if (typeof expected !== 'object' || typeof actual !== 'object' || expected === null || actual === null) return false;
  if (Array.isArray(expected) !== Array.isArray(actual)) return false;
  if (Array.isArray(expected) && expected.length !== actual.length) return false;
  for (const key of Object.keys(actual)) {
    if (actual[key] !== undefined && !(key in expected)) return false;
  }
  return Object.keys(expected).every((key) => isSame(expected[key], actual[key]));
}

module.exports = { Fault, Timeline, isSame };
