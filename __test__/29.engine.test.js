'use strict';

/** What makes calls quick and keeps the loop free: shared commits, slices, threads, and the log. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { pbkdf2 } = require('node:crypto');
const { once } = require('node:events');
const { statSync } = require('node:fs');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const test = require('node:test');
const { createConnection, DatabaseError, DatabaseManager } = require('../index.js');
const native = require('../lib/native.js');
const { holdTransaction, sleep } = require('./support/hold.js');
const { makeFolder, newFileHash, openLedger, stateOf } = require('./support/ledger.js');

const MB = 2 ** 20;

/** A file's record of about so many bytes. */
const newWideFile = (hash, bytes) => newFileHash(hash, { file_path: 'x'.repeat(bytes) });

/** A file, its manager, and a connection of another's that sees what is committed. */
async function openWatched(t, config = {}) {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { ...config, path: file });
  const eyes = createConnection({ path: file, readonly: true });
  t.after(() => eyes.close());
  const has = (hash) => eyes.get('SELECT 1 AS n FROM file_hashes WHERE hash = ?', [hash]) !== undefined;
  return { db, file, eyes, has };
}

// --- shared commits ---------------------------------------------------------------------------

test('writes of one tick share a commit; a resolved promise says that its row is committed', async (t) => {
  const { db, has } = await openWatched(t);
  const commit = t.mock.method(native.Ledger.prototype, 'commit');
  const seen = [];
  const writes = Array.from({ length: 50 }, (_, n) =>
    db.addFileHash(newFileHash(`h${n}`)).then(() => seen.push(has(`h${n}`))),
  );
  assert.equal(has('h0'), false);
  await Promise.all(writes);
  // One, unless the machine is so busy that a turn's time ends before.
  assert.ok(commit.mock.callCount() <= 5, `${commit.mock.callCount()} commits for 50 writes`);
  assert.deepEqual(new Set(seen), new Set([true]));
  assert.equal(seen.length, 50);
  for (let n = 0; n < 3000; n += 1) writes.push(db.setConfig(`key ${n % 10}`, n));
  await Promise.all(writes);
  const commits = commit.mock.callCount();
  // No more than 64 in one.
  assert.ok(commits >= 3000 / 64 && commits < 500, `${commits} commits for 3,000 writes`);
});

test('a statement that fails rejects only its own call', async (t) => {
  const { db, has } = await openWatched(t);
  await db.addFileHash(newFileHash('known'));
  const commit = t.mock.method(native.Ledger.prototype, 'commit');
  const outcomes = await Promise.allSettled([
    db.addFileHash(newFileHash('a')),
    db.addFileHash(newFileHash('known')),
    db.addFileHash(newFileHash('a')),
    db.updateSession('none', {}),
    db.isFileUploaded('a'),
    db.addFileHash(newFileHash('b')),
  ]);
  assert.deepEqual(
    outcomes.map(({ value, reason }) => reason?.code ?? value),
    [undefined, 'SQLITE_CONSTRAINT_PRIMARYKEY', 'SQLITE_CONSTRAINT_PRIMARYKEY', 'DB_NOT_FOUND', true, undefined],
  );
  assert.ok(commit.mock.callCount() <= 2, `${commit.mock.callCount()} commits for six calls`);
  assert.deepEqual([has('a'), has('b')], [true, true]);
});

test('a commit that fails rejects all that share it, and nothing of it is kept', async (t) => {
  const { db, has } = await openWatched(t);
  const failure = new DatabaseError('made up', { code: 'SQLITE_FULL', operation: 'transaction', errno: 13 });
  t.mock.method(
    native.Ledger.prototype,
    'commit',
    () => {
      throw failure;
    },
    { times: 1 },
  );
  const outcomes = await Promise.allSettled([db.addFileHash(newFileHash('a')), db.addFileHash(newFileHash('b'))]);
  for (const { reason } of outcomes) assert.equal(reason, failure);
  assert.deepEqual([has('a'), has('b')], [false, false]);
  await Promise.all([db.addFileHash(newFileHash('a')), db.addFileHash(newFileHash('b'))]);
  assert.deepEqual([has('a'), has('b')], [true, true]);
});

test('reads of one tick see the writes before them and not those after', async (t) => {
  const { db, eyes } = await openWatched(t);
  for (const count of [3, 500]) {
    const reads = [];
    for (let n = 0; n < count; n += 1) {
      db.setConfig('key', n);
      reads.push(
        db.getConfig('key').then((value) => [n, value, JSON.parse(eyes.get('SELECT value FROM config').value)]),
      );
    }
    for (const [n, value, committed] of await Promise.all(reads)) {
      assert.equal(value, n);
      assert.ok(committed >= n, 'what a read has seen is committed');
    }
  }
});

// --- the loop ---------------------------------------------------------------------------------

/** Counts the loop's turns, and a timer's, until it is told to stop. */
function countTurns() {
  const counts = { immediates: 0, timeouts: 0 };
  let immediate;
  const turn = () => {
    counts.immediates += 1;
    immediate = setImmediate(turn);
  };
  turn();
  const interval = setInterval(() => {
    counts.timeouts += 1;
  }, 1);
  return () => {
    clearImmediate(immediate);
    clearInterval(interval);
    return counts;
  };
}

for (const memory of [false, true]) {
  test(`the loop has its turns during many calls, ${memory ? 'in memory' : 'in a file'}`, async (t) => {
    const db = await openLedger(t, memory ? { path: ':memory:' } : {});
    await db.addFileHash(newFileHash('known'));
    const works = {
      'awaited lookups': async () => {
        for (let n = 0; n < 50_000; n += 1) assert.equal(await db.isFileUploaded('known'), true);
      },
      'lookups at once': () => Promise.all(Array.from({ length: 50_000 }, () => db.isFileUploaded('known'))),
      'writes at once': () => Promise.all(Array.from({ length: 10_000 }, (_, n) => db.setConfig('key', n))),
      'awaited writes': async () => {
        for (let n = 0; n < 5_000; n += 1) await db.setConfig('key', n);
      },
      'a lookup in pieces': () => db.findUploaded(Array.from({ length: 200_000 }, (_, n) => `h${n}`)),
    };
    for (const [name, work] of Object.entries({ ...works })) {
      works[`${name}, in a transaction`] = () => db.transaction(work);
      if (name === 'awaited lookups')
        works[`${name}, in a nested one`] = () => db.transaction(() => db.transaction(work));
    }
    for (const [name, work] of Object.entries(works)) {
      const stop = countTurns();
      await work();
      const { immediates, timeouts } = stop();
      t.diagnostic(`${name}: ${immediates} turns, ${timeouts} of a timer`);
      assert.ok(immediates >= 4, `${name}: ${immediates} turns`);
      assert.ok(timeouts >= 2, `${name}: ${timeouts} of a timer`);
    }
  });
}

test("writes and flush go on when all of libuv's threads are busy", async (t) => {
  const { db } = await openWatched(t);
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
  let finished = 0;
  const busy = Array.from(
    { length: threads + 1 },
    () =>
      new Promise((resolve) => {
        pbkdf2('secret', 'salt', 1_000_000, 64, 'sha512', () => {
          finished += 1;
          resolve();
        });
      }),
  );
  // More than the log may hold: it must be moved into the file meanwhile.
  const beginLog = t.mock.method(native.Ledger.prototype, 'beginLog');
  for (let n = 0; n < 250; n += 1) await db.addFileHash(newWideFile(`h${n}`, 100_000));
  await db.flush();
  assert.equal(finished, 0, 'they were done before the threads were');
  assert.ok(beginLog.mock.calls.some(({ arguments: [operation] }) => operation === 'checkpoint'));
  await Promise.all(busy);
});

test('while the log is begun anew by the writing handle, reads go by the other one', async (t) => {
  const { db } = await openWatched(t);
  await db.addFileHash(newFileHash('known'));
  const original = native.Ledger.prototype.beginLog;
  let lent;
  let isBegun = false;
  t.mock.method(native.Ledger.prototype, 'beginLog', async function beginLog(operation) {
    // As long as a slow disk takes, the handle is the other thread's.
    lent = this;
    const work = original.call(this, operation);
    await sleep(50);
    lent = undefined;
    isBegun ||= operation === 'checkpoint';
    return work;
  });
  const readers = new Set();
  const { getSchemaVersion } = native.Ledger.prototype;
  t.mock.method(native.Ledger.prototype, 'getSchemaVersion', function readVersion() {
    if (lent) readers.add(this === lent ? 'the lent one' : 'the other one');
    return getSchemaVersion.call(this);
  });
  const reads = (async () => {
    for (; !isBegun; await sleep(1)) {
      assert.equal(await db.getSchemaVersion(), 1);
      assert.equal(await db.isFileUploaded('known'), true);
    }
  })();
  // A write that waits would let reads wait, too; a transaction does not.
  for (let n = 0; !isBegun && n < 400; n += 1) {
    await db.transaction(() => db.addFileHash(newWideFile(`h${n}`, 100_000)));
  }
  await reads;
  assert.ok(isBegun);
  assert.deepEqual([...readers], ['the other one']);
  assert.equal(await db.isFileUploaded('h100'), true);
});

test('a manager can be closed, and opened again, while its log is begun anew', async (t) => {
  const { db } = await openWatched(t);
  const beginLog = t.mock.method(native.Ledger.prototype, 'beginLog');
  const writes = Array.from({ length: 400 }, (_, n) => db.addFileHash(newWideFile(`h${n}`, 100_000)));
  while (!beginLog.mock.calls.some(({ arguments: [operation] }) => operation === 'checkpoint')) await sleep(0);
  await db.disconnect();
  assert.equal((await Promise.allSettled(writes)).filter(({ status }) => status === 'rejected').length, 0);
  await db.connect();
  assert.equal((await db.getStats()).totalFiles, 400);
});

// --- flush and vacuum -------------------------------------------------------------------------

for (const config of [{}, { synchronous: 'FULL' }, { enableWAL: false }, { path: ':memory:' }]) {
  test(`flush waits for the writes before it: ${JSON.stringify(config)}`, async (t) => {
    const db = await openLedger(t, config);
    await db.flush();
    const kept = [];
    db.setConfig('key', 1).then(() => kept.push('write'));
    db.transaction(async () => {
      await sleep(10);
      await db.addFileHash(newFileHash('in the transaction'));
    });
    db.addFileHashes(Array.from({ length: 2000 }, (_, n) => newFileHash(`h${n}`))).then(() => kept.push('batch'));
    const commits = ['commit', 'commitAside'].map((method) => t.mock.method(native.Ledger.prototype, method));
    assert.equal(await db.flush(), undefined);
    const count = commits.reduce((sum, { mock }) => sum + mock.callCount(), 0);
    assert.equal(count, 2, 'the transaction and the batch are committed');
    assert.equal(kept[0], 'write');
    assert.equal((await db.getStats()).totalFiles, 2001);
    await Promise.all([db.flush(), db.flush()]);
    await db.transaction(() =>
      assert.rejects(db.flush(), { code: 'DB_TRANSACTION_STATE', operation: 'flush', retryable: false }),
    );
    await db.disconnect();
    await assert.rejects(db.flush(), { code: 'DB_NOT_CONNECTED', operation: 'flush' });
  });
}

test('with synchronous FULL a write resolves once the disk has it', async (t) => {
  const { db, has } = await openWatched(t, { synchronous: 'FULL' });
  let end;
  const synced = new Promise((resolve) => {
    end = resolve;
  });
  t.mock.method(native.Ledger.prototype, 'flush', () => synced);
  const calls = [
    db.addFileHash(newFileHash('a')),
    db.addFileHash(newFileHash('b')),
    db.transaction(() => db.addFileHash(newFileHash('c'))),
    db.addFileHashes([newFileHash('d')]),
  ];
  await sleep(50);
  assert.equal(has('a'), true, 'committed');
  for (const call of calls) assert.equal(await stateOf(call), 'pending');
  end();
  await Promise.all(calls);
  assert.equal(has('d'), true);
});

test('reads pass a flush that runs; a vacuum is waited for', async (t) => {
  const { db } = await openWatched(t);
  await db.addFileHashes(Array.from({ length: 3000 }, (_, n) => newWideFile(`h${n}`, 1000)));
  let end;
  const synced = new Promise((resolve) => {
    end = resolve;
  });
  const flush = t.mock.method(native.Ledger.prototype, 'flush', () => synced);
  const flushing = db.flush();
  await sleep(20);
  assert.equal(flush.mock.callCount(), 1);
  assert.equal(await db.isFileUploaded('h1'), true);
  assert.equal(await stateOf(flushing), 'pending');
  end();
  await flushing;

  const order = [];
  const note = (name) => () => order.push(name);
  await Promise.all([
    db.vacuum().then(note('vacuum')),
    db.isFileUploaded('h1').then(note('read')),
    db.setConfig('key', 1).then(note('write')),
  ]);
  assert.deepEqual(order, ['vacuum', 'read', 'write']);
});

test('one sync serves all flushes of the moment', async (t) => {
  const { db } = await openWatched(t);
  await db.setConfig('key', 1);
  const flush = t.mock.method(native.Ledger.prototype, 'flush');
  await Promise.all(Array.from({ length: 50 }, () => db.flush()));
  assert.equal(flush.mock.callCount(), 1);
  const begun = db.flush();
  await Promise.resolve();
  // One that runs already need not know of this write.
  await Promise.all([begun, db.setConfig('key', 2), ...Array.from({ length: 50 }, () => db.flush())]);
  assert.ok(flush.mock.callCount() <= 3, `${flush.mock.callCount()} syncs`);
  flush.mock.mockImplementation(async () => {
    throw new DatabaseError('made up', { code: 'SQLITE_IOERR_FSYNC', operation: 'flush' });
  });
  const failing = await Promise.allSettled([db.flush(), db.flush()]);
  assert.deepEqual(
    failing.map(({ reason }) => reason?.code),
    ['SQLITE_IOERR_FSYNC', 'SQLITE_IOERR_FSYNC'],
  );
});

test('every 4 MB the log is moved into the file, beside the writers', async (t) => {
  const { db, file } = await openWatched(t);
  const checkpoint = t.mock.method(native.Ledger.prototype, 'checkpoint');
  for (let n = 0; n < 60; n += 1) await db.addFileHash(newWideFile(`h${n}`, 100_000));
  const until = Date.now() + 10_000;
  while (statSync(file).size < 3 * MB && Date.now() < until) await sleep(5);
  assert.ok(statSync(file).size >= 3 * MB, `${statSync(file).size} bytes are in the file`);
  assert.equal(checkpoint.mock.callCount(), 0, 'none that writers wait for');
});

test('a call that left the queue while the log was made ready is not counted twice', async (t) => {
  const { db } = await openWatched(t);
  const controller = new AbortController();
  t.mock.method(native.Ledger.prototype, 'prepareWrite', () => -1);
  t.mock.method(native.Ledger.prototype, 'beginLog', async () => {
    await sleep(20);
    throw new DatabaseError('made up', { code: 'SQLITE_FULL', operation: 'setConfig', errno: 13 });
  });
  const call = db.setConfig('key', 'aborted', { signal: controller.signal });
  await sleep(5);
  controller.abort();
  await assert.rejects(call, { code: 'DB_ABORTED' });
  await sleep(30);
  t.mock.restoreAll();
  db.setConfig('key', 'changed');
  assert.equal(await db.getConfig('key'), 'changed', 'a read sees the write before it');
});

// --- the log ----------------------------------------------------------------------------------

test('walSize is the size of the log', async (t) => {
  const { db, file } = await openWatched(t);
  for (let n = 0; n < 20; n += 1) await db.addFileHash(newWideFile(`h${n}`, 10_000));
  await sleep(50);
  const { walSize } = await db.getStats();
  assert.equal(walSize, statSync(`${file}-wal`).size);
  assert.ok(walSize > 200_000);
  const memory = await openLedger(t, { path: ':memory:' });
  assert.equal((await memory.getStats()).walSize, 0);
});

test('the log stays short however much is written', async (t) => {
  const { db, file } = await openWatched(t);
  let longest = 0;
  for (let n = 0; n < 20_000; n += 1) {
    await db.addFileHash(newFileHash(`${n}`));
    if (n % 250 === 0) longest = Math.max(longest, statSync(`${file}-wal`).size);
  }
  t.diagnostic(`at most ${(longest / MB).toFixed(1)} MB`);
  assert.ok(longest <= 24 * MB, `${(longest / MB).toFixed(1)} MB`);
});

/** Holds a read transaction on a ledger until its input ends. */
const READER = `
  const { createConnection } = require(${JSON.stringify(path.join(__dirname, '..'))});
  const connection = createConnection({ path: process.argv[1], readonly: true });
  connection.exec('BEGIN');
  connection.get('SELECT count(*) FROM file_hashes');
  console.log('reading');
  process.stdin.resume().on('end', () => connection.exec('COMMIT'));`;

test('a reader elsewhere that holds on lets writers go on; the log begins anew once it ends', async (t) => {
  const { db, file } = await openWatched(t);
  const reader = spawn(process.execPath, ['-e', READER, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => reader.kill('SIGKILL'));
  const closed = once(reader, 'close');
  await once(reader.stdout, 'data');
  const checkpoint = t.mock.method(native.Ledger.prototype, 'checkpoint');
  let longestWait = 0;
  for (let n = 0; n < 500; n += 1) {
    const begun = performance.now();
    await db.addFileHash(newWideFile(`h${n}`, 100_000));
    longestWait = Math.max(longestWait, performance.now() - begun);
  }
  const size = statSync(`${file}-wal`).size;
  t.diagnostic(`the log has ${(size / MB).toFixed(0)} MB, the longest wait was ${longestWait.toFixed(0)} ms`);
  assert.ok(size > 45 * MB, 'the reader keeps it');
  const tries = checkpoint.mock.callCount();
  assert.ok(tries >= 1 && tries <= size / (15 * MB), `${tries} tries`);
  assert.ok(longestWait < 1500, `${longestWait} ms`);
  reader.stdin.end();
  await closed;
  for (let n = 0; n < 500; n += 1) await db.addFileHash(newWideFile(`i${n}`, 100_000));
  const sizeAfter = statSync(`${file}-wal`).size;
  assert.ok(sizeAfter < size + 20 * MB, `begun anew, not ${(sizeAfter / MB).toFixed(0)} MB`);
  await t.test('the file shrinks', () => assert.ok(sizeAfter <= 24 * MB, `${sizeAfter / MB} MB`));
});

test('a checkpoint that fails is an event, or a warning when nobody listens, and known until one succeeds', async (t) => {
  const { db } = await openWatched(t);
  const failure = new DatabaseError('made up', { code: 'SQLITE_IOERR_FSYNC', operation: 'checkpoint', errno: 1034 });
  const warnings = [];
  const warn = (warning) => warnings.push(warning);
  process.on('warning', warn);
  t.after(() => process.off('warning', warn));
  let written = 0;
  /** Writes until something has happened, or for at most 100 MB. */
  const writeUntil = async (hasHappened) => {
    for (const end = written + 1000; written < end && !(await hasHappened()); written += 1) {
      await db.addFileHash(newWideFile(`h${written}`, 100_000));
    }
    assert.ok(await hasHappened(), 'it did not happen');
  };
  const { mock } = t.mock.method(native.Ledger.prototype, 'relieveLog', async () => {
    throw failure;
  });
  await writeUntil(() => warnings.length > 0);
  assert.deepEqual(warnings, [failure]);
  assert.equal((await db.getStats()).checkpointError, failure);
  const told = [];
  const hear = (error) => told.push(error);
  db.on('checkpointError', hear);
  await writeUntil(() => told.length > 0);
  // A warning comes a tick later.
  await sleep(5);
  assert.deepEqual([told, warnings.length], [[failure], 1]);
  db.off('checkpointError', hear);
  mock.restore();
  await writeUntil(async () => (await db.getStats()).checkpointError === undefined);
  assert.equal('checkpointError' in (await db.getStats()), false);
});

test("each of two managers reads what is committed while the other's transaction, or its own, is open", async (t) => {
  const { db: one, file } = await openWatched(t);
  const two = new DatabaseManager({ path: file });
  await two.connect();
  t.after(() => two.disconnect());
  for (let round = 0; round < 10; round += 1) {
    const [owner, other] = round % 2 === 0 ? [one, two] : [two, one];
    await other.addFileHash(newFileHash(`before ${round}`));
    const open = await holdTransaction(owner, () => owner.addFileHash(newFileHash(`inside ${round}`)));
    const waiting = other.addFileHash(newFileHash(`behind ${round}`));
    await sleep(3);
    for (const name of [`before ${round}`, `inside ${round}`, `behind ${round}`]) {
      assert.equal(await owner.isFileUploaded(name), name.startsWith('before'), name);
    }
    assert.equal(await stateOf(waiting), 'pending');
    await open.release();
    assert.equal(await other.isFileUploaded(`inside ${round}`), true);
    await waiting;
    assert.equal(await owner.isFileUploaded(`behind ${round}`), true);
  }
});
