'use strict';

/**
 * Owns the kills of a migration, a backup, a restore, a repair and a vacuum, and what must be there
 * afterwards. Half of them come at a random time of the job, the other half, where a library can be loaded
 * for it, at one of its operations on files: before it, or in the middle of a write.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { DatabaseManager, DatabaseMigrator, createConnection } = require('../../index.js');
const { makeRandom } = require('../support/ledger.js');
const { CHANGES, FileFault } = require('./file-fault.js');
const { MIGRATIONS, readState } = require('./kill-scene.js');

const CHILD = path.join(__dirname, 'kill-job-child.js');
const DEADLINE_MS = 30_000;
const PAGE = 4096;

/** What a killed process has said. */
function readOutput(output) {
  const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n');
  const named = (mark) => lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length));
  return { isDone: lines.includes('done'), asked: named('? '), promised: named('+ ') };
}

/** Finds the files whose names begin so, without their logs, and without what was being made when it was killed. */
function findKept(folder, start) {
  return fs.readdirSync(folder).filter((name) => name.startsWith(start) && !/-(wal|shm|journal)$|\.tmp/.test(name));
}

/**
 * What a job's files hold when it is killed, said as 'old' or 'new'.
 *
 * @typedef {object} Scene
 * @property {string} folder of the job
 * @property {string} origin of the files that it began with
 * @property {string} [older] the backup that was at the target's place before
 * @property {Record<string, any>} expected
 * @property {ReturnType<typeof readOutput>} output
 * @property {(text: string) => void} fault
 */

/** Sees that a file is sound and has the rows that were promised, and none that was never asked for. */
function checkRows({ output, fault }, state, what, promised = output.promised) {
  if (state.integrity !== 'ok') fault(`${what}: integrity_check: ${state.integrity}`);
  const present = new Set(state.extras);
  const lost = promised.filter((name) => !present.has(name));
  if (lost.length > 0) fault(`${what}: ${lost.length} acknowledged rows lost, ${lost[0]} the first`);
  if (state.extras.some((name) => !output.asked.includes(name))) fault(`${what}: a row that nobody added`);
}

/** @type {Record<string, { expect?: (scene: Scene) => Promise<void> | void, judge: (scene: Scene) => Promise<string> | string }>} */
const JUDGES = {
  migrate: {
    expect: async ({ folder, expected }) => {
      // What each version looks like.
      const file = path.join(folder, 'ledger.db');
      expected.versions = { 1: readState(file).base };
      for (const [index, { version }] of MIGRATIONS.entries()) {
        await migrateFile(file, MIGRATIONS.slice(0, index + 1));
        expected.versions[version] = readState(file).base;
      }
    },
    judge: async (scene) => {
      const file = path.join(scene.folder, 'ledger.db');
      const state = readState(file);
      checkRows(scene, state, 'the ledger');
      if (state.base !== scene.expected.versions[state.version]) scene.fault(`version ${state.version} is not whole`);
      const newest = MIGRATIONS.at(-1).version;
      if (scene.output.isDone && state.version !== newest) scene.fault('migrations that were acknowledged are gone');
      await migrateFile(file, MIGRATIONS).catch((error) => scene.fault(`the next migration fails: ${error.message}`));
      if (readState(file).base !== scene.expected.versions[newest])
        scene.fault('the next migration does not complete it');
      return state.version === newest ? 'new' : 'old';
    },
  },
  backup: {
    judge: (scene) => {
      const { folder, older, expected, output, fault } = scene;
      const live = readState(path.join(folder, 'ledger.db'));
      checkRows(scene, live, 'the ledger');
      if (live.base !== expected.live) fault('the ledger has changed');
      const target = path.join(folder, 'target.db');
      if (!fs.existsSync(target)) {
        if (output.isDone) fault('the backup is gone');
        if (older) fault('the older backup is gone');
        return 'old';
      }
      const bytes = fs.readFileSync(target);
      if (older && bytes.equals(fs.readFileSync(older))) {
        if (output.isDone) fault('the older backup is still there');
        return 'old';
      }
      if (bytes[18] !== 1 || fs.existsSync(`${target}-wal`)) fault('the backup needs a log');
      let copy;
      try {
        copy = readState(target);
      } catch (error) {
        fault(`the backup cannot be read: ${error.code}`);
        return 'new';
      }
      checkRows(scene, copy, 'the backup', []);
      if (copy.base !== expected.live) fault('the backup is not the ledger');
      if (copy.extras.some((name) => Number(name) >= copy.extras.length)) fault('the backup has gaps');
      return 'new';
    },
  },
  restore: {
    expect: ({ origin, folder, expected }) => {
      // Rows only: a restore makes the schema anew.
      const backup = path.join(folder, 'copy.db');
      fs.copyFileSync(path.join(origin, 'backup.db'), backup);
      expected.restored = readState(backup).base;
    },
    judge: (scene) => {
      const { folder, expected, output, fault } = scene;
      const live = readState(path.join(folder, 'ledger.db'));
      const before = output.promised.filter((name) => name.startsWith('before'));
      const after = output.promised.filter((name) => name.startsWith('after'));
      const isNew = live.base === expected.restored;
      if (!isNew && live.base !== expected.live) fault('the ledger is neither the old one nor the restored one');
      if (!isNew && output.isDone) fault('a restore that was acknowledged is gone');
      checkRows(scene, live, 'the ledger', isNew ? after : before);
      const kept = findKept(folder, 'ledger.db.before-restore-');
      if (isNew && kept.length !== 1) fault(`${kept.length} copies of the state before the restore`);
      for (const name of kept) {
        const copy = readState(path.join(folder, name));
        checkRows(scene, copy, 'the kept state', before);
        if (copy.base !== expected.live) fault('the kept state is not what was there');
      }
      return isNew ? 'new' : 'old';
    },
  },
  repair: {
    expect: async ({ folder, expected }) => {
      const file = path.join(folder, 'ledger.db');
      await new DatabaseManager({ path: file }).repair();
      expected.repaired = readState(file).base;
    },
    judge: async (scene) => {
      const { folder, origin, expected, output, fault } = scene;
      const read = (name, from = folder) => {
        const file = path.join(from, name);
        return fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0);
      };
      const [damaged, log] = [read('ledger.db', origin), read('ledger.db-wal', origin)];
      const isOld = read('ledger.db').equals(damaged);
      const kept = findKept(folder, 'ledger.db.corrupt-')[0];
      const isKept = kept !== undefined && read(kept).equals(damaged) && read(`${kept}-wal`).equals(log);
      if (!isOld && !isKept) fault('the damaged file is not kept');
      if (isOld && output.isDone) fault('a repair that was acknowledged is gone');
      const file = path.join(folder, 'ledger.db');
      if (isOld) {
        if (!read('ledger.db-wal').equals(log) && !isKept) fault("the damaged file's log is gone");
        await new DatabaseManager({ path: file }).repair();
      }
      const state = readState(file);
      if (state.integrity !== 'ok') fault(`integrity_check: ${state.integrity}`);
      if (state.base !== expected.repaired) fault('the repaired file lacks rows');
      return isOld ? 'old' : 'new';
    },
  },
  vacuum: {
    judge: (scene) => {
      const state = readState(path.join(scene.folder, 'ledger.db'));
      checkRows(scene, state, 'the ledger');
      if (state.base !== scene.expected.live) scene.fault('rows have changed');
      return scene.output.isDone ? 'new' : 'old';
    },
  },
};

async function migrateFile(file, migrations) {
  const connection = createConnection({ path: file });
  try {
    await new DatabaseMigrator(connection, { migrations }).migrate();
  } finally {
    connection.close();
  }
}

/** The kills of one kind of job. */
class JobKills {
  #job;
  #manner;
  #random;
  #folder = fs.mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-kill-'));
  #expected = {};
  #origin = path.join(this.#folder, 'origin');
  /** How long the job takes, in milliseconds and in operations. */
  #span = 0;
  #operations = 0;
  figures = { kills: 0, at_operation: 0, before_the_end: 0, old: 0, new: 0, milliseconds: 0, operations: 0 };
  /** @type {string[]} */
  faults = [];

  constructor({ job, seed, isLying }) {
    this.#job = job;
    this.#manner = isLying ? 'lying' : 'honest';
    this.#random = makeRandom(seed);
  }

  /** Makes the files that each job begins with, and lets it come to its end a few times to see how long it takes. */
  async prepare() {
    fs.mkdirSync(this.#origin);
    const maker = spawn(process.execPath, [CHILD, 'scene', this.#origin, 'honest'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await saying(maker, 'idle');
    maker.kill('SIGKILL');
    await once(maker, 'close');
    fs.rmSync(path.join(this.#origin, 'ledger.db-shm'), { force: true });
    const scene = (folder) => ({
      folder,
      origin: this.#origin,
      expected: this.#expected,
      fault: () => {},
      output: readOutput(''),
    });
    const sound = this.#copyOrigin('sound');
    this.#expected.live = readState(path.join(sound, 'ledger.db')).base;
    if (this.#job === 'repair') this.#damage();
    await JUDGES[this.#job].expect?.(scene(this.#copyOrigin('expected')));
    const spans = [];
    const fault = this.makeFault();
    for (let n = 0; n < 5; n += 1) {
      const folder = this.#copyOrigin(`span-${n}`);
      const { child, ended } = this.#spawn(folder, fault);
      await saying(child, 'ready');
      fault?.count();
      const begun = performance.now();
      child.stdin.write('!');
      await saying(child, 'done');
      spans.push(performance.now() - begun);
      this.#operations = Math.max(this.#operations, fault?.disarm().seen ?? 0);
      child.kill('SIGKILL');
      await ended;
      fs.rmSync(folder, { recursive: true });
    }
    fault?.close();
    this.#span = spans.sort((left, right) => left - right)[2];
    this.figures.milliseconds = Math.round(this.#span);
    this.figures.operations = this.#operations;
  }

  /** Loses the first page and one in the middle, of which the log may know or not. */
  #damage() {
    const file = path.join(this.#origin, 'ledger.db');
    const bytes = fs.readFileSync(file);
    for (const page of [0, 30]) bytes.fill(0, page * PAGE, (page + 1) * PAGE);
    fs.writeFileSync(file, bytes);
  }

  #copyOrigin(name) {
    const folder = path.join(this.#folder, name);
    fs.cpSync(this.#origin, folder, { recursive: true });
    return folder;
  }

  #spawn(folder, fault) {
    const child = spawn(process.execPath, [CHILD, this.#job, folder, this.#manner], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: fault?.environment(folder) ?? process.env,
    });
    // A process that is killed does not read its standard input.
    child.stdin.on('error', () => {});
    return { child, ended: once(child, 'close') };
  }

  /** How a lane may let operations fail, where that is possible. */
  makeFault() {
    return FileFault.isPossible() ? FileFault.create(this.#folder) : undefined;
  }

  /**
   * @param {number} round
   * @param {FileFault | undefined} laneFault
   */
  async kill(round, laneFault) {
    const random = this.#random;
    const [dice, where, isTorn, hasOlder] = [random(), random(), random() < 0.3, random() < 0.5];
    const folder = this.#copyOrigin(`round-${round}`);
    const isAtOperation = laneFault !== undefined && dice < 0.5;
    const fault = isAtOperation ? laneFault : undefined;
    const origin = this.#origin;
    const older = this.#job === 'backup' && hasOlder ? path.join(origin, 'backup.db') : undefined;
    if (older) fs.copyFileSync(older, path.join(folder, 'target.db'));
    const { child, ended } = this.#spawn(folder, fault);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    const tell = (text) => this.faults.push(`${this.#job}, kill ${round}: ${text}`);
    if (!(await saying(child, 'ready'))) tell('the job did not start');
    fault?.arm({ kinds: CHANGES, action: isTorn ? 'dieTorn' : 'die', after: 1 + Math.floor(where * this.#operations) });
    child.stdin.write('!');
    if (isAtOperation) await Promise.race([ended, saying(child, 'idle')]);
    else await sleep(where * this.#span * 1.1);
    child.kill('SIGKILL');
    const [, signal] = await ended;
    fault?.disarm();
    if (signal !== 'SIGKILL') tell(`the job ended by itself (${signal})`);
    const said = readOutput(output);
    this.figures.kills += 1;
    if (isAtOperation) this.figures.at_operation += 1;
    if (!said.isDone) this.figures.before_the_end += 1;
    const scene = { folder, origin, older, expected: this.#expected, output: said, fault: tell };
    try {
      this.figures[await JUDGES[this.#job].judge(scene)] += 1;
    } catch (error) {
      tell(`what it left cannot be used: ${error.message}`);
    }
    fs.rmSync(folder, { recursive: true, force: true });
  }

  close() {
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Waits until a process has said a line; gives whether it has. */
async function saying(child, line) {
  let output = '';
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, DEADLINE_MS, false);
    const listen = (text) => {
      output += text;
      if (`\n${output}`.includes(`\n${line}\n`)) finish(true);
    };
    const finish = (outcome) => {
      clearTimeout(timer);
      child.stdout.off('data', listen);
      child.off('close', gone);
      resolve(outcome);
    };
    const gone = () => finish(false);
    child.stdout.on('data', listen);
    child.once('close', gone);
  });
}

/**
 * Kills so many of one kind of job, two at a time.
 *
 * @param {{ job: string, seed: number, count: number, isLying: boolean }} options a lying job is killed until that is found
 */
async function killJobs({ job, seed, count, isLying }) {
  const kills = new JobKills({ job, seed, isLying });
  let begun = 0;
  const runLane = async () => {
    const fault = kills.makeFault();
    while (begun < count && !(isLying && kills.faults.length > 0)) {
      begun += 1;
      await kills.kill(begun, fault);
    }
    fault?.close();
  };
  try {
    await kills.prepare();
    await Promise.all([runLane(), runLane()]);
  } finally {
    kills.close();
  }
  return { count: kills.figures.kills, faults: kills.faults, figures: kills.figures };
}

module.exports = { JOBS: Object.keys(JUDGES), killJobs };
