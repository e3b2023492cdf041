'use strict';

/** The synchronous connection: statements, parameters, values, transactions, closing. */

const assert = require('node:assert/strict');
const test = require('node:test');
const { DatabaseError, SqliteConnection, createConnection } = require('../index.js');

function open(t, config = { path: ':memory:' }) {
  const connection = createConnection(config);
  t.after(() => connection.close());
  return connection;
}

test('run says what has changed', (t) => {
  const connection = open(t);
  assert.ok(connection instanceof SqliteConnection);
  assert.deepEqual(connection.run('CREATE TABLE t (id INTEGER PRIMARY KEY, x)'), { changes: 0, lastInsertRowid: 0 });
  assert.deepEqual(connection.run('INSERT INTO t (x) VALUES (1), (2)'), { changes: 2, lastInsertRowid: 2 });
  assert.deepEqual(connection.run('UPDATE t SET x = 9 WHERE id = 7'), { changes: 0, lastInsertRowid: 2 });
  assert.equal(connection.run('DELETE FROM t').changes, 2);
  assert.equal(connection.run('SELECT 1').changes, 0);
});

test('rows are plain objects; no row is undefined, no rows an empty array', (t) => {
  const connection = open(t);
  const row = connection.get("SELECT 1 AS a, 'x' AS b, NULL AS c");
  assert.deepEqual(row, { a: 1, b: 'x', c: null });
  assert.equal(Object.getPrototypeOf(row), Object.prototype);
  assert.equal(connection.get('SELECT 1 WHERE 0'), undefined);
  assert.deepEqual(connection.all('SELECT 1 WHERE 0'), []);
  assert.deepEqual(connection.all('SELECT 1 AS a UNION ALL SELECT 2'), [{ a: 1 }, { a: 2 }]);
});

test('column names of any kind are properties of the row', (t) => {
  const connection = open(t);
  const row = connection.get(
    'SELECT 1 AS "__proto__", 2 AS "1", 3 AS "", 4 AS constructor, 5 AS "a b", 6 AS d, 7 AS d',
  );
  assert.deepEqual(Object.keys(row), ['1', '__proto__', '', 'constructor', 'a b', 'd']);
  assert.equal(Object.getOwnPropertyDescriptor(row, '__proto__').value, 1);
  assert.equal(Object.getPrototypeOf(row), Object.prototype);
  assert.equal(row.d, 7);
});

test('every storable value comes back as it went in', (t) => {
  const connection = open(t);
  const bytes = new Uint8Array([0, 255, 7]);
  for (const [given, read] of [
    [null, null],
    [undefined, null],
    ['', ''],
    ['Größe 🎉 \u0000 end', 'Größe 🎉 \u0000 end'],
    ['\ufffd', '\ufffd'],
    [0, 0],
    [-1, -1],
    [1.5, 1.5],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [-(2 ** 53 - 1), -(2 ** 53 - 1)],
    [2 ** 53, 2 ** 53],
    [1e300, 1e300],
    [Infinity, Infinity],
    [-Infinity, -Infinity],
    [-0, 0],
    [7n, 7],
    [-7n, -7],
    [bytes, Buffer.from(bytes)],
    [Buffer.from(bytes), Buffer.from(bytes)],
    [new Uint8Array(0), Buffer.alloc(0)],
    [bytes.subarray(1, 2), Buffer.from([255])],
  ]) {
    assert.deepEqual(connection.get('SELECT ? AS v', [given]).v, read, String(given));
  }
  assert.equal(connection.get('SELECT typeof(?) AS v', [3]).v, 'integer');
  assert.equal(connection.get('SELECT 5 / ? AS v', [2]).v, 2);
  assert.equal(connection.get('SELECT CAST(? AS TEXT) AS v', [2n ** 62n]).v, '4611686018427387904');
});

test('what cannot be stored or read exactly is refused', (t) => {
  const connection = open(t);
  for (const value of [
    NaN,
    true,
    Symbol('s'),
    () => {},
    {},
    [],
    new Date(),
    new Float64Array(1),
    2n ** 63n,
    '\ud800',
  ]) {
    assert.throws(
      () => connection.get('SELECT ? AS v', [value]),
      (error) => {
        assert.equal(error.code, 'DB_INVALID_ARGUMENT');
        assert.match(error.message, /^get: params\[0\] /);
        return true;
      },
    );
  }
  for (const sql of ['SELECT 9007199254740992 AS big', 'SELECT -9007199254740993 AS big']) {
    assert.throws(() => connection.get(sql), { code: 'DB_INTEGER_RANGE', message: /column big/ });
  }
  assert.throws(() => connection.all("SELECT CAST(x'ff' AS TEXT) AS broken"), {
    code: 'DB_INVALID_DATA',
    message: /column broken/,
  });
  connection.run('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  assert.throws(() => connection.run('INSERT INTO t VALUES (9007199254740993)'), { code: 'DB_INTEGER_RANGE' });
});

test('parameters by position and by name', (t) => {
  const connection = open(t);
  assert.deepEqual(connection.get('SELECT ? AS a, ? AS b', [1, 'x']), { a: 1, b: 'x' });
  assert.deepEqual(connection.get('SELECT ?2 AS a, ?1 AS b', [1, 2]), { a: 2, b: 1 });
  assert.deepEqual(connection.get('SELECT :a AS a, @b AS b, $c AS c, :a AS d', { a: 1, b: 2, c: 3, unused: 4 }), {
    a: 1,
    b: 2,
    c: 3,
    d: 1,
  });
  assert.deepEqual(connection.get('SELECT :a AS a, :b AS b', [1, 2]), { a: 1, b: 2 });
  for (const [sql, params, message] of [
    ['SELECT ?', undefined, /params holds 0 value\(s\), but the statement takes 1/],
    ['SELECT ?', [], /holds 0/],
    ['SELECT ?', [1, 2], /holds 2/],
    ['SELECT 1', [1], /takes 0/],
    ['SELECT :a', { b: 1 }, /params\.a is missing/],
    ['SELECT ?', { a: 1 }, /without a name/],
    ['SELECT ?', 'x', /params must be an array or an object, not a string/],
    ['SELECT ?', 7, /not a number/],
  ]) {
    assert.throws(() => connection.get(sql, params), { code: 'DB_INVALID_ARGUMENT', message });
  }
  assert.equal(connection.get('SELECT :a AS a', { a: undefined }).a, null);
});

test('one statement at a time, and no NUL in it', (t) => {
  const connection = open(t);
  assert.throws(() => connection.run('SELECT 1; SELECT 2'), { code: 'DB_INVALID_ARGUMENT', operation: 'run' });
  assert.throws(() => connection.run('  -- nothing'), { code: 'DB_INVALID_ARGUMENT' });
  assert.throws(() => connection.run('SELECT 1 \u0000 ; DROP TABLE t'), { message: /NUL/ });
  assert.deepEqual(connection.get('SELECT 1 AS a; -- done'), { a: 1 });
});

test('errors hold neither SQL texts nor values', (t) => {
  const connection = open(t);
  connection.run('CREATE TABLE t (x UNIQUE)');
  connection.run("INSERT INTO t VALUES ('secret-value')");
  for (const call of [
    () => connection.run('INSERT INTO t VALUES (?)', ['secret-value']),
    () => connection.run("INSERT INTO absent VALUES ('secret-value')"),
    () => connection.run("SELECT 'secret-value"),
    () => connection.run("SELECT 'secret-value' FORM t"),
    () => connection.run('SELECT "secret-value" FROM t WHERE'),
  ]) {
    assert.throws(call, (error) => {
      assert.ok(error instanceof DatabaseError);
      assert.match(error.code, /^SQLITE_/);
      assert.ok(
        !JSON.stringify([error.message, String(error.cause), error.stack]).includes('secret-value'),
        error.message,
      );
      return true;
    });
  }
});

test('a prepared statement is used again and again until it is finalized', (t) => {
  const connection = open(t);
  connection.run('CREATE TABLE t (x)');
  const insert = connection.prepare('INSERT INTO t VALUES (?)');
  for (let n = 0; n < 3; n += 1) assert.equal(insert.run([n]).changes, 1);
  const select = connection.prepare('SELECT x FROM t WHERE x >= :from ORDER BY x');
  assert.deepEqual(select.all({ from: 1 }), [{ x: 1 }, { x: 2 }]);
  assert.deepEqual(select.get({ from: 2 }), { x: 2 });
  select.finalize();
  select.finalize();
  assert.throws(() => select.get({ from: 1 }), { code: 'DB_STATEMENT_FINALIZED', operation: 'get' });
  assert.throws(() => connection.prepare('SELEC 1'), { code: 'SQLITE_ERROR', operation: 'prepare' });
});

test('a statement follows a change of the schema', (t) => {
  const connection = open(t);
  connection.run('CREATE TABLE t (a)');
  connection.run('INSERT INTO t VALUES (1)');
  const select = connection.prepare('SELECT * FROM t');
  assert.deepEqual(select.all(), [{ a: 1 }]);
  connection.run('ALTER TABLE t ADD COLUMN b DEFAULT 2');
  assert.deepEqual(select.all(), [{ a: 1, b: 2 }]);
});

test('transactions keep, undo and nest', (t) => {
  const connection = open(t);
  connection.run('CREATE TABLE t (x)');
  const insert = (x) => connection.run('INSERT INTO t VALUES (?)', [x]);
  assert.equal(
    connection.transaction(() => {
      insert(1);
      assert.throws(
        () =>
          connection.transaction(() => {
            insert(2);
            throw new Error('inner');
          }),
        { message: 'inner' },
      );
      connection.transaction(() => insert(3));
      return 'value';
    }),
    'value',
  );
  assert.throws(
    () =>
      connection.transaction(() => {
        insert(4);
        throw new Error('outer');
      }),
    { message: 'outer' },
  );
  assert.deepEqual(connection.all('SELECT x FROM t'), [{ x: 1 }, { x: 3 }]);
  assert.equal(connection.getDatabase().inTransaction, false);
});

test('an asynchronous function is refused, before it runs where that can be known', (t) => {
  const connection = open(t);
  connection.run('CREATE TABLE t (x)');
  let ran = false;
  assert.throws(
    () =>
      connection.transaction(async () => {
        ran = true;
      }),
    { code: 'DB_TRANSACTION_STATE' },
  );
  assert.equal(ran, false);
  assert.throws(
    () =>
      connection.transaction(() => {
        connection.run('INSERT INTO t VALUES (1)');
        return Promise.reject(new Error('never seen'));
      }),
    { code: 'DB_TRANSACTION_STATE' },
  );
  assert.deepEqual(connection.all('SELECT x FROM t'), []);
});

test('a transaction that the function itself ended is not ended again', (t) => {
  const connection = open(t);
  connection.run('CREATE TABLE t (x)');
  assert.throws(
    () =>
      connection.transaction(() => {
        connection.run('INSERT INTO t VALUES (1)');
        connection.run('ROLLBACK');
      }),
    { code: 'DB_TRANSACTION_STATE' },
  );
  assert.throws(
    () =>
      connection.transaction(() => {
        connection.run('ROLLBACK');
        throw new Error('own');
      }),
    { message: 'own' },
  );
});

test('closing is idempotent; what comes after says so', (t) => {
  const connection = open(t);
  const statement = connection.prepare('SELECT 1');
  connection.close();
  connection.close();
  for (const call of [
    () => connection.run('SELECT 1'),
    () => connection.get('SELECT 1'),
    () => connection.all('SELECT 1'),
    () => connection.prepare('SELECT 1'),
    () => connection.transaction(() => {}),
    () => statement.get(),
  ]) {
    assert.throws(call, { name: 'DatabaseError', code: 'DB_CLOSED' });
  }
});

test('closing inside a transaction undoes it and harms nothing', (t) => {
  const connection = open(t);
  assert.throws(
    () =>
      connection.transaction(() => {
        connection.close();
      }),
    { code: 'DB_CLOSED' },
  );
  const second = open(t);
  assert.throws(
    () =>
      second.get('SELECT :a', {
        get a() {
          second.close();
          return 1;
        },
      }),
    { code: 'DB_CLOSED' },
  );
});
