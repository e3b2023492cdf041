'use strict';

/** Calls that wait, for a lock or for each other: what they see, how they end, what they cost. */

const assert = require('node:assert/strict');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const test = require('node:test');
const { DatabaseManager, createConnection } = require('../index.js');
const { makeFolder, newFileHash, openLedger } = require('./support/ledger.js');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens a ledger without a log, in which an exclusive lock keeps readers out, and a second connection. */
async function openPair(t) {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, enableWAL: false });
  const other = createConnection({ path: file, enableWAL: false });
  t.after(() => other.close());
  return { db, other, file };
}

test('a read that waited for a lock does not see a transaction that has begun meanwhile', async (t) => {
  const { db, other } = await openPair(t);
  await db.setConfig('key', 'old');
  other.run('BEGIN EXCLUSIVE');
  const read = db.getConfig('key');
  await sleep(100);
  other.run('COMMIT');
  const transaction = db.transaction(async () => {
    await db.setConfig('key', 'uncommitted');
    await sleep(150);
    throw new Error('undone');
  });
  await assert.rejects(transaction, { message: 'undone' });
  assert.equal(await read, 'old');
});

test('disconnect waits for a read that waits for a lock', async (t) => {
  const { db, other } = await openPair(t);
  await db.setConfig('key', 'value');
  other.run('BEGIN EXCLUSIVE');
  const read = db.getConfig('key');
  await sleep(50);
  const closing = db.disconnect();
  await sleep(50);
  other.run('COMMIT');
  assert.equal(await read, 'value');
  await closing;
});

test('disconnect refuses a transaction that still waits for its lock', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const other = createConnection({ path: file });
  t.after(() => other.close());
  other.run('BEGIN IMMEDIATE');
  let ran = false;
  const transaction = db.transaction(async () => {
    ran = true;
  });
  await sleep(30);
  const closing = db.disconnect();
  other.run('COMMIT');
  await assert.rejects(transaction, { code: 'DB_NOT_CONNECTED', operation: 'transaction' });
  await closing;
  assert.equal(ran, false);
});

test('a lock in front of a new schema is a lock, not a missing schema', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = new DatabaseManager({ path: file, enableWAL: false });
  await db.connect();
  t.after(() => db.disconnect());
  await db.initializeSchema();
  const other = createConnection({ path: file, enableWAL: false });
  t.after(() => other.close());
  other.run('BEGIN EXCLUSIVE');
  const set = db.setConfig('key', 1);
  await sleep(50);
  other.run('COMMIT');
  await set;
  assert.equal(await db.getConfig('key'), 1);
});

test("a read-only manager's transaction holds nobody's lock", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const reader = new DatabaseManager({ path: file, readonly: true });
  await reader.connect();
  t.after(() => reader.disconnect());
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  await reader.transaction(async () => {
    await reader.listSessions();
    connection.run('PRAGMA user_version = 1');
  });
  await db.transaction(async () => {
    await db.setConfig('key', 1);
    await reader.transaction(() => reader.listSessions());
    const begun = Date.now();
    assert.throws(() => connection.run('PRAGMA user_version = 2'), { code: 'DB_BUSY' });
    assert.ok(Date.now() - begun < 1000, 'it did not wait');
  });
});

test('a call does not overtake those that still wait while the loop has a turn', async (t) => {
  const db = await openLedger(t, { timeout: 60_000 });
  let release;
  const open = db.transaction(
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  await sleep(1);
  // More than one slice of the queue.
  const calls = Array.from({ length: 3000 }, (_, n) => db.setConfig('key', n));
  const last = calls[0].then(() => db.setConfig('key', 'last'));
  release();
  await Promise.all([open, last, ...calls]);
  assert.equal(await db.getConfig('key'), 'last');
});

test('a call costs the same however many wait already', async (t) => {
  const db = await openLedger(t, { timeout: 60_000 });
  /** Measures how long it takes to make so many calls behind an open transaction. */
  const measure = async (count) => {
    let release;
    const open = db.transaction(
      () =>
        new Promise((resolve) => {
          release = resolve;
        }),
    );
    await sleep(1);
    const begun = performance.now();
    const calls = Array.from({ length: count }, (_, n) =>
      db.addFileHash(newFileHash(`${n}`), { onConflict: 'ignore' }),
    );
    const took = performance.now() - begun;
    release();
    await Promise.all([open, ...calls]);
    return took;
  };
  await measure(1000);
  const few = Math.min(await measure(1000), await measure(1000));
  const many = Math.min(await measure(8000), await measure(8000));
  t.diagnostic(`1,000 calls ${few.toFixed(1)} ms, 8,000 calls ${many.toFixed(1)} ms`);
  // In proportion it would be 8; a scan of the queue at each call would make it 64.
  assert.ok(many < few * 28, `${(many / few).toFixed(1)} times as long`);
});

/** Says which share of some time the loop was at work; waiting alone is to cost it hardly anything. */
async function measureUtilization(ms) {
  const before = performance.eventLoopUtilization();
  await sleep(ms);
  return performance.eventLoopUtilization(before).utilization;
}

test('the loop rests while calls wait for a lock or a transaction', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const other = createConnection({ path: file });
  t.after(() => other.close());
  // Busy tests beside this one can only make the loop rest more.
  const assertRests = async (what) => {
    const utilization = await measureUtilization(300);
    assert.ok(utilization < 0.5, `${what}: the loop was at work for ${(utilization * 100).toFixed(0)} %`);
  };

  other.run('BEGIN IMMEDIATE');
  const behindLock = [db.setConfig('a', 1), db.transaction(() => db.setConfig('b', 2)), db.getConfig('a')];
  await assertRests('behind a lock');
  other.run('COMMIT');
  assert.deepEqual(await Promise.all(behindLock), [undefined, undefined, 1]);

  let end;
  const held = new Promise((resolve) => {
    end = resolve;
  });
  const transaction = db.transaction(() => held);
  const behindTransaction = [db.setConfig('a', 3), db.getConfig('a')];
  await assertRests('behind a transaction');
  end();
  await transaction;
  assert.deepEqual(await Promise.all(behindTransaction), [undefined, 3]);
});

test('in memory, reads that wait for a transaction let the loop rest, and run behind it', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  let end;
  const held = new Promise((resolve) => {
    end = resolve;
  });
  let transaction;
  await new Promise((begun) => {
    transaction = db.transaction(() => {
      begun();
      return held;
    });
  });
  const reads = [db.getConfig('a'), db.getConfig('b')];
  const utilization = await measureUtilization(300);
  assert.ok(utilization < 0.5, `the loop was at work for ${(utilization * 100).toFixed(0)} %`);
  end();
  await transaction;
  assert.deepEqual(await Promise.all(reads), [undefined, undefined]);
});
