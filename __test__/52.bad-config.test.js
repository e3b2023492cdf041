'use strict';

/**
 * Configurations and files that cannot be used: validateConfig and both constructors against
 * hostile options; folders, missing folders, files that are no database, missing permissions.
 */

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { DatabaseError, DatabaseManager, SqliteConnection, createConnection, validateConfig } = require('../index.js');
const { makeFolder, newFileHash } = require('./support/ledger.js');
const { CANARY, STRANGERS, assertRefused, assertThrows } = require('./support/hostile.js');

/** The doors through which a configuration comes in. */
const DOORS = {
  validateConfig: (config) => validateConfig(config),
  createConnection: (config) => createConnection(config).close(),
  SqliteConnection: (config) => new SqliteConnection(config).close(),
  DatabaseManager: (config) => new DatabaseManager(config),
};

const BAD_OPTIONS = {
  path: { ...STRANGERS, undefined: undefined, null: null, NaN: NaN, empty: '', blank: ' \t\n', NUL: 'a\0b' },
  enableWAL: { ...STRANGERS, 1: 1, NaN: NaN, text: 'true', empty: '' },
  enableForeignKeys: { ...STRANGERS, 0: 0, text: 'false' },
  readonly: { ...STRANGERS, 0: 0, text: 'no' },
  create: { ...STRANGERS, '-0': -0, text: 'yes' },
  timeout: {
    ...STRANGERS,
    NaN: NaN,
    Infinity: Infinity,
    0: 0,
    '-0': -0,
    999: 999,
    1000.5: 1000.5,
    '2^31': 2 ** 31,
    '2^53': 2 ** 53,
    text: '5000',
  },
  synchronous: { ...STRANGERS, 1: 1, 'lower case': 'full', OFF: 'OFF', empty: '', __proto__: '__proto__' },
  mmapSize: { ...STRANGERS, NaN: NaN, '-1': -1, 1.5: 1.5, '2^53': 2 ** 53, text: '0' },
  cacheSize: { ...STRANGERS, NaN: NaN, '-Infinity': -Infinity, 1.5: 1.5, '2^31': 2 ** 31, text: '1' },
};
for (const flag of ['enableWAL', 'enableForeignKeys', 'readonly', 'create']) delete BAD_OPTIONS[flag].true;

for (const [door, open] of Object.entries(DOORS)) {
  test(`${door} refuses hostile options and names them`, () => {
    for (const [option, values] of Object.entries(BAD_OPTIONS)) {
      for (const [label, value] of Object.entries(values)) {
        const error = assertThrows(() => open({ path: ':memory:', [option]: value }), {
          code: 'DB_INVALID_CONFIG',
          field: option,
          label: `${option}: ${label}`,
        });
        assert.equal(error.retryable, false);
      }
    }
    for (const [label, config] of Object.entries({ ...STRANGERS, undefined: undefined, null: null, text: 'a.db' })) {
      if (label === 'a proxy') continue;
      assertThrows(() => open(config), { code: 'DB_INVALID_CONFIG', label });
    }
    for (const name of ['nonsense', '', 'Path', 'constructor', 'toString', '0']) {
      assertThrows(() => open({ path: ':memory:', [name]: CANARY }), { code: 'DB_INVALID_CONFIG', field: name });
    }
    const polluted = JSON.parse('{"path":":memory:","__proto__":{"readonly":true}}');
    assertThrows(() => open(polluted), { code: 'DB_INVALID_CONFIG', field: '__proto__' });
    for (const thrown of [new RangeError('mine'), 'text', undefined, null]) {
      const raise = () => {
        throw thrown;
      };
      const hostile = [
        Object.defineProperty({ path: ':memory:' }, 'timeout', { get: raise, enumerable: true }),
        ...['get', 'ownKeys', 'getOwnPropertyDescriptor'].map((trap) => new Proxy({ path: 'x' }, { [trap]: raise })),
      ];
      for (const config of hostile) {
        let outcome = 'accepted';
        try {
          open(config);
        } catch (error) {
          outcome = { error };
        }
        assert.notEqual(outcome, 'accepted');
        assert.equal(outcome.error, thrown);
      }
    }
    open({ path: ':memory:', timeout: null, mmapSize: -0, cacheSize: -0, create: undefined, [Symbol('x')]: 1 });
    open(new Proxy({ path: ':memory:' }, {}));
  });
}

test('the operation is the door that was used', () => {
  for (const [operation, open] of Object.entries(DOORS)) {
    let error;
    assert.throws(
      () => open({ path: '' }),
      (thrown) => {
        error = thrown;
        return true;
      },
    );
    const accepted = { SqliteConnection: ['SqliteConnection', 'createConnection'] }[operation] ?? [operation];
    assert.ok(accepted.includes(error.operation), `${operation}: ${error.operation}`);
  }
});

test('one error lists every problem, a text that is not well-formed among them', () => {
  const everything = Object.fromEntries(Object.keys(BAD_OPTIONS).map((option) => [option, Symbol(CANARY)]));
  const error = assertThrows(() => validateConfig({ ...everything, nonsense: 1 }), { code: 'DB_INVALID_CONFIG' });
  for (const option of [...Object.keys(BAD_OPTIONS), 'nonsense']) assert.ok(error.message.includes(option), option);
  const surrogate = assertThrows(() => validateConfig({ path: 'a\ud800', timeout: 1 }), {
    code: 'DB_INVALID_CONFIG',
    field: 'path',
  });
  assert.ok(surrogate.message.includes('timeout'), surrogate.message);
  const name = assertThrows(() => validateConfig({ path: 'a', '\ud800': 1, timeout: 1 }), {
    code: 'DB_INVALID_CONFIG',
  });
  assert.ok(name.message.includes('timeout'), name.message);
});

test('readonly with an explicit create needs a file that exists', (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const config = { path: file, readonly: true, create: true };
  const error = assertThrows(() => validateConfig(config), { code: 'DB_INVALID_CONFIG', field: 'readonly' });
  assert.ok(error.message.includes('create'));
  assert.equal(validateConfig({ ...config, create: undefined }).create, false);
  createConnection({ path: file }).close();
  assert.equal(validateConfig(config).create, true);
});

test('what is given later changes nothing: a configuration is read once', async () => {
  const config = { path: ':memory:', timeout: 2000 };
  const db = new DatabaseManager(config);
  config.path = '/none/of/this';
  config.timeout = NaN;
  await db.connect();
  await db.initializeSchema();
  assert.equal(await db.getSchemaVersion(), 1);
  await db.disconnect();
});

/** Makes something at a path that is no usable database, and says how that is called. */
const BAD_FILES = {
  'a folder': [/^DB_NOT_A_FILE$/, (file) => fs.mkdirSync(file)],
  'a device': [/^DB_NOT_A_FILE$/, (file) => fs.symlinkSync('/dev/null', file)],
  'a dangling link': [/^(DB_|SQLITE_CANTOPEN)/, (file) => fs.symlinkSync(`${file}-none`, file)],
  'a link to itself': [/^DB_FILE_ACCESS$/, (file) => fs.symlinkSync(file, file)],
  'a text': [/^SQLITE_NOTADB$/, (file) => fs.writeFileSync(file, `${CANARY} `.repeat(100))],
  'a short text': [/^SQLITE_NOTADB$/, (file) => fs.writeFileSync(file, CANARY)],
  'a broken header': [
    /^SQLITE_(NOTADB|CORRUPT)/,
    (file) => fs.writeFileSync(file, `SQLite format 3\0${'x'.repeat(4080)}`),
  ],
  'a pipe': [/^DB_NOT_A_FILE$/, (file) => execFileSync('mkfifo', [file])],
};

for (const [label, [code, make]] of Object.entries(BAD_FILES)) {
  test(`${label} gives a typed error, stays as it is, and a good file works afterwards`, async (t) => {
    const file = path.join(makeFolder(t), 'a.db');
    make(file);
    const { mode, size } = fs.lstatSync(file);
    const db = new DatabaseManager({ path: file });
    t.after(() => db.disconnect());
    const error = await assertRefused(() => db.connect(), { label, operation: 'connect' });
    assert.match(error.code, code, error.message);
    assert.equal(db.isConnected(), false);
    const synchronous = assertThrows(() => createConnection({ path: file }), { label, operation: 'createConnection' });
    assert.match(synchronous.code, code);
    const after = fs.lstatSync(file);
    assert.deepEqual([after.mode, after.size], [mode, size]);
    fs.rmSync(file, { recursive: true });
    await db.connect();
    await db.initializeSchema();
    assert.equal(await db.getSchemaVersion(), 1);
  });
}

test('paths that lead nowhere are told apart', async (t) => {
  const folder = makeFolder(t);
  fs.writeFileSync(path.join(folder, 'file'), '');
  const cases = {
    'a missing folder': [path.join(folder, 'none', 'a.db'), 'DB_FOLDER_MISSING'],
    'a file as a folder': [path.join(folder, 'file', 'a.db'), 'DB_FILE_ACCESS'],
    'a name that is too long': [path.join(folder, 'x'.repeat(300)), 'DB_FILE_ACCESS'],
    'a path that is too long': [path.join(folder, 'x/'.repeat(5000), 'a.db'), 'DB_INVALID_CONFIG'],
    'a trailing slash': [`${path.join(folder, 'a.db')}/`, undefined],
  };
  for (const [label, [file, code]] of Object.entries(cases)) {
    await assertRefused(() => new DatabaseManager({ path: file }).connect(), { label, code, operation: 'connect' });
    assertThrows(() => createConnection({ path: file }), { label, code, operation: 'createConnection' });
  }
  for (const options of [{ create: false }, { readonly: true }]) {
    const missing = { path: path.join(folder, 'missing.db'), ...options };
    await assertRefused(() => new DatabaseManager(missing).connect(), { code: 'DB_FILE_MISSING' });
  }
  assert.deepEqual(fs.readdirSync(folder), ['file'], 'a refusal leaves nothing behind');
});

test('a path like a URI or with odd characters is a file name', async (t) => {
  const folder = makeFolder(t);
  for (const name of ['file:a.db?mode=memory', 'a b\n\t"\'%41.db', 'größe-\u{1f389}.db', '-a.db', ':memory:x']) {
    const db = new DatabaseManager({ path: path.join(folder, name) });
    await db.connect();
    await db.initializeSchema();
    await db.disconnect();
    assert.ok(fs.existsSync(path.join(folder, name)), name);
  }
  assert.equal(fs.readdirSync(folder).length, 5);
});

test('a relative path means one file, whatever the working folder becomes', async (t) => {
  const [first, second] = [makeFolder(t), makeFolder(t)];
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(first);
  const db = new DatabaseManager({ path: 'ledger.db' });
  await db.connect();
  process.chdir(second);
  await db.initializeSchema();
  await db.addFileHash(newFileHash('h'));
  await db.vacuum();
  await db.disconnect();
  assert.deepEqual(fs.readdirSync(second), [], 'no other file was made');
  process.chdir(first);
  await db.connect();
  assert.equal(await db.isFileUploaded('h'), true);
  await db.disconnect();
});

test('a file that is gone is not made anew behind an open manager', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = new DatabaseManager({ path: file, synchronous: 'FULL' });
  await db.connect();
  t.after(() => db.disconnect());
  await db.initializeSchema();
  fs.rmSync(file);
  await assertRefused(() => db.vacuum(), { operation: 'vacuum', label: 'vacuum' });
  await db.addFileHash(newFileHash('h')).catch((error) => assert.ok(error instanceof DatabaseError, error.stack));
  assert.equal(fs.existsSync(file), false);
});

/** Runs in a process that permissions apply to; prints a line for each attempt. */
const WITHOUT_PERMISSION = `
  const [index, folder] = process.argv.slice(1);
  const path = require('node:path');
  const { DatabaseManager, DatabaseError, createConnection } = require(index);
  if (process.getuid() === 0) {
    process.setgroups([]);
    process.setgid(65534);
    process.setuid(65534);
  }
  (async () => {
    for (const name of ['closed/a.db', 'closed/new.db', 'open/locked.db', 'listed/a.db', 'listed/new.db']) {
      const file = path.join(folder, name);
      const db = new DatabaseManager({ path: file });
      const error = await db.connect().then(() => db.addFileHash({}), (reason) => reason).catch((reason) => reason);
      let thrown;
      try {
        createConnection({ path: file }).run('CREATE TABLE t (x)');
      } catch (reason) {
        thrown = reason;
      }
      await db.disconnect();
      for (const each of [error, thrown]) {
        const { code, operation, retryable, message } = each;
        console.log(JSON.stringify({ name, typed: each instanceof DatabaseError, code, operation, retryable, message }));
      }
    }
  })();
`;

test('without permission there is a typed error, and nothing changes', (t) => {
  const folder = makeFolder(t);
  fs.chmodSync(folder, 0o755);
  for (const name of ['closed', 'open', 'listed']) fs.mkdirSync(path.join(folder, name));
  for (const name of ['closed/a.db', 'open/locked.db', 'listed/a.db']) {
    const connection = createConnection({ path: path.join(folder, name), enableWAL: false });
    connection.run('CREATE TABLE kept (x)');
    connection.close();
  }
  fs.chmodSync(path.join(folder, 'open/locked.db'), 0o000);
  fs.chmodSync(path.join(folder, 'open'), 0o777);
  fs.chmodSync(path.join(folder, 'listed/a.db'), 0o444);
  fs.chmodSync(path.join(folder, 'listed'), 0o555);
  fs.chmodSync(path.join(folder, 'closed'), 0o000);
  const index = path.join(__dirname, '..', 'index.js');
  const child = spawnSync(process.execPath, ['-e', WITHOUT_PERMISSION, index, folder], { encoding: 'utf8' });
  for (const name of ['closed', 'listed']) fs.chmodSync(path.join(folder, name), 0o700);
  assert.equal(child.status, 0, child.stderr);
  const lines = child.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, 10);
  for (const { name, typed, code, operation, retryable, message } of lines) {
    const shown = `${name}: ${code} ${message}`;
    assert.ok(typed, shown);
    assert.match(code, /^(DB_FILE_ACCESS|SQLITE_CANTOPEN|SQLITE_READONLY|SQLITE_PERM)/, shown);
    assert.ok(['connect', 'createConnection', 'run'].includes(operation), shown);
    assert.equal(retryable, false, shown);
  }
});
