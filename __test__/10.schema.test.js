'use strict';

/** Schema version 1 to the letter, the pragmas, how a file comes to be, files of other tools. */

const assert = require('node:assert/strict');
const { chmodSync, existsSync, readFileSync, statSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { DatabaseManager, DatabaseMigrator, SCHEMA_VERSION, createConnection } = require('../index.js');
const { makeFolder, newSession, openLedger } = require('./support/ledger.js');

const SPEC = path.join(__dirname, 'fixture', 'TASK-008-database-spec.md');

/** Takes the CREATE statements out of the specification, without its list's indent. */
function readSpecStatements() {
  const blocks = readFileSync(SPEC, 'utf8').matchAll(/^( *)```sql\n([\s\S]*?)^ *```/gm);
  return [...blocks]
    .map(([, indent, text]) => text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
    .filter((text) => text.includes('CREATE'))
    .flatMap((text) => text.split(';').map((statement) => statement.trim()))
    .filter((statement) => statement !== '');
}

/** Takes the pragmas out of the specification: name and value. */
function readSpecPragmas() {
  const names = { WAL: 'wal', ON: 1, NORMAL: 1, MEMORY: 2 };
  return [...readFileSync(SPEC, 'utf8').matchAll(/^PRAGMA (\w+) = (\S+);/gm)].map(([, name, value]) => [
    name,
    names[value] ?? Number(value),
  ]);
}

function readSchema(file) {
  const connection = createConnection({ path: file });
  try {
    return connection.all("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite#_%' ESCAPE '#'");
  } finally {
    connection.close();
  }
}

test('the fixture is the specification, where that is at hand', (t) => {
  const shared = path.join(__dirname, '..', '..', 'shared', 'TASK-008-database-spec.md');
  if (!existsSync(shared)) return t.diagnostic('the specification is not beside this checkout');
  assert.equal(readFileSync(SPEC, 'utf8'), readFileSync(shared, 'utf8'));
});

test("the schema's text is the specification's, and nothing more", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const schema = readSchema(file);
  assert.equal(readSpecStatements().length, 12);
  assert.deepEqual(schema.map(({ sql }) => sql).sort(), readSpecStatements().sort());
  assert.equal(await db.getSchemaVersion(), SCHEMA_VERSION);
});

test("the pragmas are the specification's", (t) => {
  const connection = createConnection({ path: path.join(makeFolder(t), 'a.db') });
  t.after(() => connection.close());
  const pragmas = readSpecPragmas();
  assert.equal(pragmas.length, 6);
  for (const [name, value] of pragmas) {
    assert.equal(connection.getDatabase().pragma(name, { simple: true }), value, name);
  }
});

test('a new file and its companions are private; an old file keeps its mode', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const mode = (name) => statSync(name).mode & 0o777;
  const db = await openLedger(t, { path: file });
  await db.createSession(newSession());
  if (process.platform !== 'win32') {
    for (const suffix of ['', '-wal', '-shm']) assert.equal(mode(file + suffix), 0o600, suffix);
    await db.disconnect();
    chmodSync(file, 0o640);
    await db.connect();
    assert.equal(mode(file), 0o640);
  }
});

test('what cannot be opened is refused with a typed error and makes no file', async (t) => {
  const folder = makeFolder(t);
  const text = path.join(folder, 'text.db');
  writeFileSync(text, 'a text that is long enough to be looked at as a database header, and is none');
  const missing = path.join(folder, 'missing.db');
  for (const [config, code] of [
    [{ path: missing, create: false }, 'DB_FILE_MISSING'],
    [{ path: missing, readonly: true }, 'DB_FILE_MISSING'],
    [{ path: folder }, 'DB_NOT_A_FILE'],
    [{ path: path.join(folder, 'no', 'folder', 'a.db') }, 'DB_FOLDER_MISSING'],
    // Windows says of a path through a file only that nothing is there.
    [{ path: path.join(text, 'a.db') }, process.platform === 'win32' ? 'DB_FILE_MISSING' : 'DB_FILE_ACCESS'],
    [{ path: text }, 'SQLITE_NOTADB'],
  ]) {
    const db = new DatabaseManager(config);
    await assert.rejects(db.connect(), { name: 'DatabaseError', code, operation: 'connect' });
    assert.equal(db.isConnected(), false);
    assert.throws(() => createConnection(config), { code, operation: 'createConnection' });
  }
  assert.equal(existsSync(missing), false);
});

test('a read-only ledger reads, refuses to write and leaves the journal mode alone', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const writer = await openLedger(t, { path: file, enableWAL: false });
  const id = await writer.createSession(newSession());
  await writer.disconnect();
  const reader = new DatabaseManager({ path: file, readonly: true });
  await reader.connect();
  t.after(() => reader.disconnect());
  assert.equal((await reader.getSession(id)).id, id);
  await reader.initializeSchema();
  await assert.rejects(reader.createSession(newSession()), { code: 'SQLITE_READONLY' });
  assert.equal(await reader.transaction(async () => (await reader.listSessions()).length), 1);
  await assert.rejects(
    reader.transaction(() => reader.createSession(newSession())),
    { code: 'SQLITE_READONLY' },
  );
  const connection = createConnection({ path: file, readonly: true });
  assert.equal(connection.getDatabase().pragma('journal_mode', { simple: true }), 'delete');
  connection.close();
});

test('a path that looks like a URI is a file name', (t) => {
  const folder = makeFolder(t);
  const previous = process.cwd();
  process.chdir(folder);
  t.after(() => process.chdir(previous));
  if (process.platform === 'win32') {
    // A colon there is no part of a name: refused, and no database in memory instead.
    assert.throws(() => createConnection({ path: 'file:a.db?mode=memory' }), { code: 'DB_INVALID_CONFIG' });
    return;
  }
  createConnection({ path: 'file:a.db?mode=memory' }).close();
  assert.ok(existsSync(path.join(folder, 'file:a.db?mode=memory')));
});

test("a file that another tool made from the specification's SQL is adopted", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const other = createConnection({ path: file });
  // Indented and upper-cased otherwise, as another program may have typed it.
  for (const statement of readSpecStatements()) other.run(statement.replaceAll('\n', '\n      '));
  other.run(`INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files)
             VALUES ('s', 'c', 'n', '2026-01-31 12:00:00', '2026-01-31T12:00:00Z', 7)`);
  other.run("INSERT INTO upload_errors (session_id, file_path, error_type, error_message) VALUES ('s', 'p', 't', 'm')");
  const before = other.all('SELECT * FROM upload_sessions');
  other.close();

  const db = new DatabaseManager({ path: file });
  await db.connect();
  t.after(() => db.disconnect());
  assert.equal(await db.getSchemaVersion(), 0);
  await db.initializeSchema();
  assert.equal(await db.getSchemaVersion(), 1);
  const session = await db.getSession('s');
  assert.equal(session.start_time, '2026-01-31T12:00:00.000Z');
  assert.equal(session.last_update, '2026-01-31T12:00:00.000Z');
  assert.match(session.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
  assert.equal(session.status, 'running');
  assert.match((await db.getErrors('s'))[0].timestamp, /T.*\.000Z$/);
  await db.disconnect();
  const after = createConnection({ path: file });
  assert.deepEqual(after.all('SELECT * FROM upload_sessions'), before, 'nothing is rewritten');
  after.close();
});

test('a half-made schema is completed; one that differs is refused and left alone', async (t) => {
  const folder = makeFolder(t);
  const [firstTable] = readSpecStatements();
  const half = path.join(folder, 'half.db');
  const connection = createConnection({ path: half });
  connection.run(firstTable);
  await new DatabaseMigrator(connection).migrate();
  connection.close();
  assert.equal(readSchema(half).length, 12);

  const different = path.join(folder, 'different.db');
  const other = createConnection({ path: different });
  other.run('CREATE TABLE config (key TEXT PRIMARY KEY, value BLOB)');
  other.close();
  const db = new DatabaseManager({ path: different });
  await db.connect();
  t.after(() => db.disconnect());
  await assert.rejects(db.initializeSchema(), (error) => {
    assert.equal(error.code, 'DB_MIGRATION_FAILED');
    assert.equal(error.cause.code, 'DB_SCHEMA_MISMATCH');
    assert.match(error.message, /config exists already/);
    return true;
  });
  assert.equal(readSchema(different).length, 1);
});

test('a file of a newer version is refused and left alone', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const connection = createConnection({ path: file });
  await new DatabaseMigrator(connection).recordMigration(2, 'from the future');
  connection.close();
  await assert.rejects(db.initializeSchema(), { code: 'DB_SCHEMA_TOO_NEW', operation: 'initializeSchema' });
  assert.equal(await db.getSchemaVersion(), 2);
});

test('calls before initializeSchema() say what to do', async (t) => {
  const db = new DatabaseManager({ path: path.join(makeFolder(t), 'a.db') });
  await db.connect();
  t.after(() => db.disconnect());
  assert.equal(await db.getSchemaVersion(), 0);
  for (const call of [() => db.listSessions(), () => db.createSession(newSession()), () => db.getStats()]) {
    await assert.rejects(call(), { code: 'DB_SCHEMA_MISSING' });
  }
});
