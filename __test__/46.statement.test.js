'use strict';

/** Prepared statements: their bounded cache, iterators, many rows at once, disposal. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { createConnection } = require('../index.js');
const { CANARY, LONE_SURROGATE, assertThrows } = require('./support/hostile.js');
const { makeFolder, newFileHash, openLedger } = require('./support/ledger.js');

const COUNT = 5000;

/** A connection with a table of numbers, and texts that fill many chunks. */
function open(t, config = { path: ':memory:' }) {
  const connection = createConnection(config);
  t.after(() => connection.close());
  connection.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, x)');
  connection.run(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${COUNT})
     INSERT INTO t SELECT i, 'some text of row number ' || i FROM n`,
  );
  return connection;
}

function runScript(script, args, flags = []) {
  const index = require.resolve('../index.js');
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', script, index, ...args], {
    encoding: 'utf8',
  });
  return stdout.trim() || stderr;
}

test('more statements than are kept stay usable, each with its own columns', (t) => {
  const connection = open(t);
  const statements = Array.from({ length: 200 }, (_, n) => connection.prepare(`SELECT ? + ${n} AS c${n}`));
  for (let round = 0; round < 3; round += 1) {
    statements.forEach((statement, n) => {
      assert.deepEqual(statement.get([1]), { [`c${n}`]: n + 1 });
      assert.deepEqual(connection.all(`SELECT ? + ${n} AS c${n}`, [2]), [{ [`c${n}`]: n + 2 }]);
      assert.deepEqual([...statement.iterate([3])], [{ [`c${n}`]: n + 3 }]);
    });
  }
  const inserts = Array.from({ length: 100 }, (_, n) => connection.prepare(`INSERT INTO t (x) VALUES (? || '${n}')`));
  for (const insert of [...inserts, ...inserts]) assert.equal(insert.runMany([['a'], ['b']]).changes, 2);
});

test('a statement that has to go was asked for its parameters once', (t) => {
  const connection = open(t);
  const statement = connection.prepare('SELECT :a AS a');
  let reads = 0;
  const params = {
    get a() {
      reads += 1;
      for (let n = 0; n < 100; n += 1) connection.get(`SELECT ${n}`);
      return reads;
    },
  };
  assert.deepEqual(statement.get(params), { a: 1 });
  assert.deepEqual(statement.all(params), [{ a: 2 }]);
});

test('many parameters, and one that is a list', (t) => {
  const connection = open(t);
  for (const count of [1, 2, 8, 31, 32, 33, 34, 100, 1000]) {
    const values = Array.from({ length: count }, (_, n) => (n % 2 ? n : `text ${n}`));
    const sql = `SELECT ${values.map((_, n) => `? AS c${n}`).join(', ')}`;
    assert.deepEqual(Object.values(connection.get(sql, values)), values);
    const bad = [...values];
    bad[count - 1] = [CANARY];
    assertThrows(() => connection.get(sql, bad), {
      code: 'DB_INVALID_ARGUMENT',
      operation: 'get',
      field: `params[${count - 1}]`,
    });
  }
});

test('texts of every length are bound whole', (t) => {
  const connection = open(t);
  for (const unit of ['a', 'é', '€', '🎉']) {
    for (let length = 0; length < 300; length += 1) {
      const text = unit.repeat(length);
      const { n, back } = connection.get('SELECT length(?1) AS n, ?1 AS back', [text]);
      assert.equal(back, text);
      assert.equal(n, length);
    }
  }
});

test('an iterator gives all rows, and ends as it should', (t) => {
  const connection = open(t);
  const statement = connection.prepare('SELECT id, x FROM t WHERE id >= ? ORDER BY id');
  const expected = statement.all([1]);
  assert.deepEqual([...statement.iterate([1])], expected);
  const iterator = statement.iterate([COUNT]);
  assert.equal(iterator[Symbol.iterator](), iterator);
  assert.deepEqual(iterator.next(), { value: { id: COUNT, x: expected[COUNT - 1].x }, done: false });
  assert.deepEqual(iterator.next(), { value: undefined, done: true });
  assert.deepEqual(iterator.next(), { value: undefined, done: true });
  const left = statement.iterate([1]);
  left.next();
  assert.deepEqual(left.return('value'), { value: 'value', done: true });
  assert.deepEqual(left.next(), { value: undefined, done: true });
  assertThrows(() => statement.iterate([]), { code: 'DB_INVALID_ARGUMENT', operation: 'iterate', field: 'params' });
  assertThrows(() => statement.iterate([true]), {
    code: 'DB_INVALID_ARGUMENT',
    operation: 'iterate',
    field: 'params[0]',
  });
});

test('iterators are many at a time, of one statement too, beside other reads', (t) => {
  const connection = open(t);
  const statement = connection.prepare('SELECT id FROM t WHERE id > ? ORDER BY id');
  const [one, two] = [statement.iterate([0]), statement.iterate([10])];
  for (let n = 1; n < 3000; n += 1) {
    assert.equal(one.next().value.id, n);
    assert.equal(two.next().value.id, n + 10);
    if (n % 500 === 0) {
      assert.equal(statement.get([n]).id, n + 1);
      assert.equal(statement.all([0]).length, COUNT);
    }
  }
  one.return();
  two.return();
});

test('a write while an iterator is open is refused, however few rows there are', (t) => {
  const connection = open(t);
  const db = connection.getDatabase();
  const writes = {
    run: [() => connection.run('DELETE FROM t'), () => connection.prepare('DELETE FROM t WHERE id = ?').run([1])],
    get: [() => connection.get('DELETE FROM t RETURNING id')],
    all: [() => connection.all('INSERT INTO t (x) VALUES (1) RETURNING id')],
    exec: [() => connection.exec('DROP TABLE t'), () => db.exec('DELETE FROM t')],
    pragma: [() => connection.pragma('user_version = 7')],
    runMany: [() => connection.prepare('DELETE FROM t WHERE id = ?').runMany([[1]])],
  };
  for (const sql of ['SELECT * FROM t', 'SELECT 1']) {
    for (const _ of connection.iterate(sql)) {
      for (const [operation, calls] of Object.entries(writes)) {
        for (const call of calls) assertThrows(call, { code: 'DB_ITERATOR_OPEN', operation });
      }
      assert.equal(connection.pragma('user_version', { simple: true }), 0);
      break;
    }
    const error = new Error('mine');
    assert.throws(() => {
      for (const _ of connection.iterate(sql)) throw error;
    }, error);
    assert.equal(connection.run('UPDATE t SET x = x WHERE id = 1').changes, 1, 'its end makes writes possible');
  }
  assert.equal(connection.get('SELECT count(*) AS n FROM t').n, COUNT);
});

test('a loop inside a transaction, and a transaction inside a loop', (t) => {
  const connection = open(t);
  const sum = connection.transaction(() => {
    let total = 0;
    for (const { id } of connection.iterate('SELECT id FROM t')) total += id;
    connection.run('INSERT INTO t (x) VALUES (?)', [total]);
    return total;
  });
  assert.equal(sum, (COUNT * (COUNT + 1)) / 2);
  assert.throws(
    () =>
      connection.transaction(() => {
        connection.run('DELETE FROM t');
        connection.iterate('SELECT 1 UNION ALL SELECT 2').next();
        throw new Error('made up');
      }),
    { message: 'made up' },
  );
  assert.equal(connection.get('SELECT count(*) AS n FROM t').n, COUNT + 1);
});

test('what writes is done before its rows are gone through', (t) => {
  const connection = open(t);
  const rows = connection.iterate('DELETE FROM t WHERE id <= 3000 RETURNING id');
  assert.equal(connection.get('SELECT count(*) AS n FROM t').n, COUNT - 3000);
  assert.equal([...rows].length, 3000);
  connection.run('DELETE FROM t');
});

test('closing under an iterator ends it with an error; finalizing lets it go on', (t) => {
  const connection = open(t);
  const statement = connection.prepare('SELECT id FROM t');
  const rows = statement.iterate();
  rows.next();
  statement.finalize();
  assert.throws(() => statement.iterate(), { code: 'DB_STATEMENT_FINALIZED', operation: 'iterate' });
  assert.throws(() => statement.runMany([]), { code: 'DB_STATEMENT_FINALIZED', operation: 'runMany' });
  for (let n = 0; n < 1000; n += 1) rows.next();
  connection.close();
  assertThrows(() => [...rows], { code: 'DB_CLOSED', operation: 'iterate' });
  assert.deepEqual(rows.next(), { value: undefined, done: true });
  assert.deepEqual(rows.return(), { value: undefined, done: true });
});

test('an iterator that nobody ends is collected, and its locks with it', (t) => {
  const script = `
    const [index, file] = process.argv.slice(1);
    const { createConnection } = require(index);
    const connection = createConnection({ path: file });
    const pause = () => new Promise((resolve) => setTimeout(resolve, 10));
    function abandon() {
      connection.iterate('SELECT * FROM t').next();
      connection.getDatabase().prepare('SELECT * FROM t').iterate().next();
    }
    (async () => {
      for (let round = 0; round < 20; round += 1) abandon();
      for (let round = 0; round < 100; round += 1) {
        gc();
        await pause();
        try {
          connection.run('DELETE FROM t');
          console.log(JSON.stringify(connection.pragma('wal_checkpoint(TRUNCATE)')));
          return;
        } catch (error) {
          if (error.code !== 'DB_ITERATOR_OPEN') throw error;
        }
      }
      console.log('held for ever');
    })();
  `;
  const file = path.join(makeFolder(t), 'a.db');
  open(t, { path: file });
  assert.equal(runScript(script, [file], ['--expose-gc']), '[{"busy":0,"log":0,"checkpointed":0}]');
});

test('an iterator that is ended early, or has read its last row, lets go of the log', (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const connection = open(t, { path: file });
  const other = createConnection({ path: file });
  t.after(() => other.close());
  const busy = () => other.pragma('wal_checkpoint(TRUNCATE)', { simple: true });
  const rows = connection.iterate('SELECT id FROM t');
  rows.next();
  other.pragma('busy_timeout = 0');
  other.run('INSERT INTO t (x) VALUES (1)');
  assert.equal(busy(), 1);
  rows.return();
  assert.equal(busy(), 0);
});

test('runMany takes arrays and objects, counts, and remembers the last row id', (t) => {
  const connection = open(t);
  const insert = connection.prepare('INSERT INTO t (x) VALUES (:x)');
  assert.deepEqual(insert.runMany([{ x: 'a', unused: 1 }, ['b'], { x: undefined }]), {
    changes: 3,
    lastInsertRowid: COUNT + 3,
  });
  const rows = Array.from({ length: 3001 }, (_, n) => [n % 2 ? `é ${n}` : Buffer.from([n & 255])]);
  assert.deepEqual(insert.runMany(rows), { changes: 3001, lastInsertRowid: COUNT + 3004 });
  const back = connection.all('SELECT x FROM t WHERE id > ? ORDER BY id', [COUNT + 3]);
  assert.deepEqual(
    back.map(({ x }) => [x]),
    rows,
  );
  assert.equal(insert.runMany([]).changes, 0);
  assert.equal(insert.runMany(new Set([['from a set']])).changes, 1);
  assert.equal(connection.prepare('UPDATE t SET x = 1 WHERE id <= ?').runMany([[10], [20], [-1]]).changes, 30);
  assert.equal(connection.prepare('INSERT INTO t DEFAULT VALUES').runMany([[], {}, []]).changes, 3);
  connection.transaction(() => assert.equal(insert.runMany([['nested']]).changes, 1));
});

test('runMany is all or nothing, and names the row and the field', (t) => {
  const connection = open(t);
  connection.exec('CREATE TABLE u (a TEXT UNIQUE, b NOT NULL)');
  const insert = connection.prepare('INSERT INTO u VALUES (:a, :b)');
  const good = Array.from({ length: 700 }, (_, n) => ({ a: `${n}`, b: n }));
  const bad = {
    'rows[700].b': { a: 'x', b: NaN },
    'rows[700].a': { a: LONE_SURROGATE, b: 1 },
    'rows[700]': 7,
  };
  for (const [field, row] of Object.entries(bad)) {
    assertThrows(() => insert.runMany([...good, row, ...good]), {
      code: 'DB_INVALID_ARGUMENT',
      operation: 'runMany',
      field,
    });
    assert.equal(connection.get('SELECT count(*) AS n FROM u').n, 0);
  }
  assertThrows(
    () =>
      insert.runMany([
        ['a', 1],
        ['b', true],
      ]),
    {
      code: 'DB_INVALID_ARGUMENT',
      operation: 'runMany',
      field: 'rows[1][1]',
    },
  );
  for (const row of [['x'], { a: 'x' }, null, undefined, CANARY]) {
    assertThrows(() => insert.runMany([...good, row]), { code: 'DB_INVALID_ARGUMENT', operation: 'runMany' });
  }
  for (const rows of [undefined, null, 7, {}, () => {}]) {
    assertThrows(() => insert.runMany(rows), { code: 'DB_INVALID_ARGUMENT', operation: 'runMany', field: 'rows' });
  }
  assertThrows(() => insert.runMany([...good, good[3]]), { code: 'SQLITE_CONSTRAINT_UNIQUE', operation: 'runMany' });
  assertThrows(() => insert.runMany([...good, { a: 'x', b: null }]), {
    code: 'SQLITE_CONSTRAINT_NOTNULL',
    operation: 'runMany',
  });
  assert.equal(connection.get('SELECT count(*) AS n FROM u').n, 0);
  assert.equal(connection.getDatabase().inTransaction, false);
  assert.equal(insert.runMany(good).changes, 700);
});

test("runMany reads all rows before the first is written: a getter's own calls come before", (t) => {
  const connection = open(t);
  const insert = connection.prepare('INSERT INTO t (x) VALUES (:x)');
  const reading = {
    get x() {
      assert.equal(connection.getDatabase().inTransaction, false);
      insert.runMany([{ x: 'inner' }, { x: 'inner' }]);
      return 'outer';
    },
  };
  insert.runMany(Array.from({ length: 600 }, () => reading));
  assert.equal(connection.get("SELECT count(*) AS n FROM t WHERE x = 'inner'").n, 1200);
  const { x } = connection.get('SELECT x FROM t ORDER BY id DESC');
  assert.equal(x, 'outer');
  const error = new Error('mine');
  const throwing = Object.defineProperty({}, 'x', {
    get: () => {
      throw error;
    },
  });
  const filler = Array.from({ length: 600 }, () => ['x']);
  assert.throws(() => insert.runMany([...filler, throwing]), error);
  const closing = Object.defineProperty({}, 'x', { get: () => connection.close() });
  assertThrows(() => insert.runMany([...filler, closing]), { code: 'DB_CLOSED', operation: 'runMany' });
});

test('a statement is disposed of', { skip: Symbol.dispose === undefined }, (t) => {
  const statement = open(t).prepare('SELECT 1');
  statement[Symbol.dispose]();
  statement[Symbol.dispose]();
  assert.throws(() => statement.get(), { code: 'DB_STATEMENT_FINALIZED' });
});

test('preparing and running again and again keeps no memory', {
  skip: process.env.NODE_V8_COVERAGE !== undefined,
}, () => {
  const script = `
    const { createConnection } = require(process.argv[1]);
    const connection = createConnection({ path: ':memory:' });
    const work = (n) => {
      for (let i = 0; i < n; i += 1) {
        const statement = connection.prepare('SELECT ' + (i % 100) + ' AS a, ? AS b');
        statement.get([i]);
        statement.all(['text ' + i]);
      }
      gc();
      return process.memoryUsage().rss;
    };
    const sizes = Array.from({ length: 6 }, () => work(100_000));
    console.log(Math.min(...sizes.slice(1).map((size, index) => size - sizes[index])) / 1e6);
  `;
  // A leak grows in every round; V8's spaces and malloc's do so in some.
  const grown = Number(runScript(script, [], ['--expose-gc', '--max-semi-space-size=1']));
  assert.ok(grown < 0.5, `${grown} MB`);
});

test('bytes whose memory was handed away, or whose length is a lie, are packed as what they are', async (t) => {
  const connection = open(t);
  const detached = new Uint8Array([1, 2, 3]);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const lying = Object.defineProperty(new Uint8Array([1, 2, 3]), 'length', { value: 1e15 });
  const statement = connection.prepare('INSERT INTO t VALUES (?, ?)');
  statement.runMany([
    [-1, detached],
    [-2, lying],
    [-3, new Uint8Array(0)],
  ]);
  statement.run([-4, detached]);
  const rows = connection.all('SELECT id, hex(x) AS x FROM t WHERE id < 0 ORDER BY id DESC');
  assert.deepEqual(
    rows.map(({ x }) => x),
    ['', '010203', '', ''],
  );
  const db = await openLedger(t);
  const [outcome] = await db.addFileHashes([newFileHash('h', { upload_id: detached })]);
  assert.deepEqual([outcome.status, outcome.reason.code], ['rejected', 'DB_INVALID_ARGUMENT']);
});
