'use strict';

/** Program order, the life of a manager, and what waits for what. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { DatabaseError, DatabaseManager } = require('../index.js');
const native = require('../lib/native.js');
const { makeFolder, newFileHash, newSession, openLedger, stateOf } = require('./support/ledger.js');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test('nothing has to be awaited: each call sees what was called before it', async (t) => {
  const db = new DatabaseManager({ path: path.join(makeFolder(t), 'a.db') });
  db.connect();
  t.after(() => db.disconnect());
  db.initializeSchema();
  const before = db.isFileUploaded('h');
  db.addFileHash(newFileHash('h'));
  const after = db.isFileUploaded('h');
  db.deleteFileHash('h');
  const last = db.isFileUploaded('h');
  assert.deepEqual(await Promise.all([before, after, last]), [false, true, false]);
});

test('behind a transaction, too, calls keep their order', async (t) => {
  const db = await openLedger(t);
  const open = db.transaction(() => sleep(30));
  const seen = [];
  db.addFileHash(newFileHash('h'));
  seen.push(db.isFileUploaded('h'));
  db.deleteFileHash('h');
  seen.push(db.isFileUploaded('h'));
  db.transaction(async () => db.addFileHash(newFileHash('h')));
  db.addFileHash(newFileHash('g'));
  seen.push(db.isFileUploaded('h'), db.isFileUploaded('g'));
  await open;
  assert.deepEqual(await Promise.all(seen), [true, false, true, true]);
});

test('arguments are read when the call is made', async (t) => {
  const db = await openLedger(t);
  const open = db.transaction(() => sleep(20));
  const file = newFileHash('h');
  const added = db.addFileHash(file);
  file.hash = 'changed';
  await Promise.all([open, added]);
  assert.equal(await db.isFileUploaded('h'), true);
  assert.equal(await db.isFileUploaded('changed'), false);
});

test('connecting and disconnecting twice is harmless; connecting again works', async (t) => {
  const db = new DatabaseManager({ path: path.join(makeFolder(t), 'a.db') });
  assert.equal(db.isConnected(), false);
  await assert.rejects(db.getStats(), { code: 'DB_NOT_CONNECTED', operation: 'getStats' });
  await db.disconnect();
  await Promise.all([db.connect(), db.connect()]);
  await db.connect();
  assert.equal(db.isConnected(), true);
  await db.initializeSchema();
  const [first, second] = [db.disconnect(), db.disconnect()];
  assert.equal(first, second);
  assert.equal(db.isConnected(), false);
  await assert.rejects(db.getStats(), { code: 'DB_NOT_CONNECTED' });
  await first;
  assert.equal(db.disconnect(), first);
  db.connect();
  assert.equal((await db.getStats()).totalFiles, 0);
  const closing = db.disconnect();
  const again = db.connect();
  const stats = db.getStats();
  await Promise.all([closing, again]);
  assert.equal((await stats).totalFiles, 0);
  await db.disconnect();
});

test('a failed connect says why to whoever waited for it, and can be tried again', async (t) => {
  const folder = makeFolder(t);
  const db = new DatabaseManager({ path: path.join(folder, 'sub', 'a.db') });
  const connecting = db.connect();
  const waiting = db.getStats();
  await assert.rejects(connecting, { code: 'DB_FOLDER_MISSING' });
  await assert.rejects(
    waiting,
    (error) => error.code === 'DB_NOT_CONNECTED' && error.cause.code === 'DB_FOLDER_MISSING',
  );
  require('node:fs').mkdirSync(path.join(folder, 'sub'));
  await db.connect();
  await db.disconnect();
});

test('disconnect lets queued writes end, rolls the open transaction back and refuses the queued one', async (t) => {
  const db = await openLedger(t);
  const inside = [];
  const open = db.transaction(async () => {
    await db.addFileHash(newFileHash('inside'));
    await sleep(50);
    inside.push(await stateOf(db.isFileUploaded('inside')));
  });
  const queued = db.addFileHash(newFileHash('queued'));
  const waiting = db.transaction(() => db.addFileHash(newFileHash('never')));
  await sleep(5);
  const closing = db.disconnect();
  await assert.rejects(
    open,
    (error) => error.code === 'DB_TRANSACTION_ABORTED' && error.cause.code === 'DB_NOT_CONNECTED',
  );
  await assert.rejects(waiting, { code: 'DB_NOT_CONNECTED' });
  await queued;
  await closing;
  await sleep(80);
  assert.deepEqual(inside, ['rejected'], 'the call from the ended transaction rejected');
  await db.connect();
  assert.deepEqual(await Promise.all(['inside', 'queued', 'never'].map((hash) => db.isFileUploaded(hash))), [
    false,
    true,
    false,
  ]);
});

test('disconnect interrupts work in the background and waits for it', async (t) => {
  const db = await openLedger(t);
  await db.transaction(async () => {
    for (let n = 0; n < 8000; n += 1) await db.addFileHash(newFileHash(`h${n}`, { file_path: 'x'.repeat(8000) }));
  });
  // The log is moved into the file first, which no disconnect interrupts.
  await db.setConfig('key', 1);
  const vacuum = db.vacuum().then(
    () => 'done',
    (error) => error.code,
  );
  const analyze = db.analyze();
  analyze.catch(() => {});
  await sleep(20);
  await db.disconnect();
  assert.equal(await vacuum, 'SQLITE_INTERRUPT');
  await assert.rejects(analyze, { code: 'DB_NOT_CONNECTED' });
});

test('disconnect stops a backup and a long list on their threads, too', async (t) => {
  const folder = makeFolder(t);
  for (const [work, call] of [
    ['backup', (db) => db.backup(path.join(folder, 'a.backup'))],
    ['readList', (db) => db.findFileHashes('chat123')],
  ]) {
    const db = await openLedger(t);
    await db.addFileHashes(Array.from({ length: 1100 }, (_, n) => newFileHash(`h${n}`)));
    const begun = t.mock.method(native.Ledger.prototype, work, async () => {
      const until = Date.now() + 5000;
      while (asked.mock.callCount() === 0 && Date.now() < until) await sleep(1);
      throw new DatabaseError('made up', { code: 'SQLITE_INTERRUPT', operation: work, errno: 9 });
    });
    const asked = t.mock.method(native.Interruption.prototype, 'request');
    const outcome = assert.rejects(call(db), { code: 'DB_NOT_CONNECTED' });
    while (begun.mock.callCount() === 0) await sleep(1);
    await db.disconnect();
    assert.equal(asked.mock.callCount(), 1, work);
    await outcome;
    t.mock.restoreAll();
  }
});

test('await using disconnects', async (t) => {
  const db = new DatabaseManager({ path: path.join(makeFolder(t), 'a.db') });
  await db.connect();
  assert.equal(typeof db[Symbol.asyncDispose], 'function');
  await db[Symbol.asyncDispose]();
  assert.equal(db.isConnected(), false);
});

test('a forgotten disconnect does not keep the process alive; a pending promise does', (t) => {
  const folder = makeFolder(t);
  const run = (body) => {
    const script = `
      const { DatabaseManager } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
      (async () => {
        const db = new DatabaseManager({ path: ${JSON.stringify(path.join(folder, 'a.db'))} });
        await db.connect();
        await db.initializeSchema();
        ${body}
      })();`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.equal(status, 0, stderr);
    return stdout;
  };
  assert.equal(run("console.log('ready');"), 'ready\n');
  assert.equal(run("db.vacuum().then(() => console.log('vacuumed'));"), 'vacuumed\n');
  const session = JSON.stringify(newSession());
  assert.equal(run(`db.createSession(${session}).then(() => console.log('created'));`), 'created\n');
  // A transaction that awaits nothing which could ever happen: the process ends all the same.
  assert.equal(run("db.transaction(() => new Promise(() => {})); console.log('open');"), 'open\n');
});

test('a manager that is forgotten while it is open can be collected', (t) => {
  const folder = makeFolder(t);
  // A file each: SQLite keeps a closed handle's descriptor while another holds locks on the file.
  const script = `
    const { DatabaseManager, createConnection } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
    (async () => {
      for (let n = 0; n < 20; n += 1) {
        const db = new DatabaseManager({ path: ${JSON.stringify(folder)} + '/' + n });
        await db.connect();
        createConnection({ path: ${JSON.stringify(folder)} + '/sync' + n }).prepare('SELECT 1').get();
      }
      for (let n = 0; n < 5; n += 1) { gc(); await new Promise(setImmediate); }
      const open = require('node:fs').readdirSync('/proc/self/fd').length;
      console.log(open < 30 ? 'closed' : 'still open: ' + open);
    })();`;
  if (process.platform !== 'linux') return t.diagnostic('open files are counted on Linux alone');
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '-e', script], { encoding: 'utf8' });
  assert.equal(stdout, 'closed\n', stderr);
});
