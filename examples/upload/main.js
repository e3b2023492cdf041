// @ts-check
'use strict';

const { mkdirSync, realpathSync } = require('node:fs');
const path = require('node:path');
const { DatabaseError, DatabaseManager } = require('../../index.js');
const { ClaimError, claimLedger } = require('./claim.js');
const { Destination } = require('./destination.js');
const { DestinationError } = require('./failure.js');
const { Job } = require('./job.js');
const { findMediaRoot, listChats } = require('./media.js');
const { USAGE, UsageError, readOptions } = require('./option.js');
const { Progress } = require('./progress.js');
const { Random } = require('./random.js');
const { Run } = require('./run.js');
const { makeSample } = require('./sample.js');
const { Stop } = require('./stop.js');
const { formatTable } = require('./summary.js');

/**
 * Owns the example as a program: it puts the parts together, tells the user what happens, and
 * decides the exit code. 0: the run has ended, though files may have been given up. 1: it could
 * not do its work. 2: the command line is wrong. 130, 143: it was stopped by a signal.
 *
 * @typedef {import('./option.js').Options} Options
 */

const SHOWN_GIVEN_UP = 10;

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

/** @param {string[]} args */
async function main(args) {
  const stop = new Stop();
  try {
    const options = readOptions(args);
    if (options) return await uploadAll(options, stop);
    console.log(USAGE);
    return 0;
  } catch (error) {
    console.error(describeError(error));
    return error instanceof UsageError ? 2 : 1;
  } finally {
    await stop.settle();
  }
}

/**
 * Takes the ledger for this run, runs, and gives it back in any case.
 *
 * @param {Options} options
 * @param {Stop} stop
 */
async function uploadAll(options, stop) {
  mkdirSync(path.dirname(options.database), { recursive: true });
  const giveUpClaim = claimLedger(options.database);
  const db = new DatabaseManager({ path: options.database });
  try {
    await db.connect();
    await db.initializeSchema();
    return await uploadInto(db, options, stop);
  } finally {
    await db.disconnect();
    giveUpClaim();
  }
}

/**
 * @param {DatabaseManager} db
 * @param {Options} options
 * @param {Stop} stop
 */
async function uploadInto(db, options, stop) {
  const { root, chats, destination } = await openFolders(options);
  if (chats.length === 0) console.log(`There are no files in ${root}.`);
  const random = new Random(options.seed);
  const progress = new Progress(process.stdout);
  const tools = { db, destination, progress, random, attempts: options.attempts, signal: stop.signal };

  const run = await Run.open(db, nameFolder(root, options));
  if (run.isResumed) console.log('Going on with the run that was stopped.');
  const jobs = [];
  for (const chat of chats) {
    if (stop.signal.aborted) break;
    const job = await Job.prepare(tools, run, chat, nameFolder(chat.folder, options));
    jobs.push(job);
    await job.run();
    if (job.failure) console.error(`${chat.name}: ${describeError(job.failure)}`);
    if (job.session.status === 'paused') break;
  }

  if (jobs.some(({ session }) => session.status === 'paused') || stop.signal.aborted) {
    return tellPause(jobs, stop);
  }
  console.log(formatTable(jobs.map(({ session }) => session)));
  printGivenUp(jobs.flatMap(({ givenUp }) => givenUp));
  const isComplete = await printComparison(db, destination, options);
  // Last of all: a run that is killed before its summary is seen shows the same one once more.
  await run.end();
  return isComplete && !jobs.some(({ failure }) => failure) ? 0 : 1;
}

/**
 * @param {Job[]} jobs
 * @param {Stop} stop
 */
function tellPause(jobs, stop) {
  for (const { session } of jobs.filter(({ session }) => session.status === 'paused')) {
    console.log(`Paused in '${session.chat_name}' at ${session.processed_files} of ${session.total_files} files.`);
  }
  const isFull = !stop.signal.aborted;
  console.log(`${isFull ? 'Make room, then run' : 'Run'} the same command again to go on from here.`);
  return isFull ? 1 : stop.exitCode;
}

/**
 * Finds or makes the three places that a run works on, and says which they are.
 *
 * @param {Options} options
 */
async function openFolders(options) {
  const { database, failRate, delayMs, seed } = options;
  const isNew = !options.folder && (await makeSample(options.sample, seed));
  const root = realpathSync(findMediaRoot(options.folder ?? options.sample));
  const destination = new Destination(options.destination, new Random(seed), { failRate, delayMs });
  await destination.open();
  const copies = realPath(options.destination);
  if (copies === root) throw new UsageError('The destination cannot be the folder of the media itself');
  const ledger = realPath(options.database);
  const sample = options.folder && realPath(options.sample);
  // What the example has written itself may lie in the user's folder; the ledger comes with files
  // whose names begin with its own.
  const isMedia = (/** @type {string} */ file) => file !== copies && file !== sample && !file.startsWith(ledger);
  const chats = await listChats(root, isMedia);
  console.log(`Media        ${shorten(root)}${isNew ? ' (a sample, made now)' : ''}`);
  console.log(`Ledger       ${shorten(database)}`);
  console.log(`Destination  ${shorten(options.destination)}`);
  console.log(`Seed         ${seed}\n`);
  return { root, chats, destination };
}

/**
 * Names a folder by the way to it from the ledger: the same from any working folder, and different
 * for the same chat of another phone.
 *
 * @param {string} folder
 * @param {Options} options
 */
function nameFolder(folder, options) {
  const way = path.relative(realPath(path.dirname(options.database)), folder);
  return way.split(path.sep).join('/') || '.';
}

/** @param {{ path: string, message: string }[]} givenUp */
function printGivenUp(givenUp) {
  if (givenUp.length === 0) return;
  console.log(`\nGiven up: ${givenUp.length}. Run the same command again to try them once more.`);
  for (const { path: file, message } of givenUp.slice(0, SHOWN_GIVEN_UP)) console.log(`  ${shorten(file)}: ${message}`);
  if (givenUp.length > SHOWN_GIVEN_UP) console.log(`  and ${givenUp.length - SHOWN_GIVEN_UP} more`);
}

/**
 * Compares what the ledger says with what is really there.
 *
 * @param {DatabaseManager} db
 * @param {Destination} destination
 * @param {Options} options
 */
async function printComparison(db, destination, options) {
  const { totalFiles } = await db.getStats();
  const count = await destination.count();
  console.log(`\nFiles in the ledger: ${totalFiles}. Files in the destination: ${count}.`);
  if (totalFiles === count) return true;
  console.error(
    `The two differ: ${shorten(options.database)} and ${shorten(options.destination)} do not belong together, ` +
      'or files were added or removed by hand.',
  );
  return false;
}

/**
 * Gives the message of an error that a user can do something about; of any other, all there is.
 *
 * @param {any} error
 */
function describeError(error) {
  if (error instanceof UsageError) return `${error.message}. --help tells more.`;
  const isExpected = [DatabaseError, ClaimError, DestinationError].some((kind) => error instanceof kind);
  return isExpected || error?.syscall ? error.message : (error?.stack ?? String(error));
}

/**
 * Resolves symbolic links; what does not exist yet stays as it is.
 *
 * @param {string} file
 */
function realPath(file) {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

/** @param {string} file */
function shorten(file) {
  const relative = path.relative('', file);
  return relative.startsWith('..') || path.isAbsolute(relative) ? file : relative || '.';
}
