// @ts-check
'use strict';

const { ERRORS, FILES, NEW_FILES, SESSIONS, errorRecord, fileRecord, sessionId } = require('../dataset.js');
const { ADDED, addFile } = require('../file_insertion.js');
const { createRandom } = require('../random.js');
const { bothPeers, createTransaction, inTransaction, statement } = require('../statement.js');

/**
 * Owns the uploader's own mix, with 20 files in hand: each file is looked up; a new one is added and
 * counted in its session, in one transaction. Every fourth file is uploaded already; one of a
 * hundred fails, and is logged as an error and counted as one.
 *
 * The peers' fastest way waits for nothing: it writes the 20 files in hand in one transaction.
 *
 * @typedef {object} Work
 * @property {import('../dataset.js').FileRecord} file
 * @property {string} session
 * @property {ReturnType<typeof errorRecord> | undefined} failure
 */

const FILES_IN_HAND = 20;

/** @param {number} count */
const countErrors = (count) => count / 100;

/** @param {number} count */
const countNew = (count) => count * 0.75;

/** @type {(round: { seed: number, roundSeed: number, count: number }) => Work[]} */
function prepare({ seed, roundSeed, count }) {
  const random = createRandom(roundSeed);
  return Array.from({ length: count }, (_, index) => {
    const known = random() % FILES;
    const session = random() % SESSIONS;
    return {
      file: fileRecord(seed, index % 4 === 3 ? known : NEW_FILES + index),
      session: sessionId(session),
      failure: index % 100 === 50 ? errorRecord(session, index) : undefined,
    };
  });
}

/**
 * Handles all, a handful at a time: each lane takes the next file when its last is done.
 *
 * @param {Work[]} work
 * @param {(item: Work) => Promise<number>} handle says how many records it has written
 */
async function handleAll(work, handle) {
  let next = 0;
  let written = 0;
  const lane = async () => {
    while (next < work.length) {
      const item = work[next];
      next += 1;
      // Not `written +=`: that would take its old value before the waiting.
      const count = await handle(item);
      written += count;
    }
  };
  await Promise.all(Array.from({ length: FILES_IN_HAND }, lane));
  return written;
}

/** @type {(manager: import('../../index').DatabaseManager, work: Work[]) => Promise<number>} */
function ours(manager, work) {
  return handleAll(work, async ({ file, session, failure }) => {
    if (await manager.isFileUploaded(file.hash)) return 0;
    await manager.transaction(async () => {
      if (failure) {
        await manager.logError(failure);
        await manager.incrementSession(session, { processed_files: 1, error_count: 1 });
      } else {
        await manager.addFileHash(file);
        await manager.incrementSession(session, { processed_files: 1, success_count: 1 });
      }
    });
    return 1;
  });
}

/** @type {(database: any, work: Work[]) => Promise<number>} */
function peer(database, work) {
  const exists = statement(database, 'fileExists');
  const add = statement(database, 'addFileNamed');
  const log = statement(database, 'logErrorNamed');
  const increment = statement(database, 'incrementSessionNamed');
  const record = createTransaction(database, (/** @type {Work} */ { file, session, failure }) => {
    const last_update = new Date().toISOString();
    if (failure) log.run({ ...failure, timestamp: last_update });
    else add.run(file);
    const [success_count, error_count] = failure ? [0, 1] : [1, 0];
    increment.run({ id: session, processed_files: 1, success_count, error_count, last_update });
  });
  const isFileUploaded = async (/** @type {string} */ hash) => exists.get(hash) !== undefined;
  const recordFile = async (/** @type {Work} */ item) => record(item);
  return handleAll(work, async (item) => {
    if (await isFileUploaded(item.file.hash)) return 0;
    await recordFile(item);
    return 1;
  });
}

/** @type {(database: any, work: Work[]) => number} */
function peerFastest(database, work) {
  const exists = statement(database, 'fileExists', 'arrays');
  const add = statement(database, 'addFile');
  const log = statement(database, 'logError');
  const increment = statement(database, 'incrementSession');
  let written = 0;
  const handle = (/** @type {Work} */ { file, session, failure }) => {
    if (exists.get(file.hash) !== undefined) return;
    const now = new Date().toISOString();
    if (failure) {
      const { session_id, file_path, error_type, error_message, retry_count } = failure;
      log.run(session_id, file_path, error_type, error_message, retry_count, now);
    } else {
      addFile(add, file);
    }
    increment.run(1, failure ? 0 : 1, failure ? 1 : 0, now, session);
    written += 1;
  };
  for (let start = 0; start < work.length; start += FILES_IN_HAND) {
    inTransaction(database, 'BEGIN IMMEDIATE', () => {
      for (const item of work.slice(start, start + FILES_IN_HAND)) handle(item);
    });
  }
  return written;
}

/** @type {import('../measurement.js').Operation<Work[]>} */
module.exports = {
  name: 'mixed: lookup, insert, counter, 1 % errors',
  group: 'manager',
  count: 10_000,
  quickCount: 400,
  goal: { betterSqlite3: 1.5 },
  floor: 'mixed',
  added: [
    { ...ADDED, count: (count) => countNew(count) - countErrors(count) },
    { table: 'upload_errors', key: 'id', above: ERRORS, count: countErrors },
  ],
  prepare,
  expected: countNew,
  ours,
  ...bothPeers(peer, peerFastest),
};
