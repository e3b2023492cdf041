'use strict';

/**
 * One process of the campaign: `player.js '{"seed", "count", "folder", "plant", "ending"}'` plays, says
 * what it found in one line, writes down what the files must hold, and ends in one of several ways;
 * `player.js '{"judge": folder}'` compares.
 */

const { readFileSync, writeFileSync, writeSync } = require('node:fs');
const path = require('node:path');
const { DatabaseError, DatabaseManager, SqliteConnection } = require('../../../index.js');
const { Expected } = require('./expected.js');
const { Play } = require('./play.js');
const { compareRows } = require('./quiet.js');
const { playWorker } = require('./worker.js');

/** What a negative control breaks; each must be noticed. */
const PLANTS = {
  code: (db) => {
    db.getStats = () => Promise.reject(new Error('this one has no code'));
  },
  change: (db) => {
    const { deleteFileHash } = db;
    db.setConfig = async (key, value) => {
      await DatabaseManager.prototype.setConfig.call(db, key, value);
      throw new DatabaseError('refused, it says', { code: 'DB_BUSY', operation: 'setConfig' });
    };
    return deleteFileHash;
  },
  lost: (db) => {
    // All of them: one alone may be overwritten or deleted before anybody looks.
    db.setConfig = async () => {};
  },
  hang: (db) => {
    db.listSessions = () => new Promise(() => {});
  },
  signal: (db) => {
    db.isFileUploaded = () => process.kill(process.pid, 'SIGSEGV');
  },
};

const forever = () => new Promise(() => {});

/** Leaves transactions and iterators open, as a process does that dies in the middle. */
async function leaveOpen(play) {
  await new Promise((resolve) => {
    play.db
      .transaction(async () => {
        await play.db.setConfig('never committed', 1);
        resolve();
        await forever();
      })
      .catch(resolve);
  });
  const connection = new SqliteConnection({ path: play.rowsFile });
  connection.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (-1, 1)');
  const iterator = new SqliteConnection({ path: play.rowsFile }).iterate('SELECT k FROM t');
  iterator.next();
  return [connection, iterator];
}

const ENDINGS = {
  drain: async () => {},
  exit: async (play) => {
    await leaveOpen(play);
    process.exit(0);
  },
  kill: async (play) => {
    await leaveOpen(play);
    process.kill(process.pid, 'SIGKILL');
  },
  disconnect: (play) => play.db.disconnect(),
};

async function main({ seed, count, folder, plant, ending }) {
  process.chdir(folder);
  const play = new Play({ seed, count, folder, ...(plant ? { deadline: 3000 } : {}) });
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error) => play.planted.has(error) || play.fault(`${event}: ${error?.stack ?? String(error)}`));
  }
  if (plant) {
    const { run } = play;
    play.run = function planted() {
      const connect = DatabaseManager.prototype.connect;
      DatabaseManager.prototype.connect = function plantOnce() {
        if (play.db === this && play.calls === 0) setImmediate(() => PLANTS[plant](this));
        return connect.call(this);
      };
      return run.call(play);
    };
  }
  const result = await play.run();
  if (!plant && play.faults.length === 0) {
    const { acknowledged, faults } = await playWorker(folder, seed);
    result.calls += acknowledged;
    result.faults.push(...faults);
  }
  const { sessions, hashes, errors, settings } = play.expected;
  const lists = [sessions, hashes, errors, settings, play.rows].map((map) => [...map]);
  writeFileSync(path.join(folder, 'expected.json'), JSON.stringify(lists));
  writeSync(1, `${JSON.stringify(result)}\n`);
  if (result.faults.length > 0) process.exit(0);
  await ENDINGS[ending](play);
}

async function judge(folder) {
  const [sessions, hashes, errors, settings, rows] = JSON.parse(
    readFileSync(path.join(folder, 'expected.json'), 'utf8'),
  );
  const expected = new Expected();
  Object.assign(expected, {
    sessions: new Map(sessions),
    hashes: new Map(hashes),
    errors: new Map(errors),
    settings: new Map(settings),
  });
  const db = new DatabaseManager({ path: path.join(folder, 'ledger.db') });
  await db.connect();
  const faults = [...(await expected.differences(db)), ...compareRows(path.join(folder, 'rows.db'), new Map(rows))];
  const { ok, findings } = await db.checkIntegrity({ deep: true });
  if (!ok) faults.push(`the file is damaged: ${JSON.stringify(findings)}`);
  await db.disconnect();
  writeSync(1, `${JSON.stringify({ faults })}\n`);
}

const order = JSON.parse(process.argv[2]);
(order.judge ? judge(order.judge) : main(order)).catch((error) => {
  console.error(error);
  process.exit(4);
});
