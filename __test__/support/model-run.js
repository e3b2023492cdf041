'use strict';

/**
 * Owns the campaign of random programs: which program runs where, on a manager alone or on two
 * that share a file, what the rows must be at its end, and what a failing one shrinks to.
 */

const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const { DatabaseManager } = require('../../index.js');
const { newError, newSession } = require('./ledger.js');
const { Clock, Player } = require('./player.js');
const { makeProgram, showProgram, shrink } = require('./program.js');
const { Fault, Timeline } = require('./judge.js');

/** Every so many programs run as a pair; they wait for each other's locks, so they are slow. */
const PAIR_EVERY = 25;
const DEADLINE_MS = 30_000;
const SHRINK_FOR_MS = 20_000;
const METHODS = new Set(Object.getOwnPropertyNames(DatabaseManager.prototype));

/** One place to run programs in, again and again: its tables are empty between two of them. */
class Stage {
  #folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-model-'));
  #managers = [];
  #eyes;

  /** @param {'memory' | 'file' | 'pair'} kind */
  constructor(kind) {
    this.kind = kind;
    this.names = kind === 'pair' ? ['a', 'b'] : [''];
  }

  async open() {
    const file = this.kind === 'memory' ? ':memory:' : path.join(this.#folder, 'ledger.db');
    for (const _ of this.names) {
      const db = new DatabaseManager({ path: file, timeout: 60_000 });
      await db.connect();
      await db.initializeSchema();
      this.#managers.push(db);
    }
    // What is in the file is read through a connection that has had no part in it.
    this.#eyes = this.#managers[0];
    if (this.kind !== 'memory') {
      this.#eyes = new DatabaseManager({ path: file, readonly: true });
      await this.#eyes.connect();
    }
    return this;
  }

  async close() {
    await Promise.all([this.#eyes, ...this.#managers].map((db) => db.disconnect()));
    this.remove();
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /**
   * Plays programs, one a manager, and judges what comes of them.
   *
   * @returns {Promise<{ calls: number, transactions: number }>}
   */
  async run(programs) {
    const scenes = [];
    const isOnFile = this.kind !== 'memory';
    for (const [n, db] of this.#managers.entries()) {
      scenes.push({
        db,
        name: this.names[n],
        isAlone: this.kind !== 'pair',
        isOnFile,
        firstError: await firstErrorOf(db),
      });
    }
    const clock = new Clock();
    const players = scenes.map((scene) => new Player({ ...scene, clock }));
    await beforeDeadline(Promise.all(players.map((player, n) => player.play(programs[n]))));
    for (const { db } of scenes) await db.connect();
    const timelines = players.map(
      ({ outside, disconnectedAt }, n) => new Timeline(outside, { ...scenes[n], disconnectedAt }),
    );
    for (const [n, timeline] of timelines.entries()) {
      timeline.checkOwnReads();
      for (const other of timelines) {
        if (other !== timeline) timeline.checkReadsOf(other, scenes[n].name);
      }
    }
    for (const timeline of timelines) await this.#checkRows(timeline);
    await this.#clear();
    return count(players.flatMap(({ outside }) => outside));
  }

  /** At a program's end the rows are those of the model. */
  async #checkRows(timeline) {
    const state = timeline.last;
    const questions = [['listSessions'], ['listConfig'], ['getStats']];
    for (const chat of new Set([...state.hashes.values()].map((file) => file.chat_id))) {
      questions.push(['findFileHashes', chat]);
    }
    for (const id of state.sessions.keys()) questions.push(['getErrors', id]);
    for (const [method, ...args] of questions) {
      if (method === 'getStats' && this.kind === 'pair') continue;
      const value = await this.#eyes[method](...args);
      timeline.checkLast({ method, args, value, failed: false, called: Number.NaN, settled: Number.NaN });
    }
  }

  async #clear() {
    const db = this.#managers[0];
    await db.transaction(async () => {
      const chats = this.names.flatMap((name) => [`${name}chat0`, `${name}chat1`]);
      for (const chat of chats) for (const { hash } of await db.findFileHashes(chat)) db.deleteFileHash(hash);
      for (const { id } of await db.listSessions()) db.deleteSession(id);
      for (const { key } of await db.listConfig()) db.deleteConfig(key);
    });
    const { totalFiles, totalSessions } = await db.getStats();
    if (totalFiles + totalSessions > 0) throw new Error('rows were left that no program may make');
  }
}

/** Gives the number that the next error will have. */
async function firstErrorOf(db) {
  const session = await db.createSession(newSession());
  const id = await db.logError(newError(session));
  await db.deleteSession(session);
  return id + 1;
}

async function beforeDeadline(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`a call did not settle within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function count(calls) {
  const total = { calls: 0, transactions: 0 };
  for (const call of calls) {
    total.calls += 1;
    if (!call.inside) continue;
    const inner = count(call.inside);
    total.calls += inner.calls;
    total.transactions += 1 + inner.transactions;
  }
  return total;
}

/** A seed says everything: the kind of the stage, and each manager's program. */
function kindOf(seed) {
  if (seed % PAIR_EVERY === 0) return 'pair';
  return seed % 2 === 0 ? 'memory' : 'file';
}

function makePrograms(seed, kind, names) {
  return names.map((name, n) => {
    const others = names.filter((other) => other !== name);
    return makeProgram(seed * 2 + n, { methods: METHODS, name, others, outlives: kind !== 'memory' });
  });
}

/**
 * Runs the programs of so many seeds in a row.
 *
 * @param {{ seed: number, count: number, tell?: (line: string) => void }} options
 * @returns {Promise<Record<string, { programs: number, calls: number, transactions: number, ms: number }>>}
 */
async function runModel({ seed, count: programs, tell = () => {} }) {
  const stages = new Map();
  const figures = {};
  try {
    for (let n = seed; n < seed + programs; n += 1) {
      const kind = kindOf(n);
      if (!stages.has(kind)) stages.set(kind, await new Stage(kind).open());
      const stage = stages.get(kind);
      const begun = performance.now();
      const made = makePrograms(n, kind, stage.names);
      const ran = await stage.run(made).catch((error) => fail(error, n, kind, made));
      figures[kind] ??= { programs: 0, calls: 0, transactions: 0, ms: 0 };
      figures[kind].programs += 1;
      figures[kind].calls += ran.calls;
      figures[kind].transactions += ran.transactions;
      figures[kind].ms += performance.now() - begun;
      if ((n - seed) % 1000 === 999) tell(`${n - seed + 1} programs`);
    }
  } finally {
    // After a failure a manager may have calls that never settle: it is left to the process's end.
    const isWhole = Object.values(figures).reduce((sum, figure) => sum + figure.programs, 0) === programs;
    for (const stage of stages.values()) await (isWhole ? stage.close() : stage.remove());
  }
  return figures;
}

/** Shrinks the programs of a failing seed and tells of them. */
async function fail(error, seed, kind, programs) {
  let smallest = { programs, error };
  const until = performance.now() + SHRINK_FOR_MS;
  for (let isSmaller = error instanceof Fault; isSmaller && performance.now() < until; ) {
    isSmaller = false;
    for (const candidate of shrinkAll(smallest.programs)) {
      if (performance.now() > until) break;
      const caught = await tryAgain(kind, candidate);
      if (!caught) continue;
      smallest = { programs: candidate, error: caught };
      isSmaller = true;
      break;
    }
  }
  const text = smallest.programs.map(showProgram).join('');
  throw new Error(
    `seed ${seed} (${kind}): ${smallest.error.message}\n\n${text}\n` +
      `Again: npm run test:model -- --seed ${seed} --count 1`,
    { cause: error },
  );
}

function* shrinkAll(programs) {
  for (const [n, program] of programs.entries()) {
    for (const smaller of shrink(program)) yield programs.with(n, smaller);
  }
}

/** @returns {Promise<Error | undefined>} how programs fail, in a place of their own */
async function tryAgain(kind, programs) {
  const stage = await new Stage(kind).open();
  const caught = await stage.run(programs).then(
    () => undefined,
    (error) => error,
  );
  if (caught && !(caught instanceof Fault)) stage.remove();
  else await stage.close();
  return caught instanceof Fault ? caught : undefined;
}

module.exports = { runModel };
