'use strict';

/**
 * One process of the campaign: a mix of operations again and again, and the resident size after every part
 * of them. What the files hold stays the same, so that only what is not let go of can grow.
 */

const { writeSync } = require('node:fs');
const path = require('node:path');
const { DatabaseManager, createConnection } = require('../../../index.js');
const { makeRandom, newError, newFileHash, newSession } = require('../../support/ledger.js');

/** So few rows that the pages that they need are all in the cache early. */
const ROWS = 200;
/** More texts than a connection keeps statements. */
const TEXTS = 150;
/** The loop turns now and then: addons let go of forgotten objects there. */
const BLOCK = 2000;

/** What is done how often in a thousand; the rest are lookups. */
const MIX = {
  getFileHash: 100,
  prepare: 60,
  run: 20,
  all: 20,
  replace: 20,
  refused: 10,
  setting: 10,
  aborted: 5,
  error: 5,
  transaction: 3,
  forgotten: 3,
  list: 3,
  batch: 1,
};

async function main({ file, seed, count, samples, leaks }) {
  const random = makeRandom(seed);
  const below = (bound) => Math.floor(random() * bound);
  const db = new DatabaseManager({ path: file });
  await db.connect();
  await db.initializeSchema();
  await db.createSession(newSession({ id: 's' }));
  const hashes = Array.from({ length: ROWS }, (_, n) => String(n).padStart(64, '0'));
  await db.addFileHashes(hashes.map((hash) => newFileHash(hash)));
  const connection = createConnection({ path: `${file}-rows` });
  // An iterator that is open keeps its own connection from writing.
  const reader = createConnection({ path: `${file}-rows` });
  connection.exec('CREATE TABLE t(k INTEGER PRIMARY KEY, v)');
  for (let k = 0; k < ROWS; k += 1) connection.run('INSERT INTO t VALUES (?, ?)', [k, `value ${k}`]);
  const texts = Array.from({ length: TEXTS }, (_, n) => `SELECT k, v FROM t WHERE k = ? AND ${n} >= 0`);
  const pick = () => hashes[below(ROWS)];
  const kept = [];
  const fails = (promise) => promise.then(() => Promise.reject(new Error('it was to be refused')), () => {}); // biome-ignore format: one promise

  const operations = {
    getFileHash: () => db.getFileHash(pick()),
    prepare: () => {
      const statement = connection.prepare(texts[below(TEXTS)]);
      statement.get([below(ROWS)]);
      if (leaks) kept.push(statement, new Array(100).fill(below(9)));
    },
    run: () => connection.run('UPDATE t SET v = ? WHERE k = ?', [`value ${below(1000)}`, below(ROWS)]),
    all: () => connection.all('SELECT * FROM t WHERE k < 20'),
    replace: () => db.addFileHash(newFileHash(pick()), { onConflict: 'replace' }),
    refused: () => {
      try {
        connection.run('INSERT INTO t VALUES (1, ?)', ['taken']);
      } catch {
        return fails(db.addFileHash(newFileHash(pick())));
      }
      throw new Error('a key was taken twice');
    },
    setting: () => db.setConfig(`key ${below(20)}`, { number: below(1000) }),
    aborted: () => {
      const controller = new AbortController();
      const outcome = fails(db.setConfig('aborted', 1, { signal: AbortSignal.abort() }));
      const other = db.isFileUploaded(pick(), { signal: controller.signal });
      return Promise.all([outcome, other]);
    },
    error: async () => {
      const id = await db.logError(newError('s'));
      await db.incrementRetryCount(id);
      await db.clearErrors('s');
    },
    transaction: async () => {
      await db.transaction(async () => {
        await db.addFileHash(newFileHash(pick()), { onConflict: 'ignore' });
        await fails(db.transaction(() => Promise.reject(new Error('rolled back'))));
      });
    },
    forgotten: () => reader.iterate('SELECT * FROM t').next(),
    list: async () => {
      for await (const _ of db.iterateFileHashes({ limit: 30 })) if (below(20) === 0) break;
    },
    batch: () => db.addFileHashes(hashes.slice(0, 20).map((hash) => newFileHash(hash)), { onConflict: 'ignore' }), // biome-ignore format: one call
  };
  const wheel = Object.entries(MIX).flatMap(([name, share]) => Array.from({ length: share }, () => operations[name]));

  let backups = 0;
  const use = async (operationsToDo) => {
    for (let done = 0; done < operationsToDo; done += 1) {
      const operation = wheel[below(1000)];
      if (operation) await operation();
      else await db.isFileUploaded(hashes[below(ROWS)]);
      if (done % BLOCK === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    backups += 1;
    await db.backup(`${file}-backup`);
    await db.getStats();
    if (backups % 10 === 0) await db.checkIntegrity();
    if (backups % 10 === 5) await db.disconnect().then(() => db.connect());
  };
  const resident = [];
  const step = Math.ceil(count / samples);
  for (let sample = 0; sample < samples; sample += 1) {
    await use(step);
    // Finalizers of the first give more to the second.
    for (let time = 0; time < 3; time += 1) {
      globalThis.gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    resident.push(process.memoryUsage().rss);
  }
  connection.close();
  reader.close();
  await db.disconnect();
  writeSync(1, JSON.stringify({ step, resident, kept: kept.length, folder: path.dirname(file) }));
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error);
  process.exit(4);
});
