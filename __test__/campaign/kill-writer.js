'use strict';

/**
 * Owns the campaign of kills: writers that are killed at random moments, and what must then be in
 * their file: every acknowledged row, counters that equal rows, whole transactions, a sound file.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const peers = require('../../benchmark/peer.js');
const { createConnection } = require('../../index.js');
const { makeRandom } = require('../support/ledger.js');
const { Promised } = require('./promised.js');

const WRITERS = {
  'whatsapp-uploader': { program: process.execPath, script: 'kill-writer-child.js' },
  'better-sqlite3': { program: peers.nodeBinary(), script: 'kill-writer-peer.js' },
};
/** From here on a new file is begun: checking a large one takes long and finds no more. */
const LARGE = 40_000_000;
const START_DEADLINE_MS = 30_000;

/** A file, its writers one after the other, and what is found in it. */
class Lane {
  #folder = fs.mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-kill-'));
  #random;
  #manner;
  #file = '';
  #promised = new Promised();
  #writer;
  figures = {
    kills: 0,
    early: 0,
    acknowledged: 0,
    checks: 0,
    checkpoints: 0,
    restarts: 0,
    files: 0,
    lost: 0,
    counters_wrong: 0,
    corrupt: 0,
  };
  /** @type {string[]} what was found wrong */
  faults = [];

  /** @param {{ seed: number, manner: 'honest' | 'premature', writer: string }} options */
  constructor({ seed, manner, writer }) {
    this.#writer = WRITERS[writer];
    if (!this.#writer) throw new RangeError(`a writer is one of ${Object.keys(WRITERS).join(', ')}`);
    this.#random = makeRandom(seed);
    this.#manner = manner;
    this.#begin();
  }

  #begin() {
    this.figures.files += 1;
    this.#file = path.join(this.#folder, `${this.figures.files}.db`);
    this.#promised = new Promised();
  }

  /** Lets one writer write and kills it. */
  async kill() {
    const round = this.figures.kills;
    let before;
    const seed = Math.floor(this.#random() * 2 ** 31);
    const { program, script } = this.#writer;
    const parameters = [path.join(__dirname, script), this.#file, String(seed), String(round), this.#manner];
    const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    // Half of the writers die as soon as they have been promised something, some time after this.
    const diesOnPromise = this.#random() < 0.5;
    const after = this.#random() ** 2 * 200;
    let readyAt = Number.POSITIVE_INFINITY;
    const isReady = new Promise((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output += text;
        if (diesOnPromise && performance.now() > readyAt + after) child.kill('SIGKILL');
        if (before !== undefined || !output.includes('ready\n')) return;
        readyAt = performance.now();
        before = sizeAndTime(this.#file);
        resolve(true);
      });
    });
    const ended = once(child, 'close');
    if (this.#random() < 0.1) {
      // While it opens, recovers, or makes the schema.
      this.figures.early += 1;
      await Promise.race([sleep(30 + this.#random() * 60), isReady]);
    } else {
      const started = await Promise.race([
        isReady,
        ended.then(() => false),
        sleep(START_DEADLINE_MS, false, { ref: false }),
      ]);
      if (!started) this.faults.push(`round ${round}: the writer did not start`);
      await (diesOnPromise ? Promise.race([ended, sleep(after + 1000)]) : sleep(after));
    }
    child.kill('SIGKILL');
    const [, signal] = await ended;
    if (signal !== 'SIGKILL') this.faults.push(`round ${round}: the writer ended by itself`);
    this.figures.kills += 1;
    const counted = this.#promised.count;
    this.#promised.read(output);
    this.figures.acknowledged += this.#promised.count - counted;
    this.#countCheckpoints(before);
    // The next writer may find what this one has left, before anyone else has mended it.
    if (this.#random() < 0.7) this.check();
  }

  /**
   * Sees that logs were moved into the file after the writers had opened it. Nobody has the file open
   * now, so its bytes may be read.
   */
  #countCheckpoints(before) {
    if (before !== undefined && sizeAndTime(this.#file) !== before) this.figures.checkpoints += 1;
    const log = `${this.#file}-wal`;
    if (!fs.existsSync(log) || fs.statSync(log).size < 32) return;
    const header = Buffer.alloc(32);
    const descriptor = fs.openSync(log, 'r');
    fs.readSync(descriptor, header, 0, 32, 0);
    fs.closeSync(descriptor);
    // SQLite counts in the log's header how often it was begun again.
    if (header.readUInt32BE(12) > 0) this.figures.restarts += 1;
  }

  /** Looks at the file through a connection of this process. */
  check() {
    if (!fs.existsSync(this.#file)) {
      if (this.#promised.count > 0) this.faults.push('the file is gone');
      return;
    }
    this.figures.checks += 1;
    const known = this.faults.length;
    const connection = createConnection({ path: this.#file });
    try {
      this.#compare(connection);
    } finally {
      connection.close();
    }
    const isWrong = this.faults.length > known;
    // What is wrong once would be found after each later kill.
    if (isWrong) this.#begin();
    else if (fs.statSync(this.#file).size > LARGE) {
      this.#remove();
      this.#begin();
    }
  }

  /** Removes a file in which all was right: thousands of kills would fill the disk with such. */
  #remove() {
    for (const suffix of ['', '-wal', '-shm']) fs.rmSync(`${this.#file}${suffix}`, { force: true });
  }

  /** @param {import('../../index.js').SqliteConnection} connection */
  #compare(connection) {
    const fault = (text, figure) => {
      this.faults.push(`after kill ${this.figures.kills}: ${text}`);
      if (figure) this.figures[figure] += 1;
    };
    this.#promised.compare(connection, fault);
  }

  close() {
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

function sizeAndTime(file) {
  const stats = fs.statSync(file, { throwIfNoEntry: false });
  return stats && `${stats.size} ${stats.mtimeMs}`;
}

/**
 * Kills so many writers.
 *
 * @param {{ seed: number, count: number, lanes?: number, manner?: 'honest' | 'premature',
 *   untilFault?: boolean, writer?: string, tell?: (line: string) => void }} options `writer` is what the
 *   writers are made with
 */
async function runKills({
  seed,
  count,
  lanes = 2,
  manner = 'honest',
  untilFault = false,
  writer = 'whatsapp-uploader',
  tell = () => {},
}) {
  const all = Array.from({ length: Math.min(lanes, count) }, (_, n) => new Lane({ seed: seed + n, manner, writer }));
  let begun = 0;
  const runLane = async (lane) => {
    while (begun < count && !(untilFault && lane.faults.length > 0)) {
      begun += 1;
      if (begun % 100 === 0) tell(`${begun} kills`);
      await lane.kill();
    }
    lane.check();
  };
  try {
    await Promise.all(all.map(runLane));
  } finally {
    for (const lane of all) lane.close();
  }
  const figures = { ...all[0].figures };
  for (const lane of all.slice(1)) for (const key of Object.keys(figures)) figures[key] += lane.figures[key];
  return { figures, faults: all.flatMap((lane) => lane.faults) };
}

module.exports = { runKills };
