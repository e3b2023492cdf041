'use strict';

/** Numbers over all tables, vacuum, analyze, and the log's life. */

const assert = require('node:assert/strict');
const { existsSync, statSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { createConnection } = require('../index.js');
const native = require('../lib/native.js');
const { makeFolder, newFileHash, newSession, openLedger } = require('./support/ledger.js');

test('the numbers are what INTERFACE says they are', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  assert.deepEqual(
    { ...(await db.getStats()), databaseSize: 0, walSize: 0 },
    {
      totalSessions: 0,
      activeSessions: 0,
      totalFiles: 0,
      successfulUploads: 0,
      failedUploads: 0,
      duplicatesFound: 0,
      databaseSize: 0,
      walSize: 0,
    },
  );
  await db.createSession(newSession({ success_count: 3, error_count: 2, duplicate_count: 1 }));
  await db.createSession(newSession({ success_count: 30, error_count: 20, duplicate_count: 10, status: 'completed' }));
  for (const hash of ['a', 'b', 'c', 'd']) await db.addFileHash(newFileHash(hash));
  const stats = await db.getStats();
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  const pragma = (name) => connection.getDatabase().pragma(name, { simple: true });
  assert.deepEqual(stats, {
    totalSessions: 2,
    activeSessions: 1,
    totalFiles: 4,
    successfulUploads: 33,
    failedUploads: 22,
    duplicatesFound: 11,
    databaseSize: pragma('page_count') * pragma('page_size'),
    walSize: statSync(`${file}-wal`).size,
  });
});

test('vacuum gives space back and says when it ended; analyze leaves its statistics', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  await db.transaction(async () => {
    for (let n = 0; n < 500; n += 1) await db.addFileHash(newFileHash(`h${n}`, { file_path: 'x'.repeat(2000) }));
  });
  for (let n = 0; n < 500; n += 1) await db.deleteFileHash(`h${n}`);
  const before = (await db.getStats()).databaseSize;
  await db.vacuum();
  const after = await db.getStats();
  assert.ok(after.databaseSize < before / 2, `${after.databaseSize} of ${before}`);
  assert.ok(after.lastVacuum);
  await db.addFileHash(newFileHash('h'));
  await db.analyze();
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  assert.ok(connection.get("SELECT count(*) AS n FROM sqlite_stat1 WHERE tbl = 'file_hashes'").n > 0);
});

test('maintenance is not possible inside a transaction', async (t) => {
  const db = await openLedger(t);
  for (const method of ['vacuum', 'analyze', 'initializeSchema']) {
    await db.transaction(async () => {
      await assert.rejects(db[method](), { code: 'DB_TRANSACTION_STATE', operation: method });
    });
  }
});

test('the log stays small under writing: others move it into the file', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const hashes = Array.from({ length: 6000 }, (_, n) => `${n}`.padStart(64, '0'));
  let largest = 0;
  for (const hash of hashes) {
    await db.addFileHash(newFileHash(hash));
    largest = Math.max(largest, statSync(`${file}-wal`).size);
  }
  const bytesWritten = hashes.length * 4 * 4096;
  assert.ok(largest < 24 * 1024 * 1024, `${largest} bytes`);
  assert.ok(bytesWritten > 3 * largest, 'the log was started anew several times');
  assert.equal((await db.getStats()).totalFiles, hashes.length);
});

test('disconnect leaves one file, with everything in it', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  await db.addFileHash(newFileHash('h'));
  assert.ok(existsSync(`${file}-wal`));
  await db.disconnect();
  assert.ok(!existsSync(`${file}-wal`) && !existsSync(`${file}-shm`));
  await db.connect();
  assert.ok(await db.isFileUploaded('h'));
});

for (const [synchronous, isSynced] of [
  ['NORMAL', false],
  ['FULL', true],
]) {
  test(`synchronous ${synchronous}: a write ${isSynced ? 'waits' : 'does not wait'} for the disk`, async (t) => {
    const db = await openLedger(t, { synchronous });
    const { prototype } = native.Ledger;
    const { flush } = prototype;
    t.after(() => {
      prototype.flush = flush;
    });
    let begun = 0;
    let ended = 0;
    prototype.flush = async function spy(...args) {
      begun += 1;
      await flush.apply(this, args);
      await new Promise((resolve) => setTimeout(resolve, 20));
      ended += 1;
    };
    await Promise.all([db.addFileHash(newFileHash('a')), db.addFileHash(newFileHash('b'))]);
    assert.equal(ended > 0, isSynced);
    await db.transaction(() => db.addFileHash(newFileHash('c')));
    assert.equal(ended, begun);
    // Two writes of one moment share a sync; the transaction needs one behind its own commit.
    assert.equal(begun, isSynced ? 2 : 0);
    assert.equal((await db.getStats()).totalFiles, 3);
  });
}

test('without a log everything works as well', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, enableWAL: false });
  await db.addFileHash(newFileHash('a'));
  await assert.rejects(
    db.transaction(async () => {
      await db.addFileHash(newFileHash('b'));
      throw new Error('made up');
    }),
    { message: 'made up' },
  );
  await db.vacuum();
  assert.equal((await db.getStats()).totalFiles, 1);
  assert.ok(!existsSync(`${file}-wal`));
});
