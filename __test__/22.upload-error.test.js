'use strict';

/** Upload errors: logging, retries, order. */

const assert = require('node:assert/strict');
const test = require('node:test');
const { newError, newSession, openLedger } = require('./support/ledger.js');

test('errors are logged, listed by id and cleared per session', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const [one, two] = [await db.createSession(newSession()), await db.createSession(newSession())];
  const first = await db.logError(newError(one, { error_message: 'first', retry_count: 2 }));
  const other = await db.logError(newError(two));
  const second = await db.logError(newError(one, { error_message: 'second', retry_count: undefined }));
  assert.ok(first < other && other < second);
  const errors = await db.getErrors(one);
  assert.deepEqual(
    errors.map(({ timestamp, ...error }) => error),
    [
      { id: first, ...newError(one, { error_message: 'first', retry_count: 2 }) },
      { id: second, ...newError(one, { error_message: 'second', retry_count: 0 }) },
    ],
  );
  assert.match(errors[0].timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  await db.clearErrors(one);
  await db.clearErrors('none');
  assert.deepEqual(await db.getErrors(one), []);
  assert.equal((await db.getErrors(two)).length, 1);
  assert.ok((await db.logError(newError(one))) > second, 'an id is never used twice');
});

test('retries are counted', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const session = await db.createSession(newSession());
  const id = await db.logError(newError(session));
  assert.equal(await db.incrementRetryCount(id), 1);
  assert.equal(await db.incrementRetryCount(id), 2);
  assert.equal((await db.getErrors(session))[0].retry_count, 2);
  await assert.rejects(db.incrementRetryCount(id + 1), { code: 'DB_NOT_FOUND', operation: 'incrementRetryCount' });
});

test('an error of an unknown session is refused', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  await assert.rejects(db.logError(newError('none')), { code: 'SQLITE_CONSTRAINT_FOREIGNKEY', errno: 787 });
});
