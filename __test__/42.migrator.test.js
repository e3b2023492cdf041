'use strict';

/** Migrations: order, one transaction a step, failure, rollback, dry run, foreign keys. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { DatabaseMigrator, SCHEMA_VERSION, createConnection } = require('../index.js');
const { makeFolder } = require('./support/ledger.js');

function open(t, config = { path: ':memory:' }) {
  const connection = createConnection(config);
  t.after(() => connection.close());
  return connection;
}

const versions = async (migrator) => (await migrator.history()).map(({ version }) => version);
const tables = (connection) =>
  connection
    .all("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    .map(({ name }) => name);

const ADD_NOTES = {
  version: 2,
  description: 'notes',
  up: 'CREATE TABLE notes (id INTEGER PRIMARY KEY); CREATE INDEX idx_notes ON notes(id);',
  down: 'DROP TABLE notes',
};
const FILL_NOTES = {
  version: 5,
  description: 'fill notes',
  up: async (connection) => {
    connection.run('INSERT INTO notes VALUES (1)');
    await new Promise((resolve) => setTimeout(resolve, 5));
    connection.run('INSERT INTO notes VALUES (2)');
  },
  down: (connection) => {
    connection.run('DELETE FROM notes');
  },
};

test("the package's own schema, from nothing", async (t) => {
  const migrator = new DatabaseMigrator(open(t));
  assert.equal(migrator.getTargetVersion(), SCHEMA_VERSION);
  assert.equal(await migrator.getCurrentVersion(), 0);
  assert.equal(await migrator.needsMigration(), true);
  assert.deepEqual(await migrator.plan(), [{ version: 1, description: 'Initial schema' }]);
  assert.deepEqual(await migrator.history(), []);
  assert.deepEqual(await migrator.migrate(), [{ version: 1, description: 'Initial schema' }]);
  assert.deepEqual(await migrator.migrate(), []);
  assert.equal(await migrator.needsMigration(), false);
  const [row] = await migrator.history();
  assert.match(row.applied_at, /Z$/);
  assert.deepEqual({ ...row, applied_at: '' }, { version: 1, applied_at: '', description: 'Initial schema' });
});

test('the parts by themselves', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection);
  await migrator.createMigrationTable();
  await migrator.createMigrationTable();
  assert.deepEqual(tables(connection), ['schema_migrations']);
  assert.equal(await migrator.getCurrentVersion(), 0);
  await migrator.createInitialSchema();
  await migrator.createInitialSchema();
  assert.equal(await migrator.getCurrentVersion(), 1);
  assert.equal(tables(connection).length, 5);
  await migrator.recordMigration(7, 'by hand');
  assert.deepEqual(await versions(migrator), [1, 7]);
  await assert.rejects(migrator.recordMigration(7, 'again'), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
  for (const [version, description] of [
    ['8', 'x'],
    [1.5, 'x'],
    [-1, 'x'],
    [8, undefined],
  ]) {
    await assert.rejects(migrator.recordMigration(version, description), { code: 'DB_INVALID_ARGUMENT' });
  }
});

test('steps of SQL and of code, behind the own ones', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection, { migrations: [ADD_NOTES, FILL_NOTES] });
  assert.equal(migrator.getTargetVersion(), 5);
  assert.deepEqual(
    (await migrator.plan()).map(({ version }) => version),
    [1, 2, 5],
  );
  await migrator.migrate();
  assert.deepEqual(await versions(migrator), [1, 2, 5]);
  assert.equal(connection.all('SELECT * FROM notes').length, 2);
  assert.equal(connection.getDatabase().pragma('foreign_keys', { simple: true }), 1, 'enforcement is on again');
});

test('a list that begins at 1 takes the place of the own one', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection, {
    migrations: [{ version: 1, description: 'mine', up: 'CREATE TABLE mine (x)' }],
  });
  await migrator.migrate();
  assert.deepEqual(tables(connection).sort(), ['mine', 'schema_migrations']);
});

test('a failing step is undone whole, named, and keeps its cause; those before it stay', async (t) => {
  const connection = open(t);
  const cause = new Error('made up');
  const bad = (up) =>
    new DatabaseMigrator(connection, { migrations: [ADD_NOTES, { version: 3, description: 'bad', up }] });
  const fail = async (connection) => {
    connection.run('CREATE TABLE half (x)');
    await null;
    throw cause;
  };
  await assert.rejects(bad(fail).migrate(), (error) => {
    assert.equal(error.code, 'DB_MIGRATION_FAILED');
    assert.match(error.message, /migration 3 \(bad\)/);
    assert.equal(error.cause, cause);
    return true;
  });
  await assert.rejects(bad('CREATE TABLE half (x); CREATE TABLE half (x);').migrate(), (error) => {
    assert.equal(error.code, 'DB_MIGRATION_FAILED');
    assert.equal(error.cause.code, 'SQLITE_ERROR');
    return true;
  });
  await assert.rejects(bad('CREATE TABLE half (x); COMMIT;').migrate(), (error) => {
    assert.equal(error.cause.code, 'SQLITE_AUTH');
    return true;
  });
  assert.deepEqual(await versions(bad(fail)), [1, 2]);
  assert.equal(tables(connection).includes('half'), false);
  await bad('CREATE TABLE half (x)').migrate();
  assert.deepEqual(await versions(bad(fail)), [1, 2, 3]);
});

test('lists out of order, with repeated or impossible versions, are refused', (t) => {
  const connection = open(t);
  const make = (...list) =>
    new DatabaseMigrator(connection, {
      migrations: list.map((version) => ({ version, description: 'd', up: 'SELECT 1' })),
    });
  for (const list of [[3, 2], [2, 2], [1, 3, 2], [0], [-1], [1.5], [Number.NaN], [Infinity]]) {
    assert.throws(
      () => make(...list),
      (error) => {
        assert.ok(['DB_MIGRATION_ORDER', 'DB_INVALID_ARGUMENT'].includes(error.code), `${list}: ${error.code}`);
        return true;
      },
    );
  }
  assert.equal(make(2, 9).getTargetVersion(), 9);
  for (const migrations of [7, 'x', [7], [null], [{}], [{ version: 2 }], [{ version: 2, description: 'd', up: 7 }]]) {
    assert.throws(() => new DatabaseMigrator(connection, { migrations }), { code: 'DB_INVALID_ARGUMENT' });
  }
  for (const other of [undefined, null, {}, connection.getDatabase()]) {
    assert.throws(() => new DatabaseMigrator(other), { code: 'DB_INVALID_ARGUMENT' });
  }
});

test('a history that does not fit the list is refused', async (t) => {
  const connection = open(t);
  await new DatabaseMigrator(connection, { migrations: [ADD_NOTES, FILL_NOTES] }).migrate();
  const old = new DatabaseMigrator(connection);
  for (const method of ['migrate', 'plan', 'needsMigration', 'dryRun']) {
    await assert.rejects(old[method](), { code: 'DB_SCHEMA_TOO_NEW' });
  }
  const late = new DatabaseMigrator(connection, {
    migrations: [ADD_NOTES, { version: 3, description: 'late', up: 'SELECT 1' }, FILL_NOTES],
  });
  await assert.rejects(late.migrate(), { code: 'DB_MIGRATION_ORDER' });
  const without = new DatabaseMigrator(connection, { migrations: [FILL_NOTES] });
  await assert.rejects(without.migrate(), { code: 'DB_MIGRATION_ORDER' });
});

test('a dry run changes nothing and finds what would fail', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection, { migrations: [ADD_NOTES, FILL_NOTES] });
  assert.deepEqual(
    (await migrator.dryRun()).map(({ version }) => version),
    [1, 2, 5],
  );
  assert.deepEqual(tables(connection), []);
  const bad = new DatabaseMigrator(connection, {
    migrations: [ADD_NOTES, { version: 3, description: 'bad', up: 'DROP TABLE absent' }],
  });
  await assert.rejects(bad.dryRun(), { code: 'DB_MIGRATION_FAILED', message: /migration 3/ });
  assert.deepEqual(tables(connection), []);
});

test('a rollback goes back step by step, or not at all', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection, { migrations: [ADD_NOTES, FILL_NOTES] });
  await migrator.migrate();
  assert.deepEqual(
    (await migrator.rollback(1)).map(({ version }) => version),
    [5, 2],
  );
  assert.deepEqual(await versions(migrator), [1]);
  await migrator.migrate();
  await migrator.rollback(0);
  assert.deepEqual(tables(connection), ['schema_migrations']);
  assert.deepEqual(await migrator.rollback(0), []);
  await migrator.migrate();
  for (const version of [6, -1, 1.5, NaN, '1', undefined]) {
    await assert.rejects(migrator.rollback(version), { code: 'DB_INVALID_ARGUMENT' });
  }
  const oneWay = new DatabaseMigrator(connection, { migrations: [{ ...ADD_NOTES, down: undefined }, FILL_NOTES] });
  await assert.rejects(oneWay.rollback(1), { code: 'DB_MIGRATION_ORDER' });
  assert.deepEqual(await versions(oneWay), [1, 2, 5], 'nothing was undone');
  const failing = new DatabaseMigrator(connection, {
    migrations: [{ ...ADD_NOTES, down: 'DROP TABLE absent' }, FILL_NOTES],
  });
  await assert.rejects(failing.rollback(1), { code: 'DB_MIGRATION_FAILED', operation: 'rollback' });
  assert.deepEqual(await versions(failing), [1, 2]);
});

test('a table can be rebuilt without losing what refers to it; broken references are refused', async (t) => {
  const connection = open(t);
  const own = new DatabaseMigrator(connection);
  await own.migrate();
  connection.run(`INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files)
                  VALUES ('s', 'c', 'n', 't', 't', 1)`);
  connection.run(
    "INSERT INTO upload_errors (session_id, file_path, error_type, error_message) VALUES ('s', 'p', 't', 'm')",
  );
  const { sql } = connection.get("SELECT sql FROM sqlite_schema WHERE name = 'upload_sessions'");
  const rebuild = {
    version: 2,
    description: 'rebuild',
    up: `${sql.replace('upload_sessions', 'rebuilt')};
         INSERT INTO rebuilt SELECT * FROM upload_sessions;
         DROP TABLE upload_sessions;
         ALTER TABLE rebuilt RENAME TO upload_sessions;`,
  };
  const orphan = { version: 3, description: 'orphan', up: 'DELETE FROM upload_sessions' };
  const migrator = new DatabaseMigrator(connection, { migrations: [rebuild, orphan] });
  await assert.rejects(migrator.migrate(), (error) => {
    assert.match(error.message, /migration 3 .*1 row\(s\) of upload_errors/);
    assert.equal(error.cause.code, 'SQLITE_CONSTRAINT_FOREIGNKEY');
    return true;
  });
  assert.deepEqual(await versions(migrator), [1, 2]);
  assert.equal(connection.all('SELECT * FROM upload_errors').length, 1);
  assert.equal(connection.all('SELECT * FROM upload_sessions').length, 1);
});

test("an asynchronous step holds the lock: the process's other connections are refused at once", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const [connection, other] = [open(t, { path: file }), open(t, { path: file })];
  other.run('CREATE TABLE t (x)');
  const migrator = new DatabaseMigrator(connection, {
    migrations: [
      {
        version: 2,
        description: 'slow',
        up: async (own) => {
          await null;
          assert.throws(() => other.run('INSERT INTO t VALUES (1)'), { code: 'DB_BUSY', retryable: true });
          own.run('INSERT INTO t VALUES (2)');
        },
      },
    ],
  });
  await migrator.migrate();
  other.run('INSERT INTO t VALUES (3)');
  assert.deepEqual(other.all('SELECT x FROM t'), [{ x: 2 }, { x: 3 }]);
});

test('null for the way back means none', async (t) => {
  const migrator = new DatabaseMigrator(open(t), { migrations: [{ ...ADD_NOTES, down: null }] });
  await migrator.migrate();
  await assert.rejects(migrator.rollback(1), { code: 'DB_MIGRATION_ORDER' });
});

test('two migrators of one connection run one after the other', async (t) => {
  const connection = open(t);
  const make = () => new DatabaseMigrator(connection, { migrations: [ADD_NOTES, FILL_NOTES] });
  const [first, second] = await Promise.all([make().migrate(), make().migrate()]);
  assert.equal(first.length, 3);
  assert.deepEqual(second, []);
});

test('a migration inside an open transaction is refused', async (t) => {
  const connection = open(t);
  connection.run('BEGIN');
  await assert.rejects(new DatabaseMigrator(connection).migrate(), { code: 'DB_TRANSACTION_STATE' });
  connection.run('ROLLBACK');
});

test('a step that closes the connection is an error, not a crash', async (t) => {
  const connection = open(t);
  const migrator = new DatabaseMigrator(connection, {
    migrations: [{ version: 1, description: 'closes', up: (own) => own.close() }],
  });
  await assert.rejects(migrator.migrate(), (error) => {
    assert.equal(error.code, 'DB_MIGRATION_FAILED');
    assert.equal(error.cause.code, 'DB_CLOSED');
    return true;
  });
});
