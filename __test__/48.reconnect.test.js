'use strict';

/** A file that is replaced or taken away underneath an open manager, and failures of I/O: it opens anew, or says why not. */

const assert = require('node:assert/strict');
const { existsSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { createConnection, DatabaseError, DatabaseManager } = require('../index.js');
const native = require('../lib/native.js');
const { holdTransaction, sleep } = require('./support/hold.js');
const { makeFolder, newFileHash, openLedger, stateOf } = require('./support/ledger.js');

/** Makes a ledger of so many files, and closes it. */
async function makeLedger(file, count, prefix) {
  const db = new DatabaseManager({ path: file });
  await db.connect();
  await db.initializeSchema();
  await db.addFileHashes(Array.from({ length: count }, (_, n) => newFileHash(`${prefix}${n}`)));
  await db.disconnect();
}

/** An open manager on a ledger with some rows, another ledger beside it, and what the manager tells. */
async function openPair(t, { count = 50, otherCount = 5, ...config } = {}) {
  const folder = makeFolder(t);
  const [file, other] = [path.join(folder, 'a.db'), path.join(folder, 'other.db')];
  await makeLedger(file, count, 'old');
  await makeLedger(other, otherCount, 'new');
  const db = await openLedger(t, { ...config, path: file });
  await db.addFileHash(newFileHash('in the log'));
  const events = [];
  db.on('reconnect', (event) => events.push(event));
  await sleep(5);
  return { db, file, other, events };
}

/** Takes away what is left of a log, as whoever replaces a database must. */
function removeLog(file) {
  for (const suffix of ['-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
}

const hashesOf = async (db) => (await db.findFileHashes('chat123')).map(({ hash }) => hash);

function assertIntact(file) {
  const connection = createConnection({ path: file });
  assert.deepEqual(connection.pragma('integrity_check'), [{ integrity_check: 'ok' }]);
  connection.close();
}

for (const [name, first] of [
  ['read', (db) => db.isFileUploaded('new0')],
  ['write', (db) => db.deleteFileHash('none').then(() => db.isFileUploaded('new0'))],
  ['transaction', (db) => db.transaction(() => db.isFileUploaded('new0'))],
  ['list', (db) => db.findFileHashes('chat123').then((files) => files[0].hash === 'new0')],
]) {
  test(`calls see the file that has taken the place of theirs: a ${name} first`, async (t) => {
    const { db, file, other, events } = await openPair(t);
    renameSync(other, file);
    removeLog(file);
    assert.equal(await first(db), true);
    await sleep(5);
    assert.deepEqual(events, [{ reason: 'replaced', error: undefined }]);
    await db.addFileHash(newFileHash('added'));
    assert.deepEqual(await hashesOf(db), ['new0', 'new1', 'new2', 'new3', 'new4', 'added']);
    await sleep(5);
    assert.equal(await db.isFileUploaded('old0'), false);
    assert.equal(events.length, 1);
    await db.disconnect();
    assertIntact(file);
  });
}

test('calls that are made together all see the new file, in their order', async (t) => {
  const { db, file, other } = await openPair(t);
  renameSync(other, file);
  removeLog(file);
  const calls = [];
  for (let n = 0; n < 5; n += 1) {
    calls.push(
      db.isFileUploaded(`added${n}`),
      db.addFileHash(newFileHash(`added${n}`)),
      db.isFileUploaded(`added${n}`),
    );
  }
  assert.deepEqual(await Promise.all(calls), Array(5).fill([false, undefined, true]).flat());
  assert.equal((await hashesOf(db)).length, 10);
});

for (const [name, counts] of [
  ['a short ledger over a long one', { count: 3000, otherCount: 5 }],
  ['a long ledger over a short one', { count: 5, otherCount: 3000 }],
  ['one like it', { count: 3000, otherCount: 3000 }],
]) {
  test(`the old log, left beside the new file, does it no harm: ${name}`, async (t) => {
    const { db, file, other } = await openPair(t, counts);
    renameSync(other, file);
    assert.equal(await db.isFileUploaded('new0'), true);
    await db.addFileHash(newFileHash('added'));
    assert.equal((await hashesOf(db)).length, counts.otherCount + 1);
    await db.disconnect();
    assertIntact(file);
  });
}

test('an open transaction keeps its file; what comes after it sees the new one', async (t) => {
  const { db, file, other, events } = await openPair(t);
  const open = await holdTransaction(db, () => db.addFileHash(newFileHash('inside')));
  renameSync(other, file);
  removeLog(file);
  const behind = db.addFileHash(newFileHash('behind'));
  await sleep(30);
  assert.equal(await stateOf(behind), 'pending');
  assert.deepEqual(events, []);
  await open.release();
  await behind;
  await sleep(5);
  assert.equal(await db.isFileUploaded('new0'), true);
  await sleep(5);
  assert.equal(events.length, 1);

  // From inside, too.
  await makeLedger(other, 5, 'newer');
  await db.transaction(async () => {
    renameSync(other, file);
    removeLog(file);
    await sleep(10);
    assert.equal(await db.isFileUploaded('new0'), true);
    await db.addFileHash(newFileHash('inside'));
    assert.equal(events.length, 1);
  });
  await sleep(5);
  assert.equal(await db.isFileUploaded('newer0'), true);
  await sleep(5);
  assert.equal(events.length, 2);
});

test('a file that is gone is told of, does not come back empty, and works when it is back', async (t) => {
  const { db, file, events } = await openPair(t, { create: false });
  renameSync(file, `${file}.away`);
  const outcomes = await Promise.allSettled([
    db.isFileUploaded('old0'),
    db.addFileHash(newFileHash('lost')),
    db.transaction(() => {}),
    db.findUploaded(['old0']),
  ]);
  await sleep(5);
  outcomes.push(...(await Promise.allSettled([db.getStats(), db.flush()])));
  const operations = ['isFileUploaded', 'addFileHash', 'transaction', 'findUploaded', 'getStats', 'flush'];
  for (const [index, { reason }] of outcomes.entries()) {
    assert.ok(reason instanceof DatabaseError);
    assert.deepEqual([reason.code, reason.operation], ['DB_NOT_CONNECTED', operations[index]]);
    assert.equal(reason.cause.code, 'DB_FILE_MISSING');
  }
  assert.equal(db.isConnected(), false);
  assert.deepEqual(events, []);
  assert.equal(existsSync(file), false);
  await assert.rejects(db.connect(), { code: 'DB_FILE_MISSING' });
  renameSync(`${file}.away`, file);
  await db.connect();
  assert.deepEqual([...(await db.findUploaded(['old0', 'in the log', 'lost'])).values()], [true, true, false]);
  await db.disconnect();
  assertIntact(file);
});

test('a manager that creates files does not make a lost one anew by itself either', async (t) => {
  const { db, file } = await openPair(t);
  renameSync(file, `${file}.away`);
  await assert.rejects(db.addFileHash(newFileHash('lost')), { code: 'DB_NOT_CONNECTED' });
  await sleep(5);
  assert.equal(existsSync(file), false);
});

test('a failure of I/O opens the file anew once, and the call is made again', async (t) => {
  const { db, events } = await openPair(t);
  const failure = new DatabaseError('made up', { code: 'SQLITE_IOERR_READ', operation: 'getStats', errno: 266 });
  const failing = (times) => {
    let left = times;
    t.mock.method(native.Ledger.prototype, 'getStats', function getStats() {
      if (left-- > 0) throw failure;
      return original.call(this);
    });
  };
  const original = native.Ledger.prototype.getStats;
  failing(1);
  assert.equal((await db.getStats()).totalFiles, 51);
  await sleep(5);
  assert.deepEqual(events, [{ reason: 'IOERR', error: failure }]);
  t.mock.restoreAll();
  // Within a second, a disk that fails again is left alone.
  failing(1);
  await assert.rejects(db.getStats(), (error) => error === failure);
  assert.equal(events.length, 1);
  t.mock.restoreAll();
  await sleep(1000);
  failing(2);
  await assert.rejects(db.getStats(), (error) => error === failure);
  await sleep(5);
  assert.equal(events.length, 2);
  assert.equal((await db.getStats()).totalFiles, 51);
  assert.equal(await db.isFileUploaded('old0'), true);
  assert.equal(events.length, 2);
});

test('a read whose failure ends the transaction that it runs before costs that nothing', async (t) => {
  const { db, events } = await openPair(t);
  const failure = new DatabaseError('made up', {
    code: 'SQLITE_IOERR_READ',
    operation: 'getSchemaVersion',
    errno: 266,
  });
  const original = native.Ledger.prototype.getSchemaVersion;
  let failures = 0;
  t.mock.method(native.Ledger.prototype, 'getSchemaVersion', function getSchemaVersion() {
    if (failures > 0 || !this.inTransaction) return original.call(this);
    failures += 1;
    this.rollBack();
    throw failure;
  });
  const play = async (name) => {
    let begin;
    const begun = new Promise((resolve) => {
      begin = resolve;
    });
    const open = db.transaction(() => {
      begin();
      return db.setConfig('first', name);
    });
    const next = db.transaction(async () => {
      await db.setConfig('next', name);
      await sleep(5);
      await db.addFileHash(newFileHash(name));
    });
    await begun;
    return Promise.all([open, next, db.getSchemaVersion()]);
  };
  const version = (await play('reopened'))[2];
  await sleep(5);
  assert.deepEqual(events, [{ reason: 'IOERR', error: failure }]);
  assert.equal(version, await db.getSchemaVersion());
  assert.equal(await db.isFileUploaded('reopened'), true);
  // Within a second it is the read's own failure.
  failures = 0;
  await assert.rejects(play('again'), (error) => error === failure);
  await db.flush();
  assert.equal(events.length, 1);
  assert.equal(await db.getConfig('next'), 'again');
  assert.equal(await db.isFileUploaded('again'), true);
});

for (const [name, write] of [
  ['a transaction', (db) => db.transaction(() => db.setConfig('key', 1))],
  ['a batch', (db) => db.addFileHashes([newFileHash('lost')])],
]) {
  test(`a failure of I/O at the commit of ${name} rejects it, and opens the file anew`, async (t) => {
    const { db, events } = await openPair(t);
    const failure = new DatabaseError('made up', { code: 'SQLITE_IOERR_WRITE', operation: 'commit', errno: 778 });
    t.mock.method(native.Ledger.prototype, 'commit', () => {
      throw failure;
    });
    await assert.rejects(write(db), (error) => error === failure);
    t.mock.restoreAll();
    assert.equal(await db.getConfig('key'), undefined);
    assert.equal(await db.isFileUploaded('lost'), false);
    await sleep(5);
    assert.deepEqual(events, [{ reason: 'IOERR', error: failure }]);
    await write(db);
    assert.equal(events.length, 1);
  });
}

test('batches behind one whose commit failed run on handles that were opened anew', async (t) => {
  const { db } = await openPair(t);
  const failure = new DatabaseError('made up', { code: 'SQLITE_IOERR_WRITE', operation: 'commit', errno: 778 });
  const { commit } = native.Ledger.prototype;
  const handles = [];
  t.mock.method(native.Ledger.prototype, 'commit', function fail() {
    handles.push(this);
    if (handles.length === 1) throw failure;
    return commit.call(this);
  });
  const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((hash) => db.addFileHashes([newFileHash(hash)])));
  assert.deepEqual(
    outcomes.map(({ reason }) => reason),
    [failure, undefined, undefined],
  );
  assert.notEqual(handles[1], handles[0]);
  assert.equal(handles[2], handles[1]);
});

test('a file that is corrupt is not opened anew: the error is the answer', async (t) => {
  const { db, events } = await openPair(t);
  const failure = new DatabaseError('made up', { code: 'SQLITE_CORRUPT', operation: 'getStats', errno: 11 });
  t.mock.method(native.Ledger.prototype, 'getStats', () => {
    throw failure;
  });
  for (let n = 0; n < 2; n += 1) await assert.rejects(db.getStats(), (error) => error === failure);
  await sleep(5);
  assert.deepEqual(events, []);
});

test('a manager for reading alone opens the file anew after a failure of I/O, not because it may not write', async (t) => {
  const { file } = await openPair(t);
  const db = new DatabaseManager({ path: file, readonly: true });
  await db.connect();
  t.after(() => db.disconnect());
  const events = [];
  db.on('reconnect', (event) => events.push(event));
  await assert.rejects(db.setConfig('key', 1), { code: /^SQLITE_READONLY/ });
  await sleep(5);
  assert.deepEqual(events, []);
  const failure = new DatabaseError('made up', { code: 'SQLITE_IOERR_READ', operation: 'getStats', errno: 266 });
  const original = native.Ledger.prototype.getStats;
  let failures = 0;
  t.mock.method(native.Ledger.prototype, 'getStats', function getStats() {
    failures += 1;
    if (failures === 1) throw failure;
    return original.call(this);
  });
  assert.equal((await db.getStats()).totalFiles, 51);
  await sleep(5);
  assert.deepEqual(events, [{ reason: 'IOERR', error: failure }]);
});
