'use strict';

/**
 * A process whose threads work on one file and are terminated at random moments. It prints, as
 * JSON, what it has found; a thread that does not end makes it end with code 3, a crash with a
 * signal, so it is played as a process of its own.
 */

const { readdirSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { createConnection, DatabaseManager } = require('../../index.js');
const { makeRandom, newSession } = require('./ledger.js');

const [file, seedText, countText] = process.argv.slice(2);
const [seed, count] = [Number(seedText), Number(countText)];
const THREADS = 8;
const END_DEADLINE_MS = 20_000;
const random = makeRandom(seed);
const figures = { terminations: 0, inStart: 0, done: 0, busy: 0, slowestEndMs: 0 };
const faults = [];
let started = 0;

function start() {
  const workerData = { file, seed: seed * 1000 + started, name: `w${started}` };
  started += 1;
  const worker = new Worker(path.join(__dirname, 'worker-writer.js'), { workerData });
  const thread = { worker, hasWorked: false };
  worker.on('message', ({ done, busy, fault }) => {
    thread.hasWorked = true;
    if (done) figures.done += 1;
    if (busy) figures.busy += 1;
    if (fault) faults.push(`${workerData.name}: ${fault}`);
  });
  worker.on('error', (error) => faults.push(`${workerData.name}: ${error.message}`));
  return thread;
}

/** Terminates a thread; one that does not end ends the process. */
async function end({ worker, hasWorked }) {
  const begun = performance.now();
  const timer = setTimeout(() => {
    process.stderr.write(`seed ${seed}: a thread did not end within ${END_DEADLINE_MS} ms\n`);
    process.exit(3);
  }, END_DEADLINE_MS);
  await worker.terminate();
  clearTimeout(timer);
  figures.terminations += 1;
  if (!hasWorked) figures.inStart += 1;
  figures.slowestEndMs = Math.max(figures.slowestEndMs, Math.round(performance.now() - begun));
}

/** Terminates so many threads, each replaced by another, and in the end all of them. */
async function terminate(total) {
  const threads = Array.from({ length: Math.min(THREADS, total) }, start);
  for (let left = total - threads.length; left > 0; left -= 1) {
    await sleep(random() ** 2 * 240);
    const n = Math.floor(random() * threads.length);
    const ended = end(threads[n]);
    // Sometimes the next one opens the file while this one still lets go of it.
    if (random() < 0.5) await ended;
    threads[n] = start();
    await ended;
  }
  await sleep(random() * 100);
  await Promise.all(threads.map(end));
}

/** What the process holds: open files and threads, where the system tells. */
function holdings() {
  if (process.platform !== 'linux') return { files: 0, threads: 0 };
  return { files: readdirSync('/proc/self/fd').length, threads: readdirSync('/proc/self/task').length };
}

function check() {
  const connection = createConnection({ path: file });
  const integrity = connection.getDatabase().pragma('integrity_check', { simple: true });
  if (integrity !== 'ok') faults.push(`integrity_check: ${integrity}`);
  const rows = connection.get("SELECT count(*) AS n FROM file_hashes WHERE chat_id = 'counted'").n;
  const counted = connection.get("SELECT success_count AS n FROM upload_sessions WHERE id = 'shared'").n;
  if (rows !== counted) faults.push(`${rows} rows, but ${counted} counted`);
  connection.close();
  return rows;
}

async function play() {
  const db = new DatabaseManager({ path: file });
  await db.connect();
  await db.initializeSchema();
  await db.createSession(newSession({ id: 'shared' }));
  await db.disconnect();
  // The first threads make Node and SQLite set up what stays for good.
  const warmUp = Math.min(THREADS, count >> 1);
  await terminate(warmUp);
  check();
  const before = holdings();
  await terminate(count - warmUp);
  const rows = check();
  await sleep(50);
  const after = holdings();
  for (const key of ['files', 'threads']) {
    if (after[key] > before[key]) faults.push(`${after[key]} ${key} are open at the end, ${before[key]} before`);
  }
  console.log(JSON.stringify({ figures: { ...figures, rows, ...after }, faults }));
}

play();
