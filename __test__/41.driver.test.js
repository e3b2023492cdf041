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

test('a statement gives rows in the form that it was told last', (t) => {
  const db = open(t);
  db.exec(
    "CREATE TABLE one (id, x); CREATE TABLE two (id, y); INSERT INTO one VALUES (1, 'a'); INSERT INTO two VALUES (1, 'b')",
  );
  const select = db.prepare("SELECT one.id, x, two.id, y, 'free' AS z FROM one JOIN two ON one.id = two.id");
  const forms = {
    raw: [1, 'a', 1, 'b', 'free'],
    pluck: 1,
    expand: { one: { id: 1, x: 'a' }, two: { id: 1, y: 'b' }, $: { z: 'free' } },
  };
  const plain = { id: 1, x: 'a', y: 'b', z: 'free' };
  for (let round = 0; round < 100; round += 1) {
    for (const [form, row] of Object.entries(forms)) {
      assert.equal(select[form](), select);
      assert.deepEqual([select.get(), select.all(), [...select.iterate()]], [row, [row], [row]]);
      for (const other of Object.keys(forms)) if (other !== form) select[other](false);
      assert.deepEqual(select.get(), row);
      select[form](false);
      assert.deepEqual(select.get(), plain);
    }
  }
  assert.equal(db.prepare('SELECT 1 WHERE 0').pluck().get(), undefined);
  assert.throws(() => select.raw('yes'), { code: 'DB_INVALID_ARGUMENT', operation: 'raw' });
  const insert = db.prepare('INSERT INTO one VALUES (1, 2)');
  for (const form of ['raw', 'pluck', 'expand', 'columns']) {
    assert.throws(() => insert[form](), { code: 'DB_INVALID_ARGUMENT', operation: form });
  }
});

test('columns say where they come from', (t) => {
  const db = open(t);
  db.exec('CREATE TABLE t (a INTEGER, b)');
  assert.deepEqual(db.prepare('SELECT a AS renamed, b, 1 + 1 AS sum FROM t').columns(), [
    { name: 'renamed', column: 'a', table: 't', database: 'main', type: 'INTEGER' },
    { name: 'b', column: 'b', table: 't', database: 'main', type: null },
    { name: 'sum', column: null, table: null, database: null, type: null },
  ]);
});

test('integers become bigints where that is asked for', (t) => {
  const db = open(t);
  const big = 2n ** 63n - 1n;
  const select = db.prepare('SELECT ? AS a, 1.5 AS b').safeIntegers();
  assert.deepEqual(
    [select.get(big), select.all(-big), [...select.iterate(1)]],
    [{ a: big, b: 1.5 }, [{ a: -big, b: 1.5 }], [{ a: 1n, b: 1.5 }]],
  );
  assert.deepEqual(select.raw().get(7), [7n, 1.5]);
  assert.deepEqual(select.safeIntegers(false).get(7), [7, 1.5]);
  assert.equal(db.defaultSafeIntegers(), db);
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  assert.deepEqual(db.prepare('INSERT INTO t VALUES (?)').run(big), { changes: 1, lastInsertRowid: big });
  assert.equal(db.prepare('SELECT id FROM t').pluck().get(), big);
  assert.equal(db.pragma('user_version', { simple: true }), 0n);
  assert.equal(db.defaultSafeIntegers(false).pragma('user_version', { simple: true }), 0);
});

test('parameters can be bound once for ever, and an open iterator is seen', (t) => {
  const db = open(t);
  const select = db.prepare('SELECT ? AS a, ? AS b').bind(1, 'x');
  assert.deepEqual([select.get(), select.all()], [{ a: 1, b: 'x' }, [{ a: 1, b: 'x' }]]);
  assert.throws(() => select.get(1, 2), { code: 'DB_INVALID_ARGUMENT', operation: 'get' });
  assert.throws(() => select.bind(1, 2), { code: 'DB_INVALID_ARGUMENT', operation: 'bind' });
  assert.deepEqual(db.prepare('SELECT :a AS a').bind({ a: 7 }).raw().get(), [7]);
  assert.equal(select.busy, false);
  for (const _ of select.iterate()) {
    assert.equal(select.busy, true);
    assert.throws(() => db.exec('CREATE TABLE t (x)'), { code: 'DB_ITERATOR_OPEN' });
  }
  assert.equal(select.busy, false);
});

test('what is left out says so', (t) => {
  const db = open(t);
  for (const name of ['aggregate', 'backup', 'function', 'loadExtension', 'serialize', 'table', 'unsafeMode']) {
    assert.throws(() => db[name](), { code: 'DB_NOT_SUPPORTED', operation: name });
  }
});
