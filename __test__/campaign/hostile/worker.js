'use strict';

/** Owns the termination of a worker in the middle of its calls: what it had been told of is there. */

const path = require('node:path');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const index = require('../../../index.js');
const { Dice } = require('./dice.js');
const { newFileHash } = require('../../support/ledger.js');

const LONGEST_MS = 300;

/**
 * @param {string} folder
 * @param {number} seed
 */
async function playWorker(folder, seed) {
  const file = path.join(folder, 'worker.db');
  const dice = new Dice(seed);
  const worker = new Worker(__filename, { workerData: { file } });
  const acknowledged = [];
  const faults = [];
  worker.on('message', (hash) => acknowledged.push(hash));
  worker.on('error', (error) => faults.push(`the worker: ${error.stack}`));
  await new Promise((resolve) => setTimeout(resolve, 50 + dice.below(LONGEST_MS)));
  await worker.terminate();
  const db = new index.DatabaseManager({ path: file });
  await db.connect();
  await db.initializeSchema();
  for (const [hash, is] of await db.findUploaded(acknowledged))
    if (!is) faults.push(`${hash} of a worker is not there`);
  if (await db.isFileUploaded('never committed')) faults.push("a worker's open transaction was committed");
  const { ok, findings } = await db.checkIntegrity({ deep: true });
  if (!ok) faults.push(`the worker's file is damaged: ${JSON.stringify(findings)}`);
  await db.disconnect();
  return { acknowledged: acknowledged.length, faults };
}

async function work({ file }) {
  const db = new index.DatabaseManager({ path: file });
  await db.connect();
  await db.initializeSchema();
  const connection = index.createConnection({ path: file });
  for (let n = 0; ; n += 1) {
    await db.addFileHash(newFileHash(`one-${n}`));
    parentPort.postMessage(`one-${n}`);
    await db.transaction(async () => {
      await db.addFileHash(newFileHash(`two-${n}`));
      await new Promise((resolve) => setTimeout(resolve, n % 3));
    });
    parentPort.postMessage(`two-${n}`);
    const iterator = connection.iterate('SELECT * FROM file_hashes');
    iterator.next();
    if (n % 20 === 0) await db.backup(`${file}-backup-${n}`);
    db.vacuum().catch(() => {});
    if (n % 2) iterator.return();
  }
}

if (!isMainThread && workerData?.file) work(workerData);

module.exports = { playWorker };
