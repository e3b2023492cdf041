'use strict';

/**
 * One of several processes that write and read one file for some time, each through a manager of
 * its own, and then says on its standard output what it has done, as JSON.
 */

const { DatabaseManager } = require('../../index.js');
const { makeRandom, newError, newFileHash } = require('./ledger.js');

const [file, seed, name, milliseconds] = process.argv.slice(2);
const random = makeRandom(Number(seed));
const db = new DatabaseManager({ path: file });
const done = {
  adds: 0,
  increments: 0,
  transactions: 0,
  undone: 0,
  errors: 0,
  lists: 0,
  reads: 0,
  busy: 0,
  slowestMs: 0,
};
let numbers = 0;

const next = () => `${name}.${numbers++}`;
const newFile = (hash) => newFileHash(hash, { chat_id: name });

async function add() {
  const hash = next();
  const added = db.addFileHash(newFile(hash));
  const seen = db.isFileUploaded(hash);
  await added;
  if (!(await seen)) throw new Error('a call did not see the one made before it');
  done.adds += 1;
}

async function increment() {
  await db.incrementSession('shared', { processed_files: 1 });
  done.increments += 1;
}

async function transact() {
  const isUndone = random() < 0.2;
  const transaction = db.transaction(async () => {
    await db.addFileHash(newFile(next()));
    if (random() < 0.3) await new Promise(setImmediate);
    await db.incrementSession('shared', { success_count: 1, processed_files: 1 });
    if (isUndone) throw new Error('undone');
  });
  if (isUndone) {
    await transaction.catch((error) => {
      if (error.message !== 'undone') throw error;
    });
    done.undone += 1;
  } else {
    await transaction;
    done.transactions += 1;
  }
}

async function logOne() {
  await db.logError(newError('shared'));
  done.errors += 1;
}

async function list() {
  const expected = done.adds + done.transactions;
  const files = await db.findFileHashes(name);
  if (files.length !== expected) throw new Error(`${files.length} of ${expected} own rows are listed`);
  await db.listSessions();
  done.lists += 1;
}

/** Half of a transaction is never seen: each adds a row and counts it. */
async function look() {
  const { totalFiles, successfulUploads } = await db.getStats();
  if (successfulUploads > totalFiles) throw new Error('a transaction was seen half-done');
  done.reads += 1;
}

/** That another process moves the log just then is nobody's error: nobody must be told of it. */
function countBusy(error) {
  if (error.code?.startsWith('SQLITE_BUSY')) done.busy += 1;
}
process.on('warning', countBusy);
db.on?.('checkpointError', countBusy);

const WORK = [
  [0.35, add],
  [0.55, increment],
  [0.75, transact],
  [0.85, logOne],
  [0.99, look],
  [1, list],
];

async function run() {
  await db.connect();
  await db.initializeSchema();
  process.send?.('ready');
  await new Promise((resolve) => process.once('message', resolve));
  const until = Date.now() + Number(milliseconds);
  while (Date.now() < until) {
    const dice = random();
    const begun = performance.now();
    await WORK.find(([share]) => dice < share)[1]();
    done.slowestMs = Math.max(done.slowestMs, performance.now() - begun);
  }
  await db.disconnect();
  process.send?.({ done });
  process.disconnect?.();
}

run().catch((error) => {
  process.send?.({ error: `${error.code ?? error.name}: ${error.message}` });
  process.disconnect?.();
  process.exitCode = 1;
});
