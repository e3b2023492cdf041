'use strict';

/**
 * A process on a disk whose syncs fail when its control file says so (see sync-fail.c). It says a
 * line `+ hash` for each row that it was promised and one `report` with what it has seen, and
 * then waits to be killed.
 */

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { DatabaseError, DatabaseManager } = require('../../index.js');
const { newFileHash } = require('./ledger.js');

const [scene, file] = process.argv.slice(2);
const { SYNC_FAIL_CONTROL: control, SYNC_FAIL_LOG: log } = process.env;
const DEADLINE_MS = 15_000;
/** One such row takes more than 25 pages, so that so many are more than a log of 4,000. */
const LARGE = 'x'.repeat(100_000);
const ROWS_PER_LOG = 180;
let numbers = 0;

const say = (line) => fs.writeSync(1, `${line}\n`);
const failSyncsOf = (kinds) => fs.writeFileSync(control, kinds);
const readLog = () => (fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : '');
const countIn = (text, letter) => text.split(letter).length - 1;
const describe = (error) =>
  error && { code: error.code, typed: error instanceof DatabaseError, operation: error.operation };

async function add(db, path = '/media/a.jpg') {
  const hash = `${numbers++}`;
  await db.addFileHash(newFileHash(hash, { file_path: path }));
  say(`+ ${hash}`);
}

/** Writes more than makes a checkpoint due. */
async function fillLog(db) {
  for (let n = 0; n < ROWS_PER_LOG; n += 1) await add(db, LARGE);
}

/** Waits until something is so, or for long enough to say that it will not be. */
async function waitFor(isSo) {
  const until = Date.now() + DEADLINE_MS;
  while (Date.now() < until) {
    if (await isSo()) return true;
    await sleep(10);
  }
  return false;
}

/** Counts how often a failed checkpoint was told of, for each time that one failed. */
async function failCheckpoints(db) {
  const warnings = [];
  const events = [];
  process.on('warning', (warning) => warnings.push(describe(warning)));
  const report = { rounds: [] };

  // As often as it failed: not once for several failures, nor several times for one.
  const toldOfAll = (told, earlier) =>
    waitFor(() => told.length > 0 && told.length === countIn(readLog(), 'D') - earlier);

  failSyncsOf('d');
  await fillLog(db);
  await toldOfAll(warnings, 0);
  report.withoutListener = { warnings: [...warnings], failures: countIn(readLog(), 'D') };

  db.on('checkpointError', (error) => events.push(error));
  warnings.length = 0;
  const earlier = countIn(readLog(), 'D');
  for (let round = 1; round <= 3; round += 1) {
    await fillLog(db);
    await waitFor(() => events.length >= round);
    await toldOfAll(events, earlier);
    const stats = await db.getStats();
    report.rounds.push({
      events: events.length,
      failures: countIn(readLog(), 'D') - earlier,
      last: describe(events.at(-1)),
      stats: describe(stats.checkpointError),
    });
  }
  report.warningsBesideListener = warnings.length;

  failSyncsOf('');
  await fillLog(db);
  report.isCleared = await waitFor(async () => (await db.getStats()).checkpointError === undefined);
  report.eventsWhileGood = events.length - report.rounds.at(-1).events;

  failSyncsOf('d');
  const known = events.length;
  await fillLog(db);
  report.isToldAgain = await waitFor(async () => events.length > known && (await db.getStats()).checkpointError);
  report.isToldAgain = Boolean(report.isToldAgain);
  return report;
}

/** Flushes while the log cannot be synced, and afterwards until it works again. */
async function failFlushes(db) {
  const flush = () => db.flush().then(() => 'resolved', describe);
  const report = {};
  await add(db);
  report.good = await flush();
  report.syncsOfGood = countIn(readLog(), 'w') + countIn(readLog(), 'd');

  failSyncsOf('w');
  await add(db);
  report.failing = [await flush()];
  await add(db);
  report.failing.push(await flush(), await flush());
  report.writesMeanwhile = await db.addFileHash(newFileHash('meanwhile')).then(() => 'resolved', describe);

  failSyncsOf('');
  const mark = readLog().length;
  report.rejections = 0;
  let outcome;
  await waitFor(async () => {
    outcome = await flush();
    if (outcome === 'resolved') return true;
    report.rejections += 1;
    await add(db);
    return false;
  });
  report.outcome = outcome;
  report.syncsBetween = readLog().slice(mark);
  await add(db);
  report.afterwards = await flush();
  return report;
}

/** Connects while the new file cannot be synced, and again when it can. */
async function failConnecting(db) {
  failSyncsOf('d');
  const failing = [];
  for (let n = 0; n < 3; n += 1) failing.push(await db.connect().then(() => 'resolved', describe));
  failSyncsOf('');
  await db.connect();
  await db.initializeSchema();
  return { failing };
}

async function play() {
  const db = new DatabaseManager({ path: file });
  if (scene === 'connect') {
    const report = await failConnecting(db);
    await add(db);
    return await end(report);
  }
  await db.connect();
  await db.initializeSchema();
  const report = scene === 'checkpoint' ? await failCheckpoints(db) : await failFlushes(db);
  await add(db);
  await end(report);
}

/** The parent kills the process then: a manager that nobody closes. */
async function end(report) {
  say(`report ${JSON.stringify(report)}`);
  await sleep(60_000);
}

play().catch((error) => {
  console.error(error);
  process.exit(1);
});
