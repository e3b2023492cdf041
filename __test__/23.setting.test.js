'use strict';

/** Settings: any JSON value, the reserved key. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { createConnection } = require('../index.js');
const { makeFolder, openLedger } = require('./support/ledger.js');

test('any JSON value comes back as it was', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  for (const value of [null, true, 0, -1.5, '', 'text \ud83c\udf89', '\ud800', [], [1, [2]], {}, { a: { b: null } }]) {
    await db.setConfig('key', value);
    assert.deepEqual(await db.getConfig('key'), value);
  }
  assert.equal((await db.listConfig()).length, 1);
  assert.equal(await db.getConfig('none'), undefined);
  await db.deleteConfig('key');
  await db.deleteConfig('key');
  assert.equal(await db.getConfig('key'), undefined);
});

test('a value is read when it is set: later changes are not stored', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const value = { n: 1 };
  const blocked = db.transaction(() => new Promise((resolve) => setTimeout(resolve, 20)));
  const set = db.setConfig('key', value);
  value.n = 2;
  await Promise.all([blocked, set]);
  assert.deepEqual(await db.getConfig('key'), { n: 1 });
});

test('settings are listed by key with their JSON text and time', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  await db.setConfig('b', [1]);
  await db.setConfig('a', 'x');
  await db.setConfig('', 0);
  const records = await db.listConfig();
  assert.deepEqual(
    records.map(({ key, value }) => [key, value]),
    [
      ['', '0'],
      ['a', '"x"'],
      ['b', '[1]'],
    ],
  );
  assert.ok(records.every((record) => /Z$/.test(record.updated_at)));
});

test('objects may refer twice to one other, but not to themselves', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const shared = { x: 1 };
  await db.setConfig('key', { a: shared, b: [shared, shared] });
  assert.deepEqual(await db.getConfig('key'), { a: shared, b: [shared, shared] });
  const nested = (depth) => (depth === 0 ? 1 : [nested(depth - 1)]);
  await db.setConfig('deep', nested(126));
  assert.deepEqual(await db.getConfig('deep'), nested(126));
  await assert.rejects(db.setConfig('deep', nested(128)), { code: 'DB_INVALID_ARGUMENT' });
  await assert.rejects(db.setConfig('deep', nested(3000)), { code: 'DB_INVALID_ARGUMENT' });
});

test('the reserved key is neither shown nor touched', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  assert.equal((await db.getStats()).lastVacuum, undefined);
  await db.vacuum();
  const { lastVacuum } = await db.getStats();
  assert.ok(Math.abs(Date.parse(lastVacuum) - Date.now()) < 60_000);
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  const { key } = connection.get('SELECT key FROM config');
  assert.deepEqual(await db.listConfig(), []);
  assert.equal(await db.getConfig(key), undefined);
  await assert.rejects(db.setConfig(key, 1), { code: 'DB_INVALID_ARGUMENT' });
  await db.deleteConfig(key);
  assert.equal((await db.getStats()).lastVacuum, lastVacuum);
});

test('a stored value that is no JSON is an error that does not show it', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  connection.run("INSERT INTO config (key, value) VALUES ('token', 'secret-token')");
  await assert.rejects(db.getConfig('token'), (error) => {
    assert.equal(error.code, 'DB_INVALID_DATA');
    assert.ok(!`${error.message}${error.cause}`.includes('secret'));
    return true;
  });
});
