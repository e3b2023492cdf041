'use strict';

/** The driver object: better-sqlite3's surface, as far as it goes. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { createConnection } = require('../index.js');
const { makeFolder } = require('./support/ledger.js');

function open(t, config = { path: ':memory:' }) {
  const connection = createConnection(config);
  t.after(() => connection.close());
  return connection.getDatabase();
}

test('it says what it is', (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  const db = connection.getDatabase();
  assert.equal(connection.getDatabase(), db);
  assert.deepEqual([db.open, db.name, db.readonly, db.memory, db.inTransaction], [true, file, false, false, false]);
  const memory = open(t);
  assert.deepEqual([memory.name, memory.memory], [':memory:', true]);
  db.exec('CREATE TABLE t (x)');
  const reader = open(t, { path: file, readonly: true });
  assert.equal(reader.readonly, true);
  assert.equal(db.close(), db);
  assert.equal(db.open, false);
  assert.throws(() => connection.get('SELECT 1'), { code: 'DB_CLOSED' });
});

test('statements take values, one array or one object', (t) => {
  const db = open(t);
  assert.equal(db.exec('CREATE TABLE t (a, b); CREATE TABLE u (c);'), db);
  const insert = db.prepare('INSERT INTO t VALUES (?, ?)');
  assert.deepEqual([insert.reader, insert.readonly, insert.source], [false, false, 'INSERT INTO t VALUES (?, ?)']);
  assert.equal(insert.database, db);
  assert.deepEqual(insert.run(1, 'x'), { changes: 1, lastInsertRowid: 1 });
  insert.run([2, 'y']);
  insert.run([3], Buffer.from('z'));
  db.prepare('INSERT INTO t VALUES (@a, :b)').run({ a: 4, b: null });
  const select = db.prepare('SELECT a FROM t WHERE a > ?');
  assert.deepEqual([select.reader, select.readonly], [true, true]);
  assert.deepEqual(select.all(2), [{ a: 3 }, { a: 4 }]);
  assert.deepEqual(select.get(3), { a: 4 });
  assert.equal(select.get(9), undefined);
  assert.throws(() => select.get(), { code: 'DB_INVALID_ARGUMENT' });
  assert.throws(() => db.exec('INSERT INTO u VALUES (1); INSERT INTO absent VALUES (1)'), { code: 'SQLITE_ERROR' });
  assert.equal(db.prepare('SELECT count(*) AS n FROM u').get().n, 1);
});

test('pragmas are read and set', (t) => {
  const db = open(t);
  assert.equal(db.pragma('user_version', { simple: true }), 0);
  assert.deepEqual(db.pragma('user_version = 7'), []);
  assert.deepEqual(db.pragma('user_version'), [{ user_version: 7 }]);
  assert.equal(db.pragma('user_version = 8', { simple: true }), undefined);
});

test('a transaction function takes arguments, nests and has variants', (t) => {
  const db = open(t);
  db.exec('CREATE TABLE t (x)');
  const insert = db.prepare('INSERT INTO t VALUES (?)');
  const insertAll = db.transaction(function insertThem(...values) {
    for (const value of values) insert.run(value);
    if (values.includes(13)) throw new Error('thirteen');
    return [this, values.length];
  });
  const receiver = {};
  assert.deepEqual(insertAll.call(receiver, 1, 2), [receiver, 2]);
  assert.throws(() => insertAll(12, 13), { message: 'thirteen' });
  for (const variant of ['default', 'deferred', 'immediate', 'exclusive']) insertAll[variant](variant);
  assert.equal(insertAll.database, db);
  const nested = db.transaction(() => {
    insert.run('outer');
    assert.throws(() => insertAll(13), { message: 'thirteen' });
    assert.equal(db.inTransaction, true);
  });
  nested();
  assert.deepEqual(
    db
      .prepare('SELECT x FROM t')
      .all()
      .map(({ x }) => x),
    [1, 2, 'default', 'deferred', 'immediate', 'exclusive', 'outer'],
  );
  assert.throws(() => db.transaction(7), { code: 'DB_INVALID_ARGUMENT' });
});

test('a deferred transaction takes no lock before it writes', (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const [one, two] = [open(t, { path: file, timeout: 1000 }), open(t, { path: file, timeout: 1000 })];
  one.exec('CREATE TABLE t (x)');
  const write = () => two.exec('INSERT INTO t VALUES (1)');
  one.transaction(write).deferred();
  assert.throws(() => one.transaction(write).immediate(), { code: 'SQLITE_BUSY' });
});
