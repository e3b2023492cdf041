'use strict';

/**
 * A process that plays programs on ledgers while one of its operations on their files fails, or all from one
 * on: `node addon-io-child.js FOLDER SEED PROGRAMS honest|lying`. Beside the lines of promised.js it says
 * `begin n`, `fault …` with what was planted, `x code` for a rejection, `! text` for what must not be, `u tries`
 * for how soon the manager was usable again, and `over`; then it kills itself, with half of the ledgers open.
 *
 * Lying, it takes every call for acknowledged.
 */

const { writeSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { DatabaseError, DatabaseManager } = require('../../index.js');
const { makeRandom, newError, newFileHash, newSession } = require('../support/ledger.js');
const { CALLS, TRIES, describeFault, planFault } = require('./addon-io-plan.js');
const { FileFault } = require('./file-fault.js');

const [folder, seed, programs, manner] = process.argv.slice(2);
const isLying = manner === 'lying';
const random = makeRandom(Number(seed));
const fileFault = FileFault.own();
const DEADLINE_MS = 30_000;

const say = (line) => writeSync(1, `${line}\n`);
const pick = (list) => list[Math.floor(random() * list.length)];

/** One ledger, its manager, and what is called there. */
class Program {
  #file;
  #number;
  #numbers = 0;
  #standing = [];
  #db;

  constructor(number) {
    this.#number = number;
    this.#file = path.join(folder, `${number}.db`);
    this.#db = new DatabaseManager({ path: this.#file, timeout: 1000 });
    // Told of here, it is no warning of the process.
    this.#db.on('checkpointError', (error) => this.#judge(error));
  }

  async play() {
    say(`begin ${this.#number}`);
    const isEarly = random() < 0.15;
    if (!isEarly) await this.#open();
    for (let n = 0; !isEarly && n < 5; n += 1) await this.#addOne();
    const fault = planFault(random);
    fileFault.arm(fault);
    if (isEarly) await this.#try(() => this.#open());
    for (let n = 0; n < CALLS; n += 1) await pick(this.#calls)();
    const { fired } = fileFault.disarm();
    say(describeFault(fault, fired));
    await this.#require('usable', async () => {
      if (isEarly || !this.#db.isConnected()) await this.#open();
      await this.#db.addFileHash(newFileHash(this.#next()));
    });
    await this.#require('flushed', () => this.#db.flush());
    if (random() < 0.5) await this.#require('closed', () => this.#db.disconnect());
  }

  async #open() {
    await this.#db.connect();
    await this.#db.initializeSchema();
    if (!(await this.#db.getSession('counted'))) await this.#db.createSession(newSession({ id: 'counted' }));
  }

  /** What must work again once the fault is over, at the latest after a few tries. */
  async #require(what, run) {
    for (let tried = 1; ; tried += 1) {
      try {
        await run();
        if (what === 'usable') say(`u ${tried}`);
        return;
      } catch (error) {
        this.#judge(error);
        if (tried === TRIES) {
          say(`! not ${what} though nothing fails any more: ${error.code} ${error.message}`);
          return;
        }
      }
      await sleep(20);
    }
  }

  #judge(error) {
    const isTyped = error instanceof DatabaseError && /^(SQLITE|DB)_[A-Z_]+$/.test(error.code);
    if (isTyped) say(`x ${error.code}`);
    else say(`! an error without a code: ${String(error?.stack).replaceAll('\n', ' ')}`);
    if (error?.code === 'DB_INTERNAL') say(`! ${error.message}`);
  }

  /** Says a line when a call has kept its promise. */
  async #try(call, line) {
    let promise;
    try {
      promise = call();
    } catch (error) {
      say(`! a call threw: ${error.message}`);
      return;
    }
    try {
      const value = await promise;
      if (line) say(typeof line === 'function' ? line(value) : line);
    } catch (error) {
      this.#judge(error);
      if (isLying && typeof line === 'string') say(line);
    }
  }

  #next() {
    return `${this.#number}.${this.#numbers++}`;
  }

  async #addOne(size = 100) {
    const hash = this.#next();
    await this.#try(() => this.#db.addFileHash(newFileHash(hash, { file_path: 'x'.repeat(size) })), `+ ${hash}`);
    this.#standing.push(hash);
  }

  async #addBatch() {
    const hashes = Array.from({ length: 100 }, () => this.#next());
    const files = hashes.map((hash) => newFileHash(hash, { file_path: 'x'.repeat(1000) }));
    // Each record has an outcome of its own.
    await this.#try(
      () => this.#db.addFileHashes(files),
      (outcomes) =>
        hashes
          .filter((_, n) => outcomes[n].status === 'fulfilled')
          .map((hash) => `+ ${hash}`)
          .join('\n'),
    );
  }

  async #transact() {
    const group = this.#next();
    const run = async () => {
      for (let n = 0; n < 3; n += 1) {
        await this.#db.addFileHash(newFileHash(`${group}/${n}`, { file_path: 'x'.repeat(pick([100, 20_000])) }));
      }
      await this.#db.incrementSession('counted', { success_count: 3 });
    };
    await this.#try(() => this.#db.transaction(run), `t ${group}`);
  }

  async #deleteOne() {
    const hash = this.#standing.pop();
    if (hash === undefined) return this.#addOne();
    say(`? ${hash}`);
    await this.#try(() => this.#db.deleteFileHash(hash), `- ${hash}`);
  }

  async #reconnect() {
    await this.#try(() => this.#db.disconnect());
    await this.#try(() => this.#db.connect());
  }

  async #iterate() {
    for await (const _ of this.#db.iterateFileHashes());
  }

  #calls = [
    () => this.#addOne(),
    () => this.#addOne(30_000),
    () => Promise.all(Array.from({ length: 10 }, () => this.#addOne())),
    () => this.#addBatch(),
    () => this.#transact(),
    () => Promise.all([this.#transact(), this.#addOne(), this.#transact()]),
    () => this.#deleteOne(),
    () =>
      this.#try(
        () => this.#db.logError(newError('counted')),
        (id) => `e ${id}`,
      ),
    () => {
      const value = this.#numbers++;
      return this.#try(() => this.#db.setConfig('progress', value), `c ${value}`);
    },
    () => this.#try(() => this.#db.flush()),
    () => this.#try(() => this.#db.vacuum()),
    () => this.#try(() => this.#db.analyze()),
    () => this.#try(() => this.#db.backup(`${this.#file}.backup`, { overwrite: true })),
    () => this.#try(() => this.#db.checkIntegrity()),
    () => this.#try(() => this.#db.getStats()),
    () => this.#try(() => this.#iterate()),
    () => this.#reconnect(),
  ];
}

async function run() {
  for (let number = 0; number < Number(programs); number += 1) {
    const timer = setTimeout(() => {
      say('! a call does not settle');
      process.kill(process.pid, 'SIGKILL');
    }, DEADLINE_MS);
    await new Program(number).play();
    clearTimeout(timer);
  }
  say('over');
  process.kill(process.pid, 'SIGKILL');
}

run();
