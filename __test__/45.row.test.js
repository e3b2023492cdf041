'use strict';

/** Rows on their way to JavaScript: every value and shape, in chunks, with and without compiled builders. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const test = require('node:test');
const { createConnection } = require('../index.js');
const { makeRandom, newError, newFileHash, newSession, openLedger } = require('./support/ledger.js');

/** More rows than it takes for a shape's builder to be compiled. */
const MANY = 200;

/** SQL that gives the same row `count` times. */
function repeat(columns, count = MANY) {
  return `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT ${columns} FROM n`;
}

function open(t) {
  const connection = createConnection({ path: ':memory:' });
  t.after(() => connection.close());
  return connection;
}

test('no rows, no columns, and every way to ask for them', (t) => {
  const connection = open(t);
  assert.deepEqual(connection.all('SELECT 1 AS a, 2 AS b WHERE 0'), []);
  assert.equal(connection.get('SELECT 1 AS a WHERE 0'), undefined);
  assert.deepEqual([...connection.iterate('SELECT 1 AS a WHERE 0')], []);
  assert.deepEqual(connection.all('CREATE TABLE t (x)'), []);
  assert.equal(connection.get('CREATE TABLE u (x)'), undefined);
  assert.deepEqual([...connection.iterate('CREATE TABLE v (x)')], []);
  assert.deepEqual(connection.all("SELECT name FROM sqlite_schema WHERE name IN ('t', 'u', 'v')").length, 3);
});

test('texts of any kind, side by side, come back as they are', (t) => {
  const connection = open(t);
  const texts = [
    '',
    'a',
    'ab\u0000cd',
    'Größe',
    '€uro',
    '🎉',
    '👨‍👩‍👧',
    '\ufffd',
    '\ufeff',
    'ÿ',
    '日本語のファイル名.jpg',
    'x'.repeat(13),
  ];
  const columns = texts.map((_, index) => `?${index + 1} AS c${index}`).join(', ');
  const expected = Object.fromEntries(texts.map((text, index) => [`c${index}`, text]));
  assert.deepEqual(connection.get(`SELECT ${columns}`, texts), expected);
  const rows = connection.all(repeat(columns), texts);
  assert.equal(rows.length, MANY);
  for (const row of rows) assert.deepEqual(row, expected);
});

test('numbers of every size, NULL and bytes', (t) => {
  const connection = open(t);
  const values = [
    0,
    1,
    -1,
    2147483639,
    2147483640,
    2147483647,
    2147483648,
    -2147483648,
    -2147483649,
    2 ** 53 - 1,
    -(2 ** 53 - 1),
    0.5,
    -1e300,
    5e-324,
    Infinity,
    -Infinity,
    null,
    Buffer.alloc(0),
    Buffer.from([0, 255]),
    Buffer.alloc(40_000, 7),
  ];
  const columns = values.map((_, index) => `?${index + 1} AS c${index}`).join(', ');
  const expected = Object.fromEntries(values.map((value, index) => [`c${index}`, value]));
  assert.deepEqual(connection.get(`SELECT ${columns}`, values), expected);
  for (const row of connection.all(repeat(columns, 70), values)) assert.deepEqual(row, expected);
  assert.ok(Object.is(connection.get('SELECT -0.0 AS zero').zero, -0));
});

test('bytes have memory of their own', (t) => {
  const connection = open(t);
  const rows = connection.all("SELECT x'0102' AS b UNION ALL SELECT x'0304'");
  assert.ok(Buffer.isBuffer(rows[0].b));
  assert.notEqual(rows[0].b.buffer, rows[1].b.buffer);
  assert.equal(rows[0].b.buffer.byteLength, 2);
  structuredClone(rows[0].b.buffer, { transfer: [rows[0].b.buffer] });
  assert.deepEqual([...rows[1].b], [3, 4]);
});

test('columns of any name are properties, before and after the builder is compiled', (t) => {
  const connection = open(t);
  const columns = `1 AS "__proto__", 2 AS "1", 3 AS "", 4 AS constructor, 5 AS "a'b""\u2028\\", 6 AS d, i AS d, 8 AS "x}"`;
  const rows = connection.all(repeat(columns));
  rows.push(...connection.all(repeat(columns)), connection.get(repeat(columns)));
  for (const row of rows) {
    assert.deepEqual(Object.keys(row), ['1', '__proto__', '', 'constructor', 'a\'b"\u2028\\', 'd', 'x}']);
    assert.equal(Object.getPrototypeOf(row), Object.prototype);
    assert.equal(Object.getOwnPropertyDescriptor(row, '__proto__').value, 1);
  }
  assert.deepEqual(
    rows.slice(0, MANY).map(({ d }) => d),
    Array.from({ length: MANY }, (_, index) => index + 1),
  );
});

test('as many columns as SQLite has', (t) => {
  const connection = open(t);
  const columns = Array.from({ length: 2000 }, (_, index) => `${index} + i AS c${index}`).join(', ');
  const rows = connection.all(repeat(columns, 70));
  assert.equal(Object.keys(rows[69]).length, 2000);
  assert.deepEqual([rows[0].c0, rows[69].c1999], [1, 2069]);
  assert.equal(connection.get(repeat(`${columns.replaceAll(' + i', " || ''")}`, 1)).c1999, '1999');
});

test('rows larger than a chunk, and chunks that end anywhere', (t) => {
  const connection = open(t);
  const big = 'ä'.repeat(1_000_000);
  assert.deepEqual(connection.get('SELECT ? AS a, ? AS b', [big, 'b']), { a: big, b: 'b' });
  const rows = connection.all(repeat("i AS i, replace(hex(zeroblob(i * 37)), '0', 'é') AS text", 300));
  rows.forEach((row, index) => {
    assert.deepEqual(row, { i: index + 1, text: 'é'.repeat(74 * (index + 1)) });
  });
});

test('texts that repeat from row to row are right, whatever is between them', (t) => {
  const connection = open(t);
  const columns = "CASE i / 3 % 4 WHEN 0 THEN 'same' WHEN 1 THEN NULL WHEN 2 THEN i ELSE '' END AS a, 'x' AS b";
  const expected = Array.from({ length: 20_000 }, (_, index) => {
    const i = index + 1;
    return { a: ['same', null, i, ''][Math.floor(i / 3) % 4], b: 'x' };
  });
  assert.deepEqual(connection.all(repeat(columns, 20_000)), expected);
  assert.deepEqual([...connection.iterate(repeat(columns, 20_000))], expected);
});

test('a change of the schema changes the rows of statements that are known already', (t) => {
  const connection = open(t);
  connection.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
  const sql = 'SELECT * FROM t';
  const [one, two] = [connection.prepare(sql), connection.prepare(sql)];
  const driver = connection.getDatabase().prepare(sql).raw();
  const ask = () => [one.get(), two.all()[0], connection.get(sql), [...one.iterate()][0], driver.get()];
  assert.deepEqual(ask(), [{ a: 1 }, { a: 1 }, { a: 1 }, { a: 1 }, [1]]);
  connection.exec("ALTER TABLE t ADD COLUMN b DEFAULT 'new'");
  const wide = { a: 1, b: 'new' };
  assert.deepEqual(ask(), [wide, wide, wide, wide, [1, 'new']]);
  connection.exec('ALTER TABLE t RENAME COLUMN a TO z');
  const renamed = { z: 1, b: 'new' };
  assert.deepEqual(ask(), [renamed, renamed, renamed, renamed, [1, 'new']]);
  connection.exec('ALTER TABLE t DROP COLUMN z');
  assert.deepEqual([...two.iterate()], [{ b: 'new' }]);
  assert.deepEqual(ask(), [{ b: 'new' }, { b: 'new' }, { b: 'new' }, { b: 'new' }, ['new']]);
});

test('a cell that cannot be read ends the call, not the connection', (t) => {
  const connection = open(t);
  const broken = repeat("CASE i WHEN 150 THEN CAST(x'ff' AS TEXT) ELSE hex(zeroblob(300)) END AS broken");
  assert.throws(() => connection.all(broken), { code: 'DB_INVALID_DATA', operation: 'all', message: /column broken/ });
  const iterator = connection.iterate(broken);
  assert.throws(() => [...iterator], { code: 'DB_INVALID_DATA', operation: 'iterate' });
  assert.deepEqual(iterator.next(), { value: undefined, done: true });
  connection.run('CREATE TABLE t (x)');
  assert.throws(() => connection.all(repeat('9007199254740991 + i')), { code: 'DB_INTEGER_RANGE' });
});

test('random rows come back as they went in', (t) => {
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const below = (limit) => Math.floor(random() * limit);
  const alphabets = ['ab', 'ab\u0000', 'aéÿ', 'a€語', 'a🎉é'].map((text) => [...text]);
  const makers = [
    () => null,
    () => below(10) - 5,
    () => (random() - 0.5) * 2 ** below(60),
    // Not -0, which is stored as the integer 0.
    () => Math.trunc((random() - 0.5) * 2 ** below(54)) + 0,
    () => Buffer.from(Array.from({ length: below(20) }, () => below(256))),
    () => {
      const alphabet = alphabets[below(alphabets.length)];
      return Array.from({ length: below(random() < 0.02 ? 9000 : 30) }, () => alphabet[below(alphabet.length)]).join(
        '',
      );
    },
  ];
  const connection = open(t);
  for (let round = 0; round < 40; round += 1) {
    const width = 1 + below(12);
    const names = Array.from({ length: width }, (_, index) => `c${index}`);
    const sample = Array.from({ length: 1 + below(5) }, () => makers[below(makers.length)]());
    const rows = Array.from({ length: below(400) }, () =>
      Object.fromEntries(
        names.map((name) => [name, random() < 0.5 ? sample[below(sample.length)] : makers[below(makers.length)]()]),
      ),
    );
    connection.exec(`DROP TABLE IF EXISTS t; CREATE TABLE t (${names.join(', ')})`);
    const insert = connection.prepare(`INSERT INTO t VALUES (${names.map((name) => `:${name}`).join(', ')})`);
    if (random() < 0.5) insert.runMany(rows);
    else for (const row of rows) insert.run(random() < 0.5 ? row : Object.values(row));
    const select = connection.prepare('SELECT * FROM t ORDER BY rowid');
    assert.deepEqual(select.all(), rows, `seed ${seed}, round ${round}`);
    assert.deepEqual([...select.iterate()], rows, `seed ${seed}, round ${round}`);
    assert.deepEqual(select.get(), rows[0], `seed ${seed}, round ${round}`);
    const driver = connection.getDatabase().prepare('SELECT * FROM t ORDER BY rowid');
    assert.deepEqual(driver.raw().all(), rows.map(Object.values), `seed ${seed}, round ${round}`);
  }
});

test('random records come back as they went in, one by one, in lists and in pages', async (t) => {
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const below = (limit) => Math.floor(random() * limit);
  const letters = [...'ab\u0000Gö€語🎉'];
  const makeText = () => {
    const length = below(random() < 0.02 ? 9000 : 20);
    return Array.from({ length }, () => letters[below(letters.length)]).join('');
  };
  const sample = Array.from({ length: 4 }, makeText);
  // Often that of the row above, which is then not packed again.
  const text = () => (random() < 0.6 ? sample[below(sample.length)] : makeText());
  const maybe = () => (random() < 0.5 ? undefined : text());
  const counter = () => below(2 ** below(54));
  const without = (record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
  const collect = async (iterator) => {
    const records = [];
    for await (const record of iterator) records.push(record);
    return records;
  };
  const db = await openLedger(t);
  const count = 1200;
  const told = `seed ${seed}`;

  const files = Array.from({ length: count }, (_, index) =>
    newFileHash(`${index}${text()}`, {
      file_path: text(),
      file_name: text(),
      file_size: counter(),
      mime_type: text(),
      upload_service: random() < 0.5 ? 'photos' : 'drive',
      upload_id: maybe(),
      chat_id: 'c',
    }),
  );
  for (const { status, reason } of await db.addFileHashes(files)) assert.equal(status, 'fulfilled', reason?.message);
  const expected = files.map(without);
  assert.deepEqual(await db.findFileHashes('c'), expected, told);
  assert.deepEqual(await collect(db.iterateFileHashes()), expected, told);
  const some = expected.slice(-50);
  assert.deepEqual(await Promise.all(some.map(({ hash }) => db.getFileHash(hash))), some, told);

  const sessions = Array.from({ length: 300 }, (_, index) =>
    newSession({
      id: `${index}${text()}`,
      chat_id: text(),
      chat_name: text(),
      total_files: counter(),
      processed_files: counter(),
      success_count: counter(),
      error_count: counter(),
      duplicate_count: counter(),
      status: random() < 0.5 ? 'running' : 'completed',
      last_processed_file: maybe(),
    }),
  );
  await Promise.all(sessions.map((session) => db.createSession(session)));
  const bare = ({ created_at, ...session }) => {
    assert.match(created_at, /^\d{4}-.*Z$/);
    return session;
  };
  for (const listed of [await db.listSessions(), await collect(db.iterateSessions())]) {
    assert.deepEqual(listed.map(bare), sessions.toReversed().map(without), told);
  }

  const { id } = sessions[0];
  const errors = Array.from({ length: count }, () =>
    newError(id, { file_path: text(), error_type: text(), error_message: text(), retry_count: counter() }),
  );
  const outcomes = await db.logErrors(errors);
  const logged = errors.map((error, index) => ({ id: outcomes[index].value, ...error }));
  for (const listed of [await db.getErrors(id), await collect(db.iterateErrors({ session_id: id }))]) {
    assert.deepEqual(
      listed.map(({ timestamp, ...error }) => error),
      logged,
      told,
    );
  }

  const settings = new Map(Array.from({ length: 100 }, (_, index) => [`${index}${text()}`, [text(), counter()]]));
  await Promise.all([...settings].map(([key, value]) => db.setConfig(key, value)));
  const listed = new Map((await db.listConfig()).map(({ key, value }) => [key, JSON.parse(value)]));
  assert.deepEqual(listed, settings, told);
});

test('a kept value does not keep a large result', { skip: process.env.NODE_V8_COVERAGE !== undefined }, () => {
  const script = `
    const { createConnection } = require(process.argv[1]);
    const connection = createConnection({ path: ':memory:' });
    const rows = connection.all(\`${repeat('hex(randomblob(16)) AS name, hex(zeroblob(100)) || i AS rest', 50_000)}\`);
    const kept = rows.filter((_, index) => index % 500 === 0).map(({ name }) => name);
    rows.length = 0;
    gc();
    gc();
    console.log(process.memoryUsage().heapUsed, kept.length);
  `;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '-e', script, require.resolve('../index.js')],
    {
      encoding: 'utf8',
    },
  );
  const [used, kept] = stdout.trim().split(' ').map(Number);
  assert.equal(kept, 100, stderr);
  assert.ok(used < 10e6, `${used} bytes are in use`);
});

if (!process.execArgv.includes('--disallow-code-generation-from-strings')) {
  test('all of this holds where code from text is forbidden', { timeout: 120_000 }, () => {
    const flags = ['--disallow-code-generation-from-strings', '--test-reporter=tap', __filename];
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8', env });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^# pass \d{2}$/m);
  });
}
