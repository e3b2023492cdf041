'use strict';

/** Owns a ledger whose file is watched from outside, to prove that a refused call writes nothing. */

const assert = require('node:assert/strict');
const path = require('node:path');
const { DatabaseManager, createConnection } = require('../../index.js');
const { CANARY, assertRefused } = require('./hostile.js');
const { makeFolder, newError, newFileHash, newSession } = require('./ledger.js');

/** A ledger with one row of each kind, and a second pair of eyes on its file. */
async function openWatched(t) {
  const file = path.join(makeFolder(t), 'ledger.db');
  const db = new DatabaseManager({ path: file });
  await db.connect();
  await db.initializeSchema();
  const session = await db.createSession(newSession());
  const counted = await db.createSession(
    newSession({ processed_files: 9, success_count: 9, error_count: 9, duplicate_count: 9 }),
  );
  await db.addFileHash(newFileHash('known'));
  const error = await db.logError(newError(session));
  await db.setConfig('key', CANARY);
  const eyes = createConnection({ path: file, readonly: true });
  t.after(async () => {
    eyes.close();
    await db.disconnect();
  });
  const known = { session, counted, error, hash: 'known' };
  const tables = ['upload_sessions', 'file_hashes', 'upload_errors', 'config', 'schema_migrations'];
  return {
    db,
    known,
    dump: () => JSON.stringify(tables.map((table) => eyes.all(`SELECT * FROM ${table} ORDER BY rowid`))),
    version: () => eyes.getDatabase().pragma('data_version', { simple: true }),
  };
}

/** Asserts that a call is refused, changes nothing and leaves the manager usable. */
async function assertHarmless({ db, known, version }, call, expected) {
  const before = version();
  await assertRefused(call, expected);
  assert.equal(version(), before, `${expected.label}: something was written`);
  assert.equal(await db.isFileUploaded(known.hash), true);
}

module.exports = { assertHarmless, openWatched };
