'use strict';

/** Backups: what is in one, beside which writers, over which files, and what is left of one that ends early. */

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { once } = require('node:events');
const { DatabaseManager } = require('../index.js');
const { holdLock, sleep } = require('./support/hold.js');
const { code, damageFile, makeFolder, newError, newFileHash, newSession, openLedger } = require('./support/ledger.js');

const IS_WINDOWS = process.platform === 'win32';

/** Writes so many files to a ledger. */
async function fill(db, count, size = 200) {
  const files = Array.from({ length: count }, (_, index) =>
    newFileHash(`fill-${String(index).padStart(7, '0')}`, { file_path: 'x'.repeat(size) }),
  );
  await db.addFileHashes(files);
}

/** Opens a backup as a ledger of its own, and closes it again. */
async function inside(file, look) {
  const db = new DatabaseManager({ path: file, readonly: true });
  await db.connect();
  try {
    return await look(db);
  } finally {
    await db.disconnect();
  }
}

for (const enableWAL of [true, false]) {
  test(`a backup holds what was written before it, in one private file (WAL: ${enableWAL})`, async (t) => {
    const db = await openLedger(t, { enableWAL });
    const folder = makeFolder(t);
    const target = path.join(folder, 'a.backup');
    await fill(db, 2000);
    const session = await db.createSession(newSession());
    db.logError(newError(session)).catch(() => {});
    const seen = [];
    const report = await db.backup(target, { onProgress: (progress) => seen.push(progress) });
    assert.deepEqual(fs.readdirSync(folder), ['a.backup']);
    const bytes = fs.readFileSync(target);
    assert.deepEqual(report, { path: fs.realpathSync(target), bytes: bytes.length, pages: bytes.length / 4096 });
    if (!IS_WINDOWS) assert.equal(fs.statSync(target).mode & 0o777, 0o600);
    // Outside write-ahead logging, so that it needs no other file.
    assert.deepEqual([...bytes.subarray(18, 20)], [1, 1]);
    assert.deepEqual(seen.at(-1), { copied_pages: report.pages, total_pages: report.pages });
    const found = await inside(target, async (copy) => [
      (await copy.getStats()).totalFiles,
      (await copy.getErrors(session)).length,
      await copy.getSchemaVersion(),
    ]);
    assert.deepEqual(found, [2000, 1, 1]);
  });
}

test('a backup waits for the writes that were called before it, awaited or not', async (t) => {
  const db = await openLedger(t);
  const folder = makeFolder(t);
  const file = path.join(folder, 'held.db');
  const held = await openLedger(t, { path: file });
  for (const [ledger, lock] of [
    [db, undefined],
    [held, holdLock(t, file)],
  ]) {
    const target = path.join(folder, `${lock ? 'held' : 'free'}.backup`);
    ledger.addFileHash(newFileHash('before'));
    const backup = ledger.backup(target);
    if (lock) {
      await sleep(200);
      lock.release();
    }
    await backup;
    assert.equal(await inside(target, (copy) => copy.isFileUploaded('before')), true);
  }
});

test('a database in memory is backed up too', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const target = path.join(makeFolder(t), 'a.backup');
  await fill(db, 100);
  let last;
  const report = await db.backup(target, { onProgress: (progress) => (last = progress) });
  assert.equal(last.copied_pages, report.pages);
  assert.equal(await inside(target, async (copy) => (await copy.getStats()).totalFiles), 100);
});

test('a backup beside a writer is one state of it, and keeps it from nothing', async (t) => {
  const db = await openLedger(t);
  const folder = makeFolder(t);
  await fill(db, 20000, 500);
  const session = await db.createSession(newSession());
  let isDone = false;
  let written = 0;
  let longest = 0;
  const writing = (async () => {
    while (!isDone) {
      const start = performance.now();
      await db.transaction(async () => {
        await db.addFileHash(newFileHash(`beside-${written}`));
        await db.incrementSession(session, { success_count: 1 });
      });
      longest = Math.max(longest, performance.now() - start);
      written += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const counts = [];
  for (let round = 0; round < 4; round += 1) {
    const target = path.join(folder, `${round}.backup`);
    const before = written;
    await db.backup(target);
    const after = written;
    assert.ok(after > before, 'the writer went on');
    const { totalFiles, successfulUploads } = await inside(target, (copy) => copy.getStats());
    assert.equal(totalFiles, 20000 + successfulUploads, 'half a transaction');
    assert.ok(successfulUploads >= before, 'what was written before is in it');
    counts.push(after - before);
  }
  isDone = true;
  await writing;
  t.diagnostic(`${counts} transactions beside each of 4 backups, the slowest ${longest.toFixed(1)} ms`);
  assert.ok(longest < 2000, `${longest} ms`);
});

test('without write-ahead logging a busy writer neither starves nor starves the backup', async (t) => {
  const db = await openLedger(t, { enableWAL: false, timeout: 30_000 });
  const folder = makeFolder(t);
  await fill(db, 10000, 500);
  let isDone = false;
  let written = 0;
  const writing = (async () => {
    while (!isDone) {
      await db.addFileHash(newFileHash(`beside-${written}`));
      written += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const target = path.join(folder, 'a.backup');
  const before = written;
  await db.backup(target);
  const beside = written - before;
  isDone = true;
  await writing;
  const { totalFiles } = await inside(target, (copy) => copy.getStats());
  assert.ok(totalFiles >= 10000 + before && totalFiles <= 10000 + written);
  assert.ok(beside > 0, 'no write got through');
});

test('a path that must not be written to is refused, and what is there is left alone', async (t) => {
  const db = await openLedger(t);
  const folder = makeFolder(t);
  const file = (name) => path.join(folder, name);
  await db.backup(file('good'));
  fs.writeFileSync(file('text'), 'a text of somebody');
  fs.mkdirSync(file('folder'));
  fs.writeFileSync(file('logged-wal'), '');
  const own = path.join(makeFolder(t), 'own.db');
  const other = await openLedger(t, { path: own });
  await assert.rejects(db.backup(file('text')), code('DB_FILE_EXISTS'));
  await assert.rejects(db.backup(file('folder'), { overwrite: true }), code('DB_NOT_A_FILE'));
  await assert.rejects(db.backup(file('new/')), code('DB_NOT_A_FILE'));
  await assert.rejects(db.backup(file('no/such')), code('DB_FOLDER_MISSING'));
  await assert.rejects(db.backup(file('logged'), { overwrite: true }), code('DB_IN_USE'));
  await assert.rejects(other.backup(own, { overwrite: true }), code('DB_INVALID_ARGUMENT'));
  await assert.rejects(db.backup(own, { overwrite: true }), code('DB_IN_USE'));
  for (const path of ['', 'a\0b', 7, undefined, null, {}]) {
    await assert.rejects(db.backup(path), code('DB_INVALID_ARGUMENT'));
  }
  await assert.rejects(db.backup(file('x'), { overwrite: 1 }), code('DB_INVALID_ARGUMENT'));
  await assert.rejects(db.backup(file('x'), { onProgress: 1 }), code('DB_INVALID_ARGUMENT'));
  await assert.rejects(db.backup(file('x'), { progress: 1 }), code('DB_INVALID_ARGUMENT'));
  if (!IS_WINDOWS) {
    fs.symlinkSync(file('good'), file('link'));
    execFileSync('mkfifo', [file('pipe')]);
    for (const name of ['link', 'pipe']) {
      await assert.rejects(db.backup(file(name), { overwrite: true }), code('DB_NOT_A_FILE'));
    }
    await assert.rejects(db.backup('/dev/null', { overwrite: true }), code('DB_NOT_A_FILE'));
  }
  assert.equal(fs.readFileSync(file('text'), 'utf8'), 'a text of somebody');
  await db.addFileHash(newFileHash('later'));
  await db.backup(file('good'));
  await db.backup(file('text'), { overwrite: true });
  for (const name of ['good', 'text']) {
    assert.equal(await inside(file(name), (copy) => copy.isFileUploaded('later')), true, name);
  }
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('a backup that is stopped leaves the old one as it was', async (t) => {
  const db = await openLedger(t);
  const folder = makeFolder(t);
  const target = path.join(folder, 'a.backup');
  await db.backup(target);
  const old = fs.readFileSync(target);
  await fill(db, 40000, 800);
  const controller = new AbortController();
  const reason = new Error('enough');
  const stopped = db.backup(target, {
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  });
  await assert.rejects(stopped, (error) => code('DB_ABORTED')(error) && error.cause === reason);
  const thrown = new Error('of the caller');
  let calls = 0;
  const failing = db.backup(target, {
    onProgress() {
      calls += 1;
      throw thrown;
    },
  });
  await assert.rejects(failing, (error) => error === thrown);
  assert.equal(calls, 1, 'called again after it threw');
  const closing = db.backup(target);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await Promise.all([assert.rejects(closing, code('DB_NOT_CONNECTED')), db.disconnect()]);
  await assert.rejects(db.backup(target), code('DB_NOT_CONNECTED'));
  assert.deepEqual(fs.readdirSync(folder), ['a.backup']);
  assert.deepEqual(fs.readFileSync(target), old);
});

test('a backup is not possible inside a transaction, and sees no open one', async (t) => {
  const db = await openLedger(t);
  const target = path.join(makeFolder(t), 'a.backup');
  await db.transaction(async () => {
    await db.addFileHash(newFileHash('open'));
    await assert.rejects(db.backup(target), code('DB_TRANSACTION_STATE'));
  });
  let end;
  const open = db.transaction(async () => {
    await db.addFileHash(newFileHash('uncommitted'));
    await new Promise((resolve) => (end = resolve));
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  await db.backup(target);
  end();
  await open;
  const found = await inside(target, async (copy) => [
    await copy.isFileUploaded('open'),
    await copy.isFileUploaded('uncommitted'),
  ]);
  assert.deepEqual(found, [true, false]);
});

test('a damaged ledger gives no backup', async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'ledger.db');
  const first = await openLedger(t, { path: file });
  await fill(first, 2000);
  await first.disconnect();
  damageFile(file);
  const db = new DatabaseManager({ path: file });
  await db.connect();
  t.after(() => db.disconnect());
  await assert.rejects(db.backup(path.join(folder, 'a.backup')), code('SQLITE_CORRUPT'));
  assert.ok(!fs.readdirSync(folder).some((name) => name.includes('backup')));
});

test('kill -9 leaves the old backup or a whole new one', { skip: IS_WINDOWS }, async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'ledger.db');
  const target = path.join(folder, 'a.backup');
  const db = await openLedger(t, { path: file });
  await fill(db, 5000, 500);
  await db.backup(target);
  await db.disconnect();
  const script = `
    const { DatabaseManager } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
    (async () => {
      const db = new DatabaseManager({ path: ${JSON.stringify(file)} });
      await db.connect();
      process.send('ready');
      for (;;) await db.backup(${JSON.stringify(target)});
    })();`;
  let interrupted = 0;
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(child, 'message');
    await new Promise((resolve) => setTimeout(resolve, 3 + round * 5));
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(await inside(target, async (copy) => (await copy.getStats()).totalFiles), 5000);
    for (const name of fs.readdirSync(folder)) {
      if (!name.includes('.tmp')) continue;
      interrupted += 1;
      fs.rmSync(path.join(folder, name));
    }
  }
  t.diagnostic(`12 kills, ${interrupted} files of backups that were under way`);
  assert.ok(interrupted > 0, 'no kill met a backup');
});
