'use strict';

/**
 * A process that writes until it is killed, and says on its standard output what it has been
 * promised, a line each. See promised.js for what the lines mean.
 *
 * Told to be premature, it says so before the promise resolves: the lie that must be caught.
 */

const { writeSync } = require('node:fs');
const { setImmediate: nextTurn, setTimeout: sleep } = require('node:timers/promises');
const { DatabaseManager } = require('../../index.js');
const { makeRandom, newError, newFileHash, newSession } = require('../support/ledger.js');

const [file, seed, round, manner] = process.argv.slice(2);
const isPremature = manner === 'premature';
const random = makeRandom(Number(seed));
const db = new DatabaseManager({ path: file });
const standing = [];
let numbers = 0;

const say = (line) => writeSync(1, `${line}\n`);
const next = () => `${round}.${numbers++}`;
/** Rows of several sizes: large ones fill the log, so that it is moved into the file now and then. */
const newFile = (hash, chat, size) => newFileHash(hash, { chat_id: chat, file_path: 'x'.repeat(size) });

/** Says a line when a promise has resolved. */
async function promised(line, promise) {
  if (isPremature) say(typeof line === 'function' ? line('?') : line);
  const value = await promise;
  if (!isPremature) say(typeof line === 'function' ? line(value) : line);
}

async function addOne() {
  const hash = next();
  await promised(`+ ${hash}`, db.addFileHash(newFile(hash, 'single', 100)));
  standing.push(hash);
}

async function addMany() {
  const hashes = Array.from({ length: 1000 }, next);
  await Promise.all(hashes.map((hash) => promised(`+ ${hash}`, db.addFileHash(newFile(hash, 'single', 6000)))));
}

async function addBatch() {
  if (!db.addFileHashes) return addOne();
  const hashes = Array.from({ length: 200 }, next);
  const added = db.addFileHashes(hashes.map((hash) => newFile(hash, 'single', 2000)));
  await promised(hashes.map((hash) => `+ ${hash}`).join('\n'), added);
}

async function transact() {
  const group = next();
  const transaction = db.transaction(async () => {
    for (let n = 0; n < 3; n += 1) {
      await db.addFileHash(newFile(`${group}/${n}`, 'counted', 500));
      if (random() < 0.6) await (random() < 0.5 ? nextTurn() : sleep(1));
    }
    const nested = db.transaction(async () => {
      await db.addFileHash(newFile(`${group}/never`, 'counted', 500));
      throw new Error('undone');
    });
    await nested.catch(() => {});
    await db.incrementSession('counted', { success_count: 3 });
  });
  await promised(`t ${group}`, transaction);
}

const logOne = () => promised((id) => `e ${id}`, db.logError(newError('counted')));
const setProgress = () => {
  const value = Number(round) * 1_000_000 + numbers++;
  return promised(`c ${value}`, db.setConfig('progress', value));
};

async function deleteOne() {
  const hash = standing.pop();
  if (hash === undefined) return addOne();
  // It may be gone as soon as the call is made, acknowledged or not.
  say(`? ${hash}`);
  await promised(`- ${hash}`, db.deleteFileHash(hash));
}

async function reconnect() {
  const written = addOne();
  await db.disconnect();
  await db.connect();
  await written;
}

const HONEST_WORK = [
  [0.3, addOne],
  [0.5, transact],
  [0.6, logOne],
  [0.7, setProgress],
  [0.78, deleteOne],
  [0.86, addBatch],
  [0.97, addMany],
  [0.98, () => db.vacuum()],
  [0.99, () => db.analyze()],
  [1, reconnect],
];
/** Calls whose promise can resolve only some time after they were made. */
const SLOW_WORK = [
  [0.5, transact],
  [1, addMany],
];

async function run() {
  await db.connect();
  await db.initializeSchema();
  if (!(await db.getSession('counted'))) await db.createSession(newSession({ id: 'counted' }));
  say('ready');
  const work = isPremature ? SLOW_WORK : HONEST_WORK;
  while (true) {
    const dice = random();
    await work.find(([share]) => dice < share)[1]();
  }
}

run();
