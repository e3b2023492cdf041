'use strict';

/** Owns what most tests begin with: a temporary folder, an open ledger, valid records. */

const assert = require('node:assert/strict');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { DatabaseManager } = require('../../index.js');

/** Where `damageFile` damages. */
const DAMAGE = { start: 4096 * 20, end: 4096 * 24 };

const NOW = '2026-01-31T12:00:00.000Z';

/** Folders that Windows lets go of only when nothing in them is open: at the end. */
const leftFolders = [];
process.on('exit', () => {
  for (const folder of leftFolders) {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      // A file that a test left open; the folder is a temporary one.
      if (error.code !== 'EBUSY' && error.code !== 'EPERM' && error.code !== 'ENOTEMPTY') throw error;
    }
  }
});

/** Makes a folder that is removed when the test ends. */
function makeFolder(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-database-'));
  if (process.platform === 'win32') leftFolders.push(folder);
  else t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens a ledger with its schema in a file of its own, or in memory; closed when the test ends. */
async function openLedger(t, config = {}) {
  const file = config.path ?? path.join(makeFolder(t), 'ledger.db');
  const db = new DatabaseManager({ ...config, path: file });
  await db.connect();
  t.after(() => db.disconnect());
  await db.initializeSchema();
  return db;
}

/** Overwrites four pages in the middle of a closed ledger's file; gives the damaged file's bytes. */
function damageFile(file) {
  const bytes = readFileSync(file);
  bytes.fill(0x5a, DAMAGE.start, DAMAGE.end);
  writeFileSync(file, bytes);
  return bytes;
}

/** Says for `assert.rejects` whether an error has a code. */
function code(expected) {
  return (error) => {
    assert.equal(error.code, expected, error.message);
    return true;
  };
}

function newSession(changes = {}) {
  return {
    chat_id: 'chat123',
    chat_name: 'Family Photos',
    start_time: NOW,
    last_update: NOW,
    total_files: 100,
    ...changes,
  };
}

function newFileHash(hash, changes = {}) {
  return {
    hash,
    file_path: `/media/${hash}.jpg`,
    file_name: `${hash}.jpg`,
    file_size: 1024,
    mime_type: 'image/jpeg',
    upload_service: 'photos',
    upload_id: `id-${hash}`,
    chat_id: 'chat123',
    uploaded_at: NOW,
    ...changes,
  };
}

function newError(sessionId, changes = {}) {
  return {
    session_id: sessionId,
    file_path: '/media/a.jpg',
    error_type: 'UPLOAD_FAILED',
    error_message: 'Network timeout',
    retry_count: 0,
    ...changes,
  };
}

/** Says what a promise has come to, without waiting for it. */
async function stateOf(promise) {
  const pending = Symbol('pending');
  return Promise.race([promise, Promise.resolve(pending)]).then(
    (value) => (value === pending ? 'pending' : 'fulfilled'),
    () => 'rejected',
  );
}

/** Makes a generator of numbers from 0 to 1 that a seed repeats (mulberry32). */
function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

module.exports = {
  DAMAGE,
  NOW,
  code,
  damageFile,
  makeFolder,
  makeRandom,
  newError,
  newFileHash,
  newSession,
  openLedger,
  stateOf,
};
