// @ts-check
'use strict';

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');
const { DatabaseManager } = require('..');
const { run } = require('../scripts/prepare.js');
const { openDatabase } = require('./database.js');
const { ERRORS, FILES } = require('./dataset.js');
const { DEFAULT_CHECKPOINT_PAGES } = require('./measurement.js');
const { findOperation } = require('./operations.js');

/**
 * Owns how each driver stays comparable: between rounds the same tidying, by a second connection of
 * the same driver.
 *
 * @typedef {object} Driver
 * @property {{ manager: any, statement: any }} subjects what an operation of each group is given: our manager and a
 * synchronous connection of ours, or a peer's database as both
 * @property {string} sqlite SQLite's version
 * @property {(checkpointPages: number) => Promise<void>} settle makes every round begin alike
 * @property {(table: string, key: string, above: number) => number} removeAbove deletes, and says how many rows
 * @property {() => Promise<void>} close
 */

const TOUCH_SQL = "INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('benchmark', '0', ?)";

/** A checkpoint can meet one that our manager has just begun on another thread. */
const CHECKPOINT_ATTEMPTS = 100;

/** @param {any} side a connection with `prepare(sql).get()` */
async function emptyLog(side) {
  for (let attempt = 0; attempt < CHECKPOINT_ATTEMPTS; attempt += 1) {
    if (side.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get().busy === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('the checkpoint between rounds met a lock that did not go away');
}

/**
 * @param {any} side
 * @param {string} table
 * @param {string} key
 * @param {number} above
 */
function removeAbove(side, table, key, above) {
  return side.prepare(`DELETE FROM ${table} WHERE ${key} > ?`).run(above).changes;
}

/** @param {any} side */
function sqliteVersion(side) {
  return side.prepare('SELECT sqlite_version() AS version').get().version;
}

/**
 * @param {string} file
 * @returns {Promise<Driver>}
 */
async function openOurs(file) {
  const manager = new DatabaseManager({ path: file });
  await manager.connect();
  const connection = openDatabase('ours', file);
  const side = connection.getDatabase();
  const statements = openDatabase('ours', file);
  return {
    subjects: { manager, statement: statements },
    sqlite: sqliteVersion(side),
    // The manager checkpoints at a size of its own: that cannot be set, and need not be.
    settle: async (checkpointPages) => {
      await emptyLog(side);
      statements.getDatabase().pragma(`wal_autocheckpoint = ${checkpointPages}`);
      await manager.setConfig('benchmark', 0);
    },
    removeAbove: (table, key, above) => removeAbove(side, table, key, above),
    close: async () => {
      statements.close();
      connection.close();
      await manager.disconnect();
    },
  };
}

/**
 * @param {any} database
 * @param {any} side
 * @returns {Driver}
 */
function createPeer(database, side) {
  const touch = database.prepare(TOUCH_SQL);
  return {
    subjects: { manager: database, statement: database },
    sqlite: sqliteVersion(side),
    settle: async (checkpointPages) => {
      await emptyLog(side);
      database.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`);
      touch.run(new Date().toISOString());
    },
    removeAbove: (table, key, above) => removeAbove(side, table, key, above),
    close: async () => {
      side.close();
      database.close();
    },
  };
}

/**
 * @param {import('./database.js').DriverName} name
 * @param {string} file
 */
async function openDriver(name, file) {
  return name === 'ours' ? openOurs(file) : createPeer(openDatabase(name, file), openDatabase(name, file));
}

/**
 * Starts the process of one variant.
 *
 * @param {import('./database.js').DriverName} name
 * @param {import('./measurement.js').NodeVariant} variant
 * @param {string} file
 */
async function startDriver(name, variant, file) {
  const child = fork(path.join(__dirname, 'driver_child.js'), [name, variant, file]);
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the process of ${variant} ended with ${signal ?? code}`);
  });
  ended.catch(() => {});
  const nextAnswer = async () => {
    const [answer] = await Promise.race([once(child, 'message'), ended]);
    if (answer.error) throw new Error(`${variant}: ${answer.error}`);
    return answer;
  };
  const { sqlite } = await nextAnswer();
  return {
    sqlite: /** @type {string} */ (sqlite),
    /** @param {import('./measurement.js').Round} round */
    ask(round) {
      child.send(round);
      return nextAnswer();
    },
    async close() {
      if (child.connected) child.send('close');
      await ended.catch(() => {});
    },
  };
}

/** Compiles the floor; cargo knows whether there is anything to do. */
function buildFloor() {
  run('cargo', ['build', '--release', '--quiet', '--example', 'floor', '--no-default-features']);
}

/**
 * Starts the floor, a program that answers one request at a time.
 *
 * @param {string} file
 */
function startFloor(file) {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(__dirname, '..', 'target');
  const program = path.join(target, 'release', 'examples', process.platform === 'win32' ? 'floor.exe' : 'floor');
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const started = new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(undefined));
    child.once('error', reject);
  });
  return {
    /**
     * @param {import('./measurement.js').Round} round
     * @returns {Promise<{ nanoseconds: number, result: number }>}
     */
    async ask({ operation: name, seed, roundSeed, count, isTidied }) {
      await started;
      const operation = findOperation(name);
      const request = {
        operation: operation.floor,
        file,
        count,
        seed,
        round_seed: roundSeed,
        rows: operation.rows ?? 0,
        is_tidied: isTidied,
        checkpoint_pages: operation.checkpointPages ?? DEFAULT_CHECKPOINT_PAGES,
        files: FILES,
        errors: ERRORS,
      };
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error('the floor ended without an answer');
      const answer = JSON.parse(value);
      if (answer.error) throw new Error(`the floor failed: ${answer.error}`);
      return answer;
    },
    close: () => child.stdin.end(),
  };
}

module.exports = { buildFloor, openDriver, startDriver, startFloor };
