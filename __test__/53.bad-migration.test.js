'use strict';

/**
 * DatabaseMigrator against hostile lists, arguments, steps and histories: a typed error that
 * names the method, and a database as it was before.
 */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { DatabaseManager, DatabaseMigrator, createConnection } = require('../index.js');
const { makeFolder } = require('./support/ledger.js');
const { CANARY, KINDS, STRANGERS, assertRefused, assertThrows, causeChain } = require('./support/hostile.js');

const LIST = [
  { version: 1, description: 'one', up: 'CREATE TABLE one (x)', down: 'DROP TABLE one' },
  { version: 2, description: 'two', up: 'CREATE TABLE two (x)', down: 'DROP TABLE two' },
];

function open(t, config = { path: ':memory:' }) {
  const connection = createConnection(config);
  t.after(() => connection.close());
  return connection;
}

function tables(connection) {
  return connection
    .all("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .map(({ name }) => name);
}

test('no connection is no connection', () => {
  for (const [label, value] of Object.entries({ ...STRANGERS, undefined: undefined, null: null, text: CANARY })) {
    if (label === 'a proxy') continue;
    assertThrows(() => new DatabaseMigrator(value), {
      code: 'DB_INVALID_ARGUMENT',
      operation: 'DatabaseMigrator',
      field: 'connection',
      label,
    });
  }
});

test('hostile lists are refused by the constructor and nothing runs', (t) => {
  const connection = open(t);
  const make = (migrations) => () => new DatabaseMigrator(connection, { migrations });
  const expected = { operation: 'DatabaseMigrator' };
  for (const [label, list] of Object.entries({ ...STRANGERS, text: CANARY, 'a number': 1 })) {
    if (Array.isArray(list) || label === 'a proxy') continue;
    assertThrows(make(list), { ...expected, code: 'DB_INVALID_ARGUMENT', field: 'migrations', label });
  }
  for (const [label, item] of Object.entries({ null: null, undefined: undefined, text: CANARY, 1: 1 })) {
    assertThrows(make([item]), { ...expected, code: 'DB_INVALID_ARGUMENT', field: 'migrations[0]', label });
  }
  const fields = {
    version: { ...STRANGERS, text: '1', undefined: undefined, null: null, NaN: NaN, 1.5: 1.5, '2^53': 2 ** 53 },
    description: { ...KINDS.text.refused },
    up: { ...STRANGERS, undefined: undefined, null: null, 1: 1 },
    down: { ...STRANGERS, 1: 1 },
  };
  delete fields.up['a function'];
  delete fields.down['a function'];
  delete fields.description['a lone surrogate'];
  for (const [field, values] of Object.entries(fields)) {
    for (const [label, value] of Object.entries(values)) {
      const migration = { version: 2, description: 'd', up: 'SELECT 1', [field]: value };
      const code = 'DB_INVALID_ARGUMENT';
      assertThrows(make([migration]), { ...expected, code, field, label: `${field}: ${label}` });
    }
  }
  for (const [label, versions] of Object.entries({ zero: [0], '-1': [-1], twice: [2, 2], backwards: [3, 2] })) {
    const list = versions.map((version) => ({ version, description: CANARY, up: 'SELECT 1' }));
    assertThrows(make(list), { ...expected, code: 'DB_MIGRATION_ORDER', label });
  }
  const raise = () => {
    throw new RangeError('mine');
  };
  const record = Object.defineProperty({}, 'version', { get: raise });
  assert.throws(make([record]), { name: 'RangeError', message: 'mine' });
  assert.throws(make(new Proxy([], { get: raise })), { name: 'RangeError', message: 'mine' });
  assert.deepEqual(tables(connection), []);
});

test('a hole in a list is refused as what it is', (t) => {
  const connection = open(t);
  // biome-ignore lint/suspicious/noSparseArray: a sparse array is what is tested
  for (const migrations of [new Array(2), [, ...LIST], [LIST[0], , { ...LIST[1], version: 3 }]]) {
    assertThrows(() => new DatabaseMigrator(connection, { migrations }), {
      code: 'DB_INVALID_ARGUMENT',
      operation: 'DatabaseMigrator',
      field: 'migrations[',
    });
  }
});

test('a list is read once: what is done to it later changes nothing', async (t) => {
  const connection = open(t);
  const list = LIST.map((migration) => ({ ...migration }));
  const migrator = new DatabaseMigrator(connection, { migrations: list });
  list[0].up = 'nonsense';
  list.push({ version: 3, description: 'three', up: 'nonsense' });
  assert.equal(migrator.getTargetVersion(), 2);
  await migrator.migrate();
  assert.deepEqual(tables(connection), ['one', 'schema_migrations', 'two']);
});

test('hostile arguments of rollback and recordMigration', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection, { migrations: LIST });
  await migrator.migrate();
  const before = JSON.stringify(await migrator.history());
  const code = 'DB_INVALID_ARGUMENT';
  const numbers = { ...KINDS.counter.refused, 3: 3 };
  for (const [label, value] of Object.entries(numbers)) {
    const expected = { code, operation: 'rollback', field: 'toVersion', label };
    await assertRefused(() => migrator.rollback(value), expected);
  }
  for (const [label, value] of Object.entries({ ...KINDS.counter.refused, zero: 0, '-0': -0 })) {
    const expected = { code, operation: 'recordMigration', field: 'version', label };
    await assertRefused(() => migrator.recordMigration(value, CANARY), expected);
  }
  for (const [label, value] of Object.entries(KINDS.text.refused)) {
    const expected = { code, operation: 'recordMigration', field: 'description', label };
    await assertRefused(() => migrator.recordMigration(3, value), expected);
  }
  await assertRefused(() => migrator.recordMigration(2, CANARY), {
    code: 'SQLITE_CONSTRAINT_PRIMARYKEY',
    operation: 'recordMigration',
  });
  assert.equal(JSON.stringify(await migrator.history()), before);
  assert.deepEqual(tables(connection), ['one', 'schema_migrations', 'two']);
  assert.deepEqual(await migrator.rollback(1), [{ version: 2, description: 'two' }]);
});

const METHODS = {
  getCurrentVersion: [],
  needsMigration: [],
  migrate: [],
  createInitialSchema: [],
  createMigrationTable: [],
  recordMigration: [3, 'three'],
  plan: [],
  dryRun: [],
  rollback: [0],
  history: [],
};

test('every method on a closed connection rejects, and names itself', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection, { migrations: LIST });
  connection.close();
  assert.equal(migrator.getTargetVersion(), 2);
  for (const [operation, args] of Object.entries(METHODS)) {
    await t.test(operation, () =>
      assertRefused(() => migrator[operation](...args), { code: 'DB_CLOSED', operation, label: operation }),
    );
  }
});

test("another's lock gives a retryable error under the name of the method", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const connection = open(t, { path: file, timeout: 1000 });
  const other = open(t, { path: file });
  const pending = new DatabaseMigrator(connection, { migrations: LIST });
  other.run('CREATE TABLE another (x)');
  const refusedMeanwhile = async (call, operation) => {
    other.run('BEGIN IMMEDIATE');
    try {
      const error = await assertRefused(call, { code: 'SQLITE_BUSY', operation });
      assert.equal(error.retryable, true);
    } finally {
      other.run('ROLLBACK');
    }
  };
  await t.test('migrate', () => refusedMeanwhile(() => pending.migrate(), 'migrate'));
  await t.test('dryRun', () => refusedMeanwhile(() => pending.dryRun(), 'dryRun'));
  await pending.migrate();
  await t.test('rollback', () => refusedMeanwhile(() => pending.rollback(0), 'rollback'));
  assert.equal(await pending.getCurrentVersion(), 2);
});

test('a failing step of a dry run or a rollback names that method', async (t) => {
  const connection = open(t);
  const bad = { version: 3, description: 'three', up: 'SELECT 1', down: 'nonsense' };
  const dry = new DatabaseMigrator(connection, { migrations: [{ ...bad, version: 1, up: 'nonsense' }] });
  await t.test('dryRun', () => assertRefused(() => dry.dryRun(), { code: 'DB_MIGRATION_FAILED', operation: 'dryRun' }));
  const back = new DatabaseMigrator(connection, { migrations: [...LIST, bad] });
  await back.migrate();
  await t.test('rollback', () =>
    assertRefused(() => back.rollback(2), { code: 'DB_MIGRATION_FAILED', operation: 'rollback' }),
  );
  assert.equal(await back.getCurrentVersion(), 3);
});

test('a step cannot get out of its transaction', async (t) => {
  const steps = {
    'SQL that commits and fails': 'CREATE TABLE leaked (x); COMMIT; BEGIN; nonsense',
    'SQL that commits': 'CREATE TABLE leaked (x); COMMIT',
    'SQL that commits and begins again': 'CREATE TABLE leaked (x); COMMIT; BEGIN; CREATE TABLE later (x)',
    'SQL that rolls back': 'ROLLBACK; CREATE TABLE leaked (x)',
    'a function that commits and begins again': (c) => {
      c.run('CREATE TABLE leaked (x)');
      c.run('COMMIT');
      c.run('BEGIN');
    },
    'a function that fails late': async (c) => {
      c.run('CREATE TABLE leaked (x)');
      await new Promise((resolve) => setImmediate(resolve));
      throw new RangeError('mine');
    },
    'a function that throws no error': (c) => {
      c.run('CREATE TABLE leaked (x)');
      throw undefined;
    },
    'a function that leaves a savepoint open': (c) => {
      c.run('SAVEPOINT mine');
      c.run('CREATE TABLE leaked (x)');
      c.run('nonsense');
    },
  };
  for (const [label, up] of Object.entries(steps)) {
    await t.test(label, async (tt) => {
      const connection = open(tt);
      const migrator = new DatabaseMigrator(connection, { migrations: [{ version: 1, description: 'step', up }] });
      const error = await assertRefused(() => migrator.migrate(), { code: 'DB_MIGRATION_FAILED', label });
      assert.ok(error.message.includes('migration 1 (step)'), error.message);
      assert.deepEqual(tables(connection), [], 'the database is as it was before this step');
      assert.equal(connection.getDatabase().inTransaction, false);
      assert.equal(await migrator.getCurrentVersion(), 0);
      assert.equal(connection.getDatabase().pragma('foreign_keys', { simple: true }), 1);
      await new DatabaseMigrator(connection, { migrations: LIST }).migrate();
    });
  }
});

test("a step's own exception is the cause, whatever it is", async (t) => {
  for (const thrown of [new RangeError('mine'), 'text', null, 0, Symbol('mine')]) {
    const connection = open(t);
    const up = () => {
      throw thrown;
    };
    const migrator = new DatabaseMigrator(connection, { migrations: [{ version: 1, description: 'step', up }] });
    const error = await migrator.migrate().then(
      () => assert.fail('accepted'),
      (reason) => reason,
    );
    assert.equal(error.code, 'DB_MIGRATION_FAILED');
    assert.equal(error.cause, thrown);
    assert.ok(causeChain(error).length <= 2);
  }
});

test('a history that another tool wrote is read, or refused by what is wrong with it', async (t) => {
  const histories = {
    'a time in seconds': "INSERT INTO schema_migrations VALUES (1, 1700000000, 'one')",
    'a description of bytes': "INSERT INTO schema_migrations VALUES (1, '2026-01-31 12:00:00', x'00ff')",
    'a version from the future': "INSERT INTO schema_migrations VALUES (9007199254740993, '2026-01-31', 'far')",
    'no time and no description': 'INSERT INTO schema_migrations VALUES (1, NULL, NULL)',
  };
  for (const [label, sql] of Object.entries(histories)) {
    await t.test(label, async (tt) => {
      const file = path.join(makeFolder(tt), 'a.db');
      const connection = open(tt, { path: file });
      const migrator = new DatabaseMigrator(connection);
      await migrator.createMigrationTable();
      connection.getDatabase().exec(sql);
      const db = new DatabaseManager({ path: file });
      tt.after(() => db.disconnect());
      await db.connect();
      for (const read of [() => migrator.history(), () => migrator.getCurrentVersion(), () => db.getSchemaVersion()]) {
        const outcome = await read().catch((error) => error);
        if (outcome instanceof Error) assert.match(String(outcome.code), /^DB_(?!INTERNAL)/, outcome.message);
        else assert.ok(typeof outcome === 'object' || Number.isSafeInteger(outcome), `${outcome}`);
      }
    });
  }
});
