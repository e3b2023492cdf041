'use strict';

/**
 * Owns the campaign of kills: writers that are killed at random moments, and what must then be in
 * their file: every acknowledged row, counters that equal rows, whole transactions, a sound file.
 *
 * A writer's lines: `+ hash` added, `- hash` deleted, `? hash` about to be deleted, `t group` a
 * transaction of three rows and their counting, `e id` an error, `c value` the setting, which
 * only grows. A line that was cut off says nothing.
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

const WRITERS = {
  'whatsapp-uploader': { program: process.execPath, script: 'kill-writer-child.js' },
  'better-sqlite3': { program: peers.nodeBinary(), script: 'kill-writer-peer.js' },
};
/** From here on a new file is begun: checking a large one takes long and finds no more. */
const LARGE = 40_000_000;
const START_DEADLINE_MS = 30_000;

/** What the writers of one file have been promised. */
class Promised {
  hashes = new Set();
  doubtful = new Set();
  deleted = new Set();
  groups = new Set();
  errors = new Set();
  setting = -1;
  count = 0;

  /** @param {string} output of one writer */
  read(output) {
    const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n');
    for (const line of lines) {
      const [kind, value] = [line[0], line.slice(2)];
      if (kind === '+') this.hashes.add(value);
      else if (kind === '?') this.doubtful.add(value);
      else if (kind === '-') this.deleted.add(value);
      else if (kind === 't') this.groups.add(value);
      else if (kind === 'e') this.errors.add(Number(value));
      else if (kind === 'c') this.setting = Math.max(this.setting, Number(value));
      if ('+-tec'.includes(kind ?? ' ')) this.count += 1;
    }
  }
}

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
    if (isWrong || fs.statSync(this.#file).size > LARGE) this.#begin();
  }

  /** @param {import('../../index.js').SqliteConnection} connection */
  #compare(connection) {
    const fault = (text, figure) => {
      this.faults.push(`after kill ${this.figures.kills}: ${text}`);
      if (figure) this.figures[figure] += 1;
    };
    const integrity = connection.getDatabase().pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') fault(`integrity_check: ${integrity}`, 'corrupt');
    const promised = this.#promised;
    if (!connection.get("SELECT 1 FROM sqlite_schema WHERE name = 'config'")) {
      if (promised.count > 0) fault('the schema is gone');
      return;
    }
    if (connection.all('PRAGMA foreign_key_check').length > 0) fault('foreign_key_check');
    const present = new Set(connection.all('SELECT hash FROM file_hashes').map(({ hash }) => hash));
    const lost = [...promised.hashes].filter((hash) => !promised.doubtful.has(hash) && !present.has(hash));
    if (lost.length > 0) fault(`${lost.length} acknowledged rows lost, ${lost[0]} the first`, 'lost');
    const back = [...promised.deleted].filter((hash) => present.has(hash));
    if (back.length > 0) fault(`${back.length} deleted rows came back`);

    const counted = [...present].filter((hash) => hash.includes('/'));
    if (counted.some((hash) => hash.endsWith('never'))) fault('a nested transaction that was undone is there');
    const groups = new Map();
    for (const hash of counted) {
      const group = hash.slice(0, hash.indexOf('/'));
      groups.set(group, (groups.get(group) ?? 0) + 1);
    }
    if ([...groups.values()].some((rows) => rows !== 3)) fault('a part of a transaction is there');
    const missing = [...promised.groups].filter((group) => !groups.has(group));
    if (missing.length > 0) fault(`${missing.length} acknowledged transactions lost`, 'lost');
    const session = connection.get("SELECT success_count FROM upload_sessions WHERE id = 'counted'");
    if ((session?.success_count ?? 0) !== counted.length)
      fault('the counter does not equal the rows', 'counters_wrong');

    const errors = new Set(connection.all('SELECT id FROM upload_errors').map(({ id }) => id));
    if ([...promised.errors].some((id) => !errors.has(id))) fault('acknowledged errors lost', 'lost');
    const setting = Number(connection.get("SELECT value FROM config WHERE key = 'progress'")?.value ?? -1);
    if (setting < promised.setting) fault('an older setting is back', 'lost');
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
