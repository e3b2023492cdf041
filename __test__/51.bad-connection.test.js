'use strict';

/**
 * The synchronous classes against hostile values and hostile timing: SqliteConnection,
 * PreparedStatement, the driver object. What a getter or a proxy of the caller's does while it
 * is read (closing, writing, finalizing) must never reach a statement that is in use.
 */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { SqliteConnection, createConnection } = require('../index.js');
const { makeFolder, makeRandom } = require('./support/ledger.js');
const { CANARY, LONE_SURROGATE, STRANGERS, assertThrows } = require('./support/hostile.js');

const BAD_SQL = {
  ...STRANGERS,
  undefined: undefined,
  null: null,
  'a number': 1,
  NaN: NaN,
  'a lone surrogate': `SELECT '${LONE_SURROGATE}'`,
  NUL: `SELECT 1; --\0${CANARY}`,
  'an empty text': '',
  'a space': ' ',
  'a comment': `-- ${CANARY}`,
  'two statements': `SELECT 1; SELECT '${CANARY}'`,
};

const BAD_VALUES = {
  NaN: NaN,
  'a bigint beyond 64 bits': 2n ** 63n,
  true: true,
  'a symbol': Symbol(CANARY),
  'a function': () => CANARY,
  'an object': { secret: CANARY, toString: () => CANARY },
  'an array': [CANARY],
  'a date': new Date(0),
  'a boxed string': Object(CANARY),
  'other bytes': new Uint16Array(2),
  'a data view': new DataView(new ArrayBuffer(4)),
  'a buffer without view': new ArrayBuffer(4),
  'a proxy of bytes': new Proxy(new Uint8Array(2), {}),
  'a lone surrogate': LONE_SURROGATE,
};

const GOOD_VALUES = {
  undefined: [undefined, null],
  null: [null, null],
  '-0': [-0, 0],
  'an infinity': [Infinity, Infinity],
  '2^53': [2 ** 53, 2 ** 53],
  'a fraction': [1.5, 1.5],
  'a bigint': [-5n, -5],
  'an empty text': ['', ''],
  'a text with NUL': ['a\0b', 'a\0b'],
  'a replacement character': ['\ufffd', '\ufffd'],
  'a megabyte': ['m'.repeat(1_048_576), 'm'.repeat(1_048_576)],
  'no bytes': [new Uint8Array(0), Buffer.alloc(0)],
  bytes: [new Uint8Array([1, 2]), Buffer.from([1, 2])],
};

const BAD_PARAMS = {
  'a number': 1,
  'a text': CANARY,
  true: true,
  'a bigint': 1n,
  'a symbol': Symbol(CANARY),
  'a function': () => CANARY,
  nothing: undefined,
  null: null,
  'too few': [],
  'too many': [CANARY, CANARY],
  'names for positions': { x: CANARY },
  bytes: Buffer.from(CANARY),
};

/** A connection with one table of one row. */
function open(t, config = { path: ':memory:' }) {
  const connection = createConnection(config);
  t.after(() => connection.close());
  connection.run('CREATE TABLE t (id INTEGER PRIMARY KEY, x)');
  connection.run('INSERT INTO t VALUES (1, ?)', [CANARY]);
  return connection;
}

function dump(connection) {
  return JSON.stringify(connection.all('SELECT * FROM t ORDER BY id'));
}

/** The ways to run SQL with parameters, each under the name that its errors carry. */
const WAYS = [
  ['run', (c, sql, params) => c.run(sql, params)],
  ['get', (c, sql, params) => c.get(sql, params)],
  ['all', (c, sql, params) => c.all(sql, params)],
  ['run', (c, sql, params) => c.prepare(sql).run(params)],
  ['get', (c, sql, params) => c.prepare(sql).get(params)],
  ['all', (c, sql, params) => c.prepare(sql).all(params)],
];

test('hostile SQL is refused, whichever way it comes', (t) => {
  const connection = open(t);
  const driver = connection.getDatabase();
  const before = dump(connection);
  for (const [label, sql] of Object.entries(BAD_SQL)) {
    const expected = { code: 'DB_INVALID_ARGUMENT', field: 'sql', label };
    for (const operation of ['run', 'get', 'all', 'prepare']) {
      assertThrows(() => connection[operation](sql), { ...expected, operation });
    }
    assertThrows(() => driver.prepare(sql), { ...expected, operation: 'prepare' });
    if (typeof sql !== 'string' || /[\0\ud800]/.test(sql)) {
      assertThrows(() => driver.exec(sql), { ...expected, operation: 'exec' });
    }
    assert.equal(dump(connection), before, label);
  }
  for (const [label, source] of Object.entries({ ...STRANGERS, undefined: undefined, NUL: 'user_version\0' })) {
    assertThrows(() => driver.pragma(source), { operation: 'pragma', code: 'DB_INVALID_ARGUMENT', label });
  }
  assertThrows(() => driver.pragma('user_version; DROP TABLE t'), { operation: 'pragma', label: 'two pragmas' });
  assert.equal(dump(connection), before);
});

test('hostile parameters are refused by position or name; unusual ones are stored as they are', (t) => {
  const connection = open(t);
  const before = dump(connection);
  const insert = 'INSERT INTO t (x) VALUES (?)';
  const named = 'INSERT INTO t (x) VALUES (:value)';
  for (const [operation, call] of WAYS) {
    const expected = { code: 'DB_INVALID_ARGUMENT', operation };
    for (const [label, value] of Object.entries(BAD_VALUES)) {
      assertThrows(() => call(connection, insert, [value]), { ...expected, field: 'params[0]', label });
      assertThrows(() => call(connection, named, { value }), { ...expected, field: 'params.value', label });
    }
    for (const [label, params] of Object.entries(BAD_PARAMS)) {
      assertThrows(() => call(connection, insert, params), { ...expected, field: 'params', label });
    }
    for (const [label, params] of Object.entries({ 'no key': {}, 'another key': { Value: CANARY } })) {
      assertThrows(() => call(connection, named, params), { ...expected, field: 'params.value', label });
    }
    assert.equal(dump(connection), before, 'nothing was written');
    assert.equal(call(connection, 'SELECT ? AS x', [7]) === undefined, false, 'it is still usable');
  }
  for (const [label, [given, stored]] of Object.entries(GOOD_VALUES)) {
    assert.deepEqual(connection.get('SELECT ? AS x', [given]).x, stored, label);
    assert.deepEqual(connection.get('SELECT :x AS x', { x: given, another: CANARY }).x, stored, label);
    assert.deepEqual(connection.getDatabase().prepare('SELECT ? AS x').get(given).x, stored, label);
  }
  const bare = Object.assign(Object.create(null), { x: 'kept' });
  assert.equal(connection.get('SELECT @x AS x', bare).x, 'kept');
  assert.equal(connection.get('SELECT $x AS x', new Proxy({ x: 'kept' }, {})).x, 'kept');
});

test('no error repeats a bound value or a literal of the SQL', async (t) => {
  const texts = {
    'a path in JSON': ["SELECT json_extract('{}', ?)", [CANARY]],
    'a path to set in JSON': ["SELECT json_set('{}', ?, 1)", [CANARY.repeat(5)]],
    'a path of a table function': ["SELECT * FROM json_each('{}', ?)", [CANARY]],
    'no JSON': ['SELECT json(?)', [`{${CANARY}`]],
    'a database to attach': ['ATTACH ? AS other', [`/none/${CANARY}`]],
    'a search': ['SELECT * FROM words WHERE words MATCH ?', [`"${CANARY}`]],
    'a literal out of place': [`INSERT INTO t VALUES (2, 3) '${CANARY}'`],
    'a literal behind a literal': [`SELECT 1 'a' '${CANARY}'`],
    'a literal in the wrong quotes': [`SELECT * FROM t WHERE x = "${CANARY}"`],
    'an unfinished literal': [`SELECT '${CANARY}`],
    'a column of an unsafe integer': [`SELECT 9007199254740993 + 0 * length('${CANARY}')`],
    'a column of broken text': [`SELECT CAST(x'ff' AS TEXT) || '${CANARY}'`],
    'a value that exists': ['INSERT INTO t VALUES (1, ?)', [CANARY]],
    'a check': ['INSERT INTO checked VALUES (?)', [CANARY]],
    'a number of parameters': [`SELECT '${CANARY}', ?`, []],
  };
  const connection = open(t);
  connection.run('CREATE TABLE checked (x CHECK (length(x) > 1000))');
  connection.run('CREATE VIRTUAL TABLE words USING fts5 (word)');
  const before = dump(connection);
  for (const [label, [sql, params]] of Object.entries(texts)) {
    await t.test(label, () => {
      assertThrows(() => connection.all(sql, params), { label, operation: 'all' });
      assert.equal(dump(connection), before);
    });
  }
});

test('a refused call has changed nothing, and the next ones work', (t) => {
  const connection = open(t);
  assertThrows(() => connection.get('INSERT INTO t (x) VALUES (9007199254740993) RETURNING x'), { operation: 'get' });
  assertThrows(() => connection.all('INSERT INTO t (x) VALUES (1) RETURNING 9007199254740993'), { operation: 'all' });
  const { n } = connection.get('SELECT count(*) AS n FROM t');
  assert.equal(n, 1, 'what could not be read back was not written either');
});

test('a row id that is no safe integer does not spoil the calls after it', (t) => {
  const connection = open(t);
  try {
    connection.run('INSERT INTO t VALUES (9223372036854775806, 1)');
  } catch (error) {
    assert.equal(error.code, 'DB_INTEGER_RANGE');
  }
  assert.equal(connection.run('UPDATE t SET x = 2 WHERE id = 1').changes, 1);
  assert.equal(connection.run('DELETE FROM t WHERE id = 1').changes, 1);
  connection.run('CREATE TABLE another (x)');
});

test("a caller's own exception comes through unchanged", (t) => {
  const connection = open(t);
  const driver = connection.getDatabase();
  const before = dump(connection);
  for (const thrown of [new RangeError('mine'), 'a string', undefined, null, 0, Symbol('mine')]) {
    const raise = () => {
      throw thrown;
    };
    const list = Object.defineProperty([1], 0, { get: raise });
    const record = Object.defineProperty({}, 'x', { get: raise });
    const calls = [
      () => connection.run('INSERT INTO t (x) VALUES (?)', list),
      () => connection.get('SELECT ?', list),
      () => connection.prepare('SELECT :x').all(record),
      () => connection.run('INSERT INTO t (x) VALUES (:x)', new Proxy({}, { get: raise })),
      () => connection.get('SELECT :x', new Proxy({}, { has: raise })),
      () => driver.prepare('SELECT :x').get(record),
      () => new SqliteConnection(Object.defineProperty({}, 'path', { get: raise, enumerable: true })),
      () => createConnection(new Proxy({}, { ownKeys: raise })),
      () =>
        connection.transaction(() => {
          connection.run('INSERT INTO t (x) VALUES (2)');
          return raise();
        }),
      () =>
        connection.transaction(() => {
          connection.run('INSERT INTO t (x) VALUES (2)');
          connection.transaction(raise);
        }),
      () => connection.transaction(() => Object.defineProperty({}, 'then', { get: raise })),
      () => driver.transaction(raise)(),
    ];
    for (const call of calls) {
      let outcome = 'accepted';
      try {
        call();
      } catch (error) {
        outcome = { error };
      }
      assert.notEqual(outcome, 'accepted', String(call));
      assert.equal(outcome.error, thrown, String(call));
      assert.equal(dump(connection), before);
      assert.equal(driver.inTransaction, false, String(call));
    }
  }
});

test('no function is no transaction', (t) => {
  const connection = open(t);
  const driver = connection.getDatabase();
  for (const [label, value] of Object.entries({ ...STRANGERS, undefined: undefined, null: null, text: CANARY })) {
    if (typeof value === 'function') continue;
    const expected = { label, code: 'DB_INVALID_ARGUMENT', operation: 'transaction', field: 'fn' };
    assertThrows(() => connection.transaction(value), expected);
    assertThrows(() => driver.transaction(value), expected);
  }
  const asynchronous = [async () => {}, () => Promise.resolve(1), () => Promise.reject(new Error('made up'))];
  for (const run of asynchronous) {
    assertThrows(() => connection.transaction(run), { code: 'DB_TRANSACTION_STATE', operation: 'transaction' });
    assert.equal(driver.inTransaction, false);
  }
});

test('closing while parameters are read ends in an error, at every place', (t) => {
  const traps = (act) => ({
    'a getter': Object.defineProperty({}, 'x', { get: act, enumerable: true }),
    "a proxy's get": new Proxy({}, { get: act }),
    "a proxy's has": new Proxy({}, { get: () => undefined, has: act }),
    'a getter of an array': Object.defineProperty([0], 0, { get: act }),
  });
  for (const label of Object.keys(traps(() => {}))) {
    for (const [operation, call] of WAYS) {
      const connection = open(t);
      const params = traps(() => {
        connection.close();
        return CANARY;
      })[label];
      const sql = Array.isArray(params) ? 'INSERT INTO t (x) VALUES (?)' : 'INSERT INTO t (x) VALUES (:x)';
      assertThrows(() => call(connection, sql, params), { code: 'DB_CLOSED', operation, label });
      connection.close();
    }
  }
});

test('writing while parameters are read is a call of its own', (t) => {
  const connection = open(t);
  const statement = connection.prepare('INSERT INTO t (x) VALUES (:x)');
  let depth = 0;
  const params = {
    get x() {
      depth += 1;
      if (depth < 50) statement.run(params);
      return depth;
    },
  };
  statement.run(params);
  assert.equal(connection.get('SELECT count(*) AS n FROM t').n, 51);
  const dropping = {
    get x() {
      connection.run('DROP TABLE t');
      return 1;
    },
  };
  assertThrows(() => statement.run(dropping), { code: 'SQLITE_ERROR', operation: 'run', label: 'its table is gone' });
  const finalizing = {
    get x() {
      later.finalize();
      return 'kept';
    },
  };
  const later = connection.prepare('SELECT :x AS x');
  assert.equal(later.get(finalizing).x, 'kept', 'the call that had begun ends');
  assertThrows(() => later.get({ x: 1 }), { code: 'DB_STATEMENT_FINALIZED', operation: 'get' });
  const endless = Object.defineProperty({}, 'x', { get: () => connection.get('SELECT :x', endless) });
  assert.throws(() => connection.get('SELECT :x', endless), RangeError, 'the end of the stack is no crash');
  assert.equal(connection.get('SELECT 1 AS x').x, 1);
});

test('closing inside a transaction, nested too, harms nothing', (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const connection = open(t, { path: file });
  const nested = () =>
    connection.transaction(() => {
      connection.run('INSERT INTO t (x) VALUES (2)');
      connection.close();
    });
  assertThrows(() => connection.transaction(nested), { code: 'DB_CLOSED', operation: 'transaction' });
  const again = createConnection({ path: file });
  t.after(() => again.close());
  assert.equal(again.get('SELECT count(*) AS n FROM t').n, 1);
});

test('after closing, every call says so; closing and finalizing twice is harmless', (t) => {
  const connection = open(t);
  const statement = connection.prepare('SELECT 1');
  const driver = connection.getDatabase();
  const prepared = driver.prepare('SELECT 1');
  const wrapped = driver.transaction(() => {});
  connection.close();
  connection.close();
  driver.close();
  const calls = {
    run: [() => connection.run('SELECT 1'), () => statement.run(), () => prepared.run()],
    get: [() => connection.get('SELECT 1'), () => statement.get(), () => prepared.get()],
    all: [() => connection.all('SELECT 1'), () => statement.all(), () => prepared.all()],
    prepare: [() => connection.prepare('SELECT 1'), () => driver.prepare('SELECT 1')],
    transaction: [() => connection.transaction(() => {}), wrapped, wrapped.immediate],
    exec: [() => driver.exec('SELECT 1')],
    pragma: [() => driver.pragma('user_version')],
  };
  for (const [operation, list] of Object.entries(calls)) {
    for (const call of list) assertThrows(call, { code: 'DB_CLOSED', operation, label: operation });
  }
  assert.deepEqual([driver.open, driver.inTransaction], [false, false]);
  statement.finalize();
  statement.finalize();
  for (const operation of ['run', 'get', 'all']) {
    assertThrows(() => statement[operation](), { code: 'DB_STATEMENT_FINALIZED', operation });
  }
});

test('calls in random order never crash and never break the connection', (t) => {
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const values = [...Object.values(BAD_VALUES), ...Object.values(GOOD_VALUES).map(([given]) => given)];
  const texts = [...Object.values(BAD_SQL), 'SELECT ?', 'INSERT INTO t (x) VALUES (?)', 'SELECT :x', 'DELETE FROM t'];
  let connection = open(t);
  let statement = connection.prepare('SELECT ? AS x');
  for (let step = 0; step < 3000; step += 1) {
    const params = pick([[pick(values)], { x: pick(values) }, pick(values), [], undefined]);
    const act = pick([
      () => connection.run(pick(texts), params),
      () => connection.all(pick(texts), params),
      () => statement.get(params),
      () => connection.transaction(() => connection.run('INSERT INTO t (x) VALUES (?)', params)),
      () => connection.getDatabase().prepare(pick(texts)).all(params),
      () => random() < 0.05 && statement.finalize(),
      () => random() < 0.05 && connection.close(),
    ]);
    try {
      act();
    } catch (error) {
      assert.ok(/^(DB_(?!INTERNAL)|SQLITE_)/.test(error.code), `seed ${seed}, step ${step}: ${error.stack}`);
    }
    if (!connection.getDatabase().open) connection = open(t);
    assert.equal(connection.getDatabase().inTransaction, false, `seed ${seed}, step ${step}`);
    if (random() < 0.05) statement = connection.prepare('SELECT ? AS x');
  }
});
