'use strict';

/**
 * Owns random programs: what a seed makes, and the smaller ones that a failing one shrinks to.
 *
 * A program is plain JSON: strands, which run side by side outside any transaction, each a list
 * of steps in order.
 *
 *   call         a method of the manager; `awaited` or not; `passes` lets its rejection through
 *   transaction  a call whose function plays `body` and then throws when it `fails`
 *   late         a call made from a transaction's context after that transaction's end
 *   pause        lets others run
 *   settle       waits for every call that this list has made so far
 *   enter        waits until the transaction with that latch runs
 *   release      lets it go on from its `hold`
 *   disconnect   ends the connection while whatever was called before is under way
 *
 * A call with `abort` has a signal, aborted before the call or after a pause of that length.
 */

const { makeRandom } = require('./ledger.js');
const { STATUSES } = require('./model.js');

const MOMENTS = ['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:00.001Z', '2026-02-01T00:00:00.000Z'];
const MAX_DEPTH = 4;
const ABORTABLE = new Set([
  ...['addFileHash', 'deleteFileHash', 'createSession', 'updateSession', 'incrementSession', 'deleteSession'],
  ...['logError', 'clearErrors', 'isFileUploaded', 'getFileHash', 'findFileHashes', 'getSession', 'getErrors'],
]);
const MANY = { hash: 10, chat: 2, session: 4, key: 4, error: 6 };

/**
 * @param {number} seed
 * @param {{ methods: Set<string>, name?: string, others?: string[], outlives?: boolean }} options
 * the manager's own methods; the name that its keys begin with; names of other managers on the
 * same file, whose rows it reads too; whether rows outlive a connection
 */
function makeProgram(seed, options) {
  return new Generator(makeRandom(seed), options).program();
}

class Generator {
  #random;
  #methods;
  #name;
  #others;
  #outlives;
  #left = 0;
  #latches = 0;

  constructor(random, { methods, name = '', others = [], outlives = false }) {
    this.#random = random;
    this.#methods = methods;
    this.#name = name;
    this.#others = others;
    this.#outlives = outlives;
  }

  program() {
    // Few long programs: most faults show in short ones, and those can be read.
    this.#left = 10 + Math.floor(190 * this.#random() ** 2);
    const count = this.#chance(0.5) ? 1 : 2 + this.#below(3);
    const strands = Array.from({ length: count }, () => []);
    while (this.#left > 0) {
      const strand = this.#pick(strands);
      if (count === 1 && this.#chance(0.06)) strand.push(...this.#peek());
      else strand.push(this.#step(0));
      if (count === 1 && this.#chance(0.03)) strand.push({ do: 'settle' }, ...this.#scan());
    }
    if (this.#outlives && this.#chance(0.1)) {
      const strand = this.#pick(strands);
      strand.splice(this.#below(strand.length + 1), 0, { do: 'disconnect' });
    }
    return { name: this.#name, strands };
  }

  // --- steps --------------------------------------------------------------------------------

  #step(depth) {
    const dice = this.#random();
    if (dice < 0.12) return this.#pause();
    if (dice < 0.17) return { do: 'settle' };
    if (depth > 0 && dice < 0.19) return this.#call(depth, 'late');
    const isNesting = depth === 0 ? dice > 0.86 : dice > 0.88;
    return isNesting && depth < MAX_DEPTH ? this.#transaction(depth) : this.#call(depth, 'call');
  }

  #pause() {
    const dice = this.#random();
    return { do: 'pause', for: dice < 0.55 ? 'microtask' : dice < 0.97 ? 'immediate' : 'timer' };
  }

  #transaction(depth) {
    const body = [];
    const length = Math.min(this.#left, this.#below(depth === 0 ? 12 : 6));
    this.#left -= 1;
    for (let n = 0; n < length; n += 1) body.push(this.#step(depth + 1));
    const fails = this.#chance(0.3);
    // What a failing function leaves running is ended with it, a rule of its own: not the usual case.
    if (fails && this.#chance(0.7)) body.push({ do: 'settle' });
    return { do: 'transaction', body, fails, ...this.#manner(depth) };
  }

  /**
   * A transaction that does not end before others have looked at it from outside. On a file,
   * reads are answered while it is open: the program waits for them. Behind a write they are not.
   */
  #peek() {
    const latch = this.#latches++;
    const transaction = { ...this.#transaction(0), awaited: false, passes: false, latch };
    transaction.body.splice(this.#below(transaction.body.length + 1), 0, { do: 'hold', latch });
    // A settling step in front of the hold may wait for a call behind it, never the other way round.
    const steps = [{ do: 'settle' }, transaction, { do: 'enter', latch }];
    let isBehindWrite = false;
    for (let n = 1 + this.#below(4); n > 0; n -= 1) {
      if (this.#chance(0.2)) {
        steps.push(this.#pause());
        continue;
      }
      const isRead = this.#chance(0.75);
      const call = isRead ? this.#read() : this.#write();
      isBehindWrite ||= !isRead;
      steps.push({ do: 'call', ...call, awaited: isRead && !isBehindWrite ? 'on a file' : false, passes: false });
      this.#left -= 1;
    }
    steps.push({ do: 'release', latch });
    return steps;
  }

  /** Lists read in pages, which are no snapshot: only while nothing else runs. */
  #scan() {
    const limit = this.#chance(0.5) ? { limit: 1 + this.#below(4) } : {};
    const calls = [
      ['iterateFileHashes', { chat_id: this.#key('chat'), ...limit }],
      ['iterateErrors', { session_id: this.#key('session'), ...limit }],
      ['iterateSessions', { ...(this.#chance(0.5) ? { status: this.#pick(STATUSES) } : {}), ...limit }],
    ].filter(([method]) => this.#others.length === 0 && this.#methods.has(method));
    return calls.map(([method, options]) => ({ do: 'call', method, args: [options], awaited: true, passes: false }));
  }

  #call(depth, kind) {
    this.#left -= 1;
    const dice = this.#random();
    const call =
      dice < 0.4
        ? this.#read()
        : dice > 0.995 - depth * 0.005
          ? { method: depth === 0 && this.#chance(0.3) && this.#methods.has('flush') ? 'flush' : 'analyze', args: [] }
          : this.#write();
    return { do: kind, ...call, ...this.#manner(depth), ...(kind === 'call' ? this.#abort(call) : {}) };
  }

  /** Signals came with `flush`. */
  #abort({ method }) {
    if (!this.#methods.has('flush') || !ABORTABLE.has(method) || !this.#chance(0.08)) return {};
    return { abort: this.#pick(['before', 'microtask', 'immediate']) };
  }

  /** Whether a step is waited for, and whether its rejection is its function's too. */
  #manner(depth) {
    const awaited = this.#chance(0.6);
    return { awaited, passes: awaited && depth > 0 && this.#chance(0.15) };
  }

  // --- calls --------------------------------------------------------------------------------

  #read() {
    const other = this.#others.length > 0 && this.#chance(0.3) ? this.#pick(this.#others) : undefined;
    const call = this.#ownRead(other);
    return other === undefined ? call : { ...call, of: other };
  }

  #ownRead(name) {
    const batch = Array.from({ length: this.#below(6) }, () => this.#key('hash', name));
    const choices = [
      () => ['isFileUploaded', this.#key('hash', name)],
      () => ['isFileUploaded', this.#key('hash', name)],
      () => ['getFileHash', this.#key('hash', name)],
      () => ['findFileHashes', this.#key('chat', name)],
      () => ['getSession', this.#key('session', name)],
      () => ['listSessions', ...(this.#chance(0.5) ? [this.#pick(STATUSES)] : [])],
      () => ['getErrors', this.#key('session', name)],
      () => ['getConfig', this.#key('key', name)],
      () => ['listConfig'],
      () => (this.#others.length === 0 ? ['getStats'] : ['listSessions']),
      () => (this.#methods.has('findUploaded') ? ['findUploaded', batch] : ['getFileHash', this.#key('hash', name)]),
    ];
    const [method, ...args] = this.#pick(choices)();
    return { method, args };
  }

  #write() {
    const choices = [
      () => ['addFileHash', this.#file(), ...this.#onConflict()],
      () => ['addFileHash', this.#file(), ...this.#onConflict()],
      () => ['addFileHash', this.#file(), ...this.#onConflict()],
      () => ['deleteFileHash', this.#key('hash')],
      () => ['createSession', this.#session()],
      () => ['createSession', this.#session()],
      () => ['updateSession', this.#key('session'), this.#changes()],
      () => ['incrementSession', this.#key('session'), this.#deltas()],
      () => ['incrementSession', this.#key('session'), this.#deltas()],
      () => ['deleteSession', this.#key('session')],
      () => ['logError', this.#error()],
      () => ['logError', this.#error()],
      // Numbers of errors are the file's, not the manager's: with others on it they are not known.
      () =>
        this.#others.length === 0 ? ['incrementRetryCount', 1 + this.#below(MANY.error)] : ['logError', this.#error()],
      () => ['clearErrors', this.#key('session')],
      () => [
        'setConfig',
        this.#key('key'),
        this.#pick([this.#below(100), 'text', null, [1, { a: 'b' }], { z: 1, a: 2 }]),
      ],
      () => ['deleteConfig', this.#key('key')],
      () => this.#batch(),
    ];
    const [method, ...args] = this.#pick(choices)();
    return { method, args };
  }

  #batch() {
    const many = (make) => Array.from({ length: this.#below(8) }, make);
    const bad = (record, field, value) => (this.#chance(0.1) ? { ...record, [field]: value } : record);
    const choices = [
      () => ['addFileHashes', many(() => bad(this.#file(), 'hash', '')), ...this.#onConflict()],
      () => ['logErrors', many(() => this.#error())],
      () => ['updateSessions', many(() => ({ id: this.#key('session'), changes: this.#changes() }))],
    ];
    const call = this.#pick(choices)();
    return this.#methods.has(call[0]) ? call : ['addFileHash', this.#file()];
  }

  #file() {
    const hash = this.#key('hash');
    const n = this.#below(1000);
    const file = {
      hash,
      file_path: `/media/${n}.jpg`,
      file_name: `${n}.jpg`,
      file_size: n,
      mime_type: 'image/jpeg',
      upload_service: this.#pick(['photos', 'drive']),
      chat_id: this.#key('chat'),
      uploaded_at: this.#pick(MOMENTS),
    };
    return this.#chance(0.5) ? { ...file, upload_id: `id ${n}` } : file;
  }

  #onConflict() {
    return this.#chance(0.5) ? [] : [{ onConflict: this.#pick(['ignore', 'replace']) }];
  }

  #session() {
    const session = {
      id: this.#key('session'),
      chat_id: this.#key('chat'),
      chat_name: 'Family',
      start_time: this.#pick(MOMENTS),
      last_update: this.#pick(MOMENTS),
      created_at: this.#pick(MOMENTS),
      total_files: this.#below(100),
    };
    return this.#chance(0.3) ? { ...session, status: this.#pick(STATUSES), success_count: this.#below(9) } : session;
  }

  #changes() {
    const changes = {};
    if (this.#chance(0.4)) changes.status = this.#pick(STATUSES);
    if (this.#chance(0.4)) changes.error_count = this.#below(50);
    if (this.#chance(0.3)) changes.last_processed_file = this.#pick(['/a', '/b', null]);
    if (this.#chance(0.3)) changes.start_time = this.#pick(MOMENTS);
    if (this.#chance(0.3)) changes.last_update = this.#pick(MOMENTS);
    return changes;
  }

  #deltas() {
    const deltas = { processed_files: this.#below(5), success_count: this.#below(4) };
    // Now and then a counter is taken below zero, which is refused.
    return this.#chance(0.25) ? { ...deltas, duplicate_count: this.#below(6) - 3 } : deltas;
  }

  #error() {
    return {
      session_id: this.#key('session'),
      file_path: `/media/${this.#below(100)}`,
      error_type: 'UPLOAD_FAILED',
      error_message: 'Network timeout',
      retry_count: this.#below(3),
    };
  }

  // --- chance -------------------------------------------------------------------------------

  #below(limit) {
    return Math.floor(this.#random() * limit);
  }

  #chance(share) {
    return this.#random() < share;
  }

  #pick(list) {
    return list[this.#below(list.length)];
  }

  #key(kind, name = this.#name) {
    return `${name}${kind}${this.#below(MANY[kind])}`;
  }
}

/**
 * Gives programs that are a little smaller than one: each without a part, or with a transaction's
 * steps in its place.
 */
function* shrink(program) {
  for (let n = 0; n < program.strands.length && program.strands.length > 1; n += 1) {
    yield { ...program, strands: program.strands.filter((_, index) => index !== n) };
  }
  for (let n = 0; n < program.strands.length; n += 1) {
    for (const strand of shrinkSteps(program.strands[n])) {
      yield { ...program, strands: program.strands.map((steps, index) => (index === n ? strand : steps)) };
    }
  }
}

function* shrinkSteps(steps) {
  for (let size = Math.ceil(steps.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < steps.length; from += size) yield [...steps.slice(0, from), ...steps.slice(from + size)];
  }
  for (let n = 0; n < steps.length; n += 1) {
    if (steps[n].do !== 'transaction') continue;
    for (const body of shrinkSteps(steps[n].body)) yield steps.with(n, { ...steps[n], body });
  }
}

/** Writes a program so that a person can read it. */
function showProgram({ name, strands }) {
  const show = (step, indent) => {
    const { do: kind, method, args, body, ...rest } = step;
    const flags = Object.entries(rest)
      .filter(([, value]) => value !== false && value !== undefined)
      .map(([key, value]) => (value === true ? key : `${key} ${value}`))
      .join(', ');
    const head = method ? `${kind} ${method}(${JSON.stringify(args).slice(1, -1)})` : kind;
    const inner = (body ?? []).map((child) => show(child, `${indent}  `)).join('');
    return `${indent}${head}${flags && `  [${flags}]`}\n${inner}`;
  };
  return strands.map((steps, n) => `strand ${name}${n}\n${steps.map((step) => show(step, '  ')).join('')}`).join('');
}

module.exports = { makeProgram, showProgram, shrink };
