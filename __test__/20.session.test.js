'use strict';

/** Sessions: what is written is read back, counters, order, errors. */

const assert = require('node:assert/strict');
const test = require('node:test');
const { NOW, newError, newSession, openLedger } = require('./support/ledger.js');

test('a session has its defaults', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const id = await db.createSession(newSession());
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
  const { created_at: createdAt, ...session } = await db.getSession(id);
  assert.deepEqual(session, {
    id,
    ...newSession(),
    processed_files: 0,
    success_count: 0,
    error_count: 0,
    duplicate_count: 0,
    status: 'running',
  });
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000);
  assert.equal('last_processed_file' in session, false, 'an absent field is missing, not null');
});

test('every field goes to its own column and comes back', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const given = {
    id: 'my-id',
    chat_id: 'chat',
    chat_name: 'Größe 🎉 \u0000 "quoted\'',
    start_time: '2026-01-01T00:00:00.001Z',
    last_update: '2026-01-02T00:00:00.002Z',
    total_files: Number.MAX_SAFE_INTEGER,
    processed_files: 2,
    success_count: 3,
    error_count: 4,
    duplicate_count: 5,
    status: 'paused',
    last_processed_file: 'last.jpg',
    created_at: '2026-01-03T00:00:00.003Z',
  };
  assert.equal(await db.createSession(given), 'my-id');
  assert.deepEqual(await db.getSession('my-id'), given);
  await assert.rejects(db.createSession(given), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY', operation: 'createSession' });

  const changes = {
    chat_id: 'chat2',
    chat_name: 'name2',
    start_time: '2026-02-01T00:00:00.001Z',
    last_update: '2026-02-02T00:00:00.002Z',
    total_files: 11,
    processed_files: 12,
    success_count: 13,
    error_count: 14,
    duplicate_count: 15,
    status: 'completed',
    last_processed_file: 'last2.jpg',
  };
  await db.updateSession('my-id', changes);
  assert.deepEqual(await db.getSession('my-id'), { ...given, ...changes });
});

test('an update sets what it is given, and last_update to now', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const id = await db.createSession(newSession({ last_processed_file: 'a.jpg' }));
  const before = await db.getSession(id);
  await db.updateSession(id, { processed_files: 3, status: undefined });
  const after = await db.getSession(id);
  assert.ok(after.last_update > NOW);
  assert.deepEqual(after, { ...before, processed_files: 3, last_update: after.last_update });
  await db.updateSession(id, { last_processed_file: null });
  assert.equal((await db.getSession(id)).last_processed_file, undefined);
  await db.updateSession(id, { last_update: NOW });
  assert.equal((await db.getSession(id)).last_update, NOW);
  await db.updateSession(id, {});
  assert.ok((await db.getSession(id)).last_update > NOW);
});

test('times in other forms are normalised', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const id = await db.createSession(
    newSession({ start_time: '2026-01-31T14:00:00+02:00', last_update: '2026-01-31 12:00:00' }),
  );
  const session = await db.getSession(id);
  assert.deepEqual([session.start_time, session.last_update], [NOW, NOW]);
});

test('increments add up, from concurrent callers too, and never below zero', async (t) => {
  const db = await openLedger(t);
  const id = await db.createSession(newSession());
  await Promise.all(
    Array.from({ length: 50 }, () => db.incrementSession(id, { processed_files: 2, success_count: 1, error_count: 1 })),
  );
  await db.incrementSession(id, { total_files: -40, duplicate_count: 7, error_count: -50 });
  const session = await db.getSession(id);
  assert.deepEqual(
    [session.total_files, session.processed_files, session.success_count, session.error_count, session.duplicate_count],
    [60, 100, 50, 0, 7],
  );
  await assert.rejects(db.incrementSession(id, { processed_files: 1, error_count: -1 }), {
    code: 'DB_INVALID_ARGUMENT',
    operation: 'incrementSession',
  });
  await assert.rejects(db.incrementSession(id, { success_count: Number.MAX_SAFE_INTEGER }), {
    code: 'DB_INVALID_ARGUMENT',
  });
  assert.equal((await db.getSession(id)).processed_files, 100);
});

test('what does not exist: changing it rejects, deleting it does nothing', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  await assert.rejects(db.updateSession('none', { processed_files: 1 }), { code: 'DB_NOT_FOUND', retryable: false });
  await assert.rejects(db.incrementSession('none', { processed_files: 1 }), { code: 'DB_NOT_FOUND' });
  await db.deleteSession('none');
  assert.equal(await db.getSession('none'), undefined);
});

test('id and created_at cannot be updated', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const id = await db.createSession(newSession());
  for (const field of ['id', 'created_at', 'nonsense']) {
    await assert.rejects(db.updateSession(id, { [field]: NOW }), (error) => {
      assert.equal(error.code, 'DB_INVALID_ARGUMENT');
      assert.ok(error.message.includes(`changes.${field}`), error.message);
      return true;
    });
  }
});

test('sessions are listed newest first, of one status or all', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  assert.deepEqual(await db.listSessions(), []);
  for (const [id, start, status] of [
    ['b', '2026-01-02T00:00:00.000Z', 'paused'],
    ['a', '2026-01-01T00:00:00.000Z', 'running'],
    ['d', '2026-01-03T00:00:00.000Z', 'running'],
    ['c', '2026-01-02T00:00:00.000Z', 'running'],
  ]) {
    await db.createSession(newSession({ id, start_time: start, status }));
  }
  const ids = async (status) => (await db.listSessions(status)).map(({ id }) => id).join('');
  assert.equal(await ids(), 'dcba');
  assert.equal(await ids('running'), 'dca');
  assert.equal(await ids('failed'), '');
});

for (const enableForeignKeys of [true, false]) {
  test(`a deleted session takes its errors along, foreign keys ${enableForeignKeys ? 'on' : 'off'}`, async (t) => {
    const db = await openLedger(t, { path: ':memory:', enableForeignKeys });
    const [kept, gone] = [await db.createSession(newSession()), await db.createSession(newSession())];
    for (const id of [kept, gone, gone]) await db.logError(newError(id));
    await db.deleteSession(gone);
    assert.equal((await db.getErrors(gone)).length, 0);
    assert.equal((await db.getErrors(kept)).length, 1);
  });
}
