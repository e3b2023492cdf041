'use strict';

/** A thread that works on one file through a manager of its own until it is terminated. */

const { setImmediate: nextTurn } = require('node:timers/promises');
const { parentPort, workerData } = require('node:worker_threads');
const { DatabaseManager } = require('../../index.js');
const { makeRandom, newError, newFileHash } = require('./ledger.js');

const { file, seed, name } = workerData;
const random = makeRandom(seed);
const db = new DatabaseManager({ path: file });
let numbers = 0;

const next = () => `${name}.${numbers++}`;
const addOne = () => db.addFileHash(newFileHash(next(), { chat_id: 'single' }));

async function transact() {
  await db.transaction(async () => {
    await db.addFileHash(newFileHash(next(), { chat_id: 'counted' }));
    if (random() < 0.5) await nextTurn();
    const nested = db.transaction(async () => {
      await db.addFileHash(newFileHash(next(), { chat_id: 'counted' }));
      throw new Error('undone');
    });
    await nested.catch(() => {});
    await db.incrementSession('shared', { success_count: 1 });
  });
}

async function addMany() {
  const hashes = Array.from({ length: 200 }, next);
  const newFile = (hash) => newFileHash(hash, { chat_id: 'single', file_path: 'x'.repeat(3000) });
  await Promise.all(hashes.map((hash) => db.addFileHash(newFile(hash))));
  await Promise.all(hashes.map((hash) => db.deleteFileHash(hash)));
}

async function addBatch() {
  if (!db.addFileHashes) return addOne();
  await db.addFileHashes(Array.from({ length: 200 }, () => newFileHash(next(), { chat_id: 'single' })));
}

async function list() {
  await Promise.all([db.findFileHashes('single'), db.listSessions(), db.getErrors('shared'), db.getStats()]);
}

async function reconnect() {
  await db.disconnect();
  await db.connect();
}

const WORK = [
  [0.25, addOne],
  [0.5, transact],
  [0.6, () => db.logError(newError('shared'))],
  [0.75, list],
  [0.83, addMany],
  [0.88, addBatch],
  [0.93, () => db.vacuum()],
  [0.95, () => db.analyze()],
  [1, reconnect],
];

async function run() {
  await db.connect();
  await db.initializeSchema();
  while (true) {
    const dice = random();
    try {
      await WORK.find(([share]) => dice < share)[1]();
      parentPort.postMessage({ done: true });
    } catch (error) {
      // Eight writers and their vacuums: to wait too long for a lock is no fault here.
      if (!error.retryable) throw error;
      parentPort.postMessage({ busy: true });
    }
  }
}

run().catch((error) => parentPort.postMessage({ fault: `${error.code ?? error.name}: ${error.message}` }));
