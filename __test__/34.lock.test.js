'use strict';

/** Locks: of other processes, and of this one's own transactions. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const test = require('node:test');
const { Worker } = require('node:worker_threads');
const { DatabaseManager, createConnection } = require('../index.js');
const { makeFolder, newFileHash, newSession, openLedger } = require('./support/ledger.js');

/** Lets another process hold a file's write lock; resolves once it does. */
async function holdLock(t, file, milliseconds) {
  const child = spawn(process.execPath, [path.join(__dirname, 'support', 'holder.js'), file, milliseconds], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return once(child, 'exit');
}

test("another process's lock is waited for without stopping the loop", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const id = await db.createSession(newSession());
  const released = holdLock(t, file, 1200);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let ticks = 0;
  const ticking = setInterval(() => {
    ticks += 1;
  }, 5);
  const written = [
    db.addFileHash(newFileHash('a')),
    db.transaction(() => db.addFileHash(newFileHash('b'))),
    db.incrementSession(id, { processed_files: 1 }),
  ];
  const read = db.getSession(id);
  assert.equal((await read).id, id);
  await Promise.all(written);
  await released;
  clearInterval(ticking);
  delay.disable();
  const worst = delay.max / 1e6;
  t.diagnostic(`${ticks} ticks, longest delay ${worst.toFixed(1)} ms`);
  assert.ok(ticks > 20, `${ticks} ticks`);
  assert.equal((await db.getStats()).totalFiles, 2);
});

test('a lock that is held for longer than the timeout gives a retryable error', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, timeout: 1000 });
  await db.createSession(newSession());
  const released = holdLock(t, file, 2500);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await assert.rejects(db.addFileHash(newFileHash('a')), {
    code: 'SQLITE_BUSY',
    errno: 5,
    retryable: true,
    operation: 'addFileHash',
  });
  await released;
  await db.addFileHash(newFileHash('a'));
});

test('calls that wait behind one lock wait together, the first write of a connection too', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  await (await openLedger(t, { path: file })).disconnect();
  const db = new DatabaseManager({ path: file, timeout: 1000 });
  await db.connect();
  t.after(() => db.disconnect());
  const released = holdLock(t, file, 3500);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const begun = Date.now();
  const waits = [];
  const calls = [1, 2, 3, 4].map((n) => db.addFileHash(newFileHash(`${n}`)));
  for (const call of [...calls, db.isFileUploaded('1')]) {
    call.catch(() => {}).then(() => waits.push(Date.now() - begun));
  }
  for (const call of calls) await assert.rejects(call, { code: 'SQLITE_BUSY', operation: 'addFileHash' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.diagnostic(`waited ${waits.join(', ')} ms`);
  assert.equal(waits.length, 5);
  assert.ok(Math.max(...waits) < 1900, 'none waited for two timeouts');
  await released;
  await db.addFileHash(newFileHash('1'));
});

test('the next connection waits for what the last one still writes', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  await db.createSession(newSession());
  const released = holdLock(t, file, 1000);
  await new Promise((resolve) => setTimeout(resolve, 400));
  db.addFileHash(newFileHash('a'));
  db.disconnect();
  db.connect();
  assert.equal(await db.isFileUploaded('a'), true);
  await released;
});

test('two managers on one file lose nothing', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const [one, two] = [await openLedger(t, { path: file }), await openLedger(t, { path: file })];
  const id = await one.createSession(newSession());
  const write = (db, name, n) =>
    db.transaction(async () => {
      await db.addFileHash(newFileHash(`${name}${n}`));
      await new Promise((resolve) => setImmediate(resolve));
      await db.incrementSession(id, { success_count: 1 });
    });
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  await Promise.all(numbers.flatMap((n) => [write(one, 'one', n), write(two, 'two', n)]));
  assert.equal((await one.getSession(id)).success_count, 100);
  assert.equal((await two.getStats()).totalFiles, 100);
});

test("a synchronous write that meets the process's own open transaction fails at once", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  connection.run('CREATE TABLE notes (text TEXT)');
  const refused = { name: 'DatabaseError', code: 'DB_BUSY', retryable: true };
  await db.transaction(async () => {
    const begun = Date.now();
    assert.throws(() => connection.run("INSERT INTO notes VALUES ('x')"), refused);
    assert.throws(() => connection.get("INSERT INTO notes VALUES ('x') RETURNING *"), refused);
    assert.throws(() => connection.run('BEGIN IMMEDIATE'), refused);
    assert.throws(() => connection.transaction(() => {}), refused);
    assert.throws(() => connection.getDatabase().exec("INSERT INTO notes VALUES ('x')"), refused);
    assert.ok(Date.now() - begun < 500, 'none of them waited');
    assert.deepEqual(connection.all('SELECT * FROM notes'), [], 'reading is possible');
    const other = createConnection({ path: path.join(makeFolder(t), 'b.db') });
    other.run('CREATE TABLE notes (text TEXT)');
    other.close();
  });
  connection.run("INSERT INTO notes VALUES ('x')");
  await assert.rejects(
    db.transaction(() => Promise.reject(new Error('made up'))),
    { message: 'made up' },
  );
  connection.run("INSERT INTO notes VALUES ('y')");
  assert.equal(connection.all('SELECT * FROM notes').length, 2);
});

test('an open synchronous transaction makes the manager wait, not fail', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  connection.run('BEGIN IMMEDIATE');
  const added = db.addFileHash(newFileHash('a'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  connection.run('COMMIT');
  await added;
});

test('workers have managers of their own, also when they are terminated', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { DatabaseError, DatabaseManager } = require(workerData.main);
    const db = new DatabaseManager({ path: workerData.file });
    const file = (hash) => ({ hash, file_path: 'p', file_name: 'f', file_size: 1, mime_type: 'm', upload_service: 'photos', chat_id: 'c' });
    (async () => {
      await db.connect();
      await db.addFileHash(file('w' + workerData.n));
      const error = await db.addFileHash(file('w' + workerData.n)).catch((caught) => caught);
      if (!(error instanceof DatabaseError)) throw new Error('not our class');
      db.transaction(async () => {
        await db.addFileHash(file('never' + workerData.n));
        parentPort.postMessage('inside');
        await new Promise(() => setInterval(() => {}, 1000));
      });
    })();`;
  for (let n = 0; n < 4; n += 1) {
    const main = path.join(__dirname, '..', 'index.js');
    const worker = new Worker(source, { eval: true, workerData: { main, file, n } });
    await once(worker, 'message');
    await worker.terminate();
  }
  assert.equal((await db.getStats()).totalFiles, 4, 'what was open is rolled back');
  await db.addFileHash(newFileHash('after'));
});

test('a manager is told apart from a stranger by its own file, whatever path leads there', async (t) => {
  const folder = makeFolder(t);
  const db = await openLedger(t, { path: path.join(folder, 'a.db') });
  const connection = createConnection({ path: `${folder}/../${path.basename(folder)}/a.db` });
  t.after(() => connection.close());
  await db.transaction(async () => {
    assert.throws(() => connection.run('PRAGMA user_version = 1'), { code: 'DB_BUSY' });
  });
  assert.ok(db instanceof DatabaseManager);
});
