'use strict';

/** Restores: what comes back and what is kept, beside which writers, and what hostile files get to do. */

const assert = require('node:assert/strict');
const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { DatabaseManager, createConnection } = require('../index.js');
const {
  DAMAGE,
  code,
  damageFile,
  makeFolder,
  newError,
  newFileHash,
  newSession,
  openLedger,
} = require('./support/ledger.js');

const IS_WINDOWS = process.platform === 'win32';

const V1 = fs.readFileSync(path.join(__dirname, '..', 'src', 'migration', 'v1.sql'), 'utf8');

/** Makes a database of one's own SQL, through a connection that trusts it. */
function makeFile(file, sql) {
  const connection = createConnection({ path: file, enableWAL: false });
  try {
    connection.exec(sql);
  } finally {
    connection.close();
  }
}

function query(file, sql) {
  const connection = createConnection({ path: file, readonly: true });
  try {
    return connection.all(sql);
  } finally {
    connection.close();
  }
}

async function fill(db, prefix, count) {
  await db.addFileHashes(Array.from({ length: count }, (_, index) => newFileHash(`${prefix}-${index}`)));
}

const keptOf = (folder) => fs.readdirSync(folder).filter((name) => name.includes('.before-restore-'));

for (const enableWAL of [true, false]) {
  test(`a restore brings everything back and keeps what was there (WAL: ${enableWAL})`, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'ledger.db');
    const backup = path.join(makeFolder(t), 'a.backup');
    const db = await openLedger(t, { path: file, enableWAL });
    const second = await openLedger(t, { path: file, enableWAL });
    const session = await db.createSession(newSession());
    const error = await db.logError(newError(session));
    await db.setConfig('colour', { of: 'old' });
    await fill(db, 'old', 500);
    await db.backup(backup);
    const files = await db.findFileHashes('chat123');
    await db.deleteSession(session);
    await db.setConfig('colour', 'new');
    await fill(db, 'new', 10);
    const later = await db.logError(newError(await db.createSession(newSession())));
    await second.isFileUploaded('new-1');
    const seen = [];
    const restoring = db.restore(backup, { onProgress: (progress) => seen.push(progress) });
    const written = db.addFileHash(newFileHash('after'));
    const report = await restoring;
    await written;
    assert.deepEqual(report.tables, {
      upload_sessions: { restored: 1, skipped: 0 },
      file_hashes: { restored: 500, skipped: 0 },
      upload_errors: { restored: 1, skipped: 0 },
      config: { restored: 1, skipped: 0 },
    });
    assert.equal(seen.at(-1).phase, 'writing');
    assert.equal(seen.at(-1).done, seen.at(-1).total);
    for (const one of [db, second]) {
      assert.deepEqual((await one.findFileHashes('chat123')).slice(0, -1), files);
      assert.equal((await one.getErrors(session))[0].id, error);
      assert.deepEqual(await one.getConfig('colour'), { of: 'old' });
      assert.equal(await one.isFileUploaded('new-1'), false);
      assert.equal(await one.isFileUploaded('after'), true);
    }
    assert.ok((await db.logError(newError(session))) > later, 'an id is used twice');
    assert.deepEqual(keptOf(folder), [path.basename(report.kept)]);
    assert.match(report.kept, /ledger\.db\.before-restore-\d{8}T\d{9}Z$/);
    if (!IS_WINDOWS) assert.equal(fs.statSync(report.kept).mode & 0o777, 0o600);
    const before = new DatabaseManager({ path: report.kept, readonly: true });
    await before.connect();
    assert.equal(await before.getConfig('colour'), 'new');
    assert.equal(await before.isFileUploaded('new-9'), true);
    await before.disconnect();
    // And back again: what was kept is a backup.
    await db.restore(report.kept);
    assert.equal(await second.isFileUploaded('new-9'), true);
    assert.equal(await second.isFileUploaded('after'), false);
    assert.deepEqual(
      fs.readdirSync(folder).filter((name) => name.endsWith('.tmp')),
      [],
    );
  });
}

test('a database in memory is restored too', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const backup = path.join(makeFolder(t), 'a.backup');
  await fill(db, 'old', 100);
  await db.backup(backup);
  await fill(db, 'new', 5);
  const report = await db.restore(backup);
  assert.equal(report.kept, undefined);
  assert.equal((await db.getStats()).totalFiles, 100);
  await fill(db, 'new', 5);
});

for (const enableWAL of [true, false]) {
  test(`another process that writes throughout loses nothing unseen (WAL: ${enableWAL})`, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'ledger.db');
    const backup = path.join(makeFolder(t), 'a.backup');
    const db = await openLedger(t, { path: file, enableWAL, timeout: 60_000 });
    await fill(db, 'old', 3000);
    await db.backup(backup);
    const writer = fork(path.join(__dirname, 'support', 'steady-writer.js'), [file, String(enableWAL)]);
    await once(writer, 'message');
    const kept = [];
    for (let round = 0; round < 5; round += 1) {
      const report = await db.restore(backup);
      assert.equal(report.tables.file_hashes.restored, 3000);
      kept.push(report.kept);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    writer.send('stop');
    const [{ acknowledged, failures, totalFiles }] = await once(writer, 'message');
    await once(writer, 'exit');
    assert.deepEqual(failures, []);
    assert.equal((await db.getStats()).totalFiles, totalFiles, 'both see the same');
    assert.deepEqual(query(file, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
    const places = [file, ...kept].map(
      (place) =>
        new Set(query(place, "SELECT hash FROM file_hashes WHERE hash LIKE 'steady-%'").map((row) => row.hash)),
    );
    const lost = acknowledged.filter((hash) => !places.some((place) => place.has(hash)));
    t.diagnostic(`${acknowledged.length} commits of the other process beside 5 restores, ${lost.length} lost`);
    assert.deepEqual(lost, []);
    assert.ok(acknowledged.length > 20);
    assert.ok(places.slice(1).every((place) => place.size > 0));
  });
}

test('a path or file that is no backup is refused, and the ledger is as it was', async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'ledger.db');
  const db = await openLedger(t, { path: file });
  await fill(db, 'kept', 20);
  const place = (name) => path.join(folder, name);
  const good = place('good');
  await db.backup(good);
  fs.writeFileSync(place('text'), 'no database at all, '.repeat(500));
  fs.writeFileSync(place('empty'), '');
  makeFile(place('other'), 'CREATE TABLE notes(text)');
  makeFile(place('newer'), `${V1}; INSERT INTO schema_migrations VALUES (1, 'x', 'y'), (99, 'x', 'y')`);
  await assert.rejects(db.restore(file), code('DB_INVALID_ARGUMENT'));
  await assert.rejects(db.restore(place('none')), code('DB_FILE_MISSING'));
  await assert.rejects(db.restore(place('no/such')), code('DB_FOLDER_MISSING'));
  await assert.rejects(db.restore(folder), code('DB_NOT_A_FILE'));
  await assert.rejects(db.restore(place('text')), code('SQLITE_NOTADB'));
  await assert.rejects(db.restore(place('empty')), code('SQLITE_NOTADB'));
  await assert.rejects(db.restore(place('other')), code('DB_NOT_RESTORABLE'));
  await assert.rejects(db.restore(place('newer')), code('DB_SCHEMA_TOO_NEW'));
  for (const value of ['', 'a\0b', 7, undefined, null]) {
    await assert.rejects(db.restore(value), code('DB_INVALID_ARGUMENT'));
  }
  if (!IS_WINDOWS) {
    fs.symlinkSync(good, place('link'));
    await assert.rejects(db.restore(place('link')), code('DB_NOT_A_FILE'));
  }
  await db.transaction(() => assert.rejects(db.restore(good), code('DB_TRANSACTION_STATE')));
  const controller = new AbortController();
  controller.abort();
  await assert.rejects(db.restore(good, { signal: controller.signal }), code('DB_ABORTED'));
  const reader = new DatabaseManager({ path: file, readonly: true });
  await reader.connect();
  await assert.rejects(reader.restore(good), code('SQLITE_READONLY'));
  await reader.disconnect();
  assert.equal((await db.getStats()).totalFiles, 20);
  assert.deepEqual(keptOf(folder), []);
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
  await db.disconnect();
  await assert.rejects(db.restore(good), code('DB_NOT_CONNECTED'));
});

test('a restore that is stopped leaves the ledger as it was', async (t) => {
  const folder = makeFolder(t);
  const db = await openLedger(t, { path: path.join(folder, 'ledger.db') });
  await fill(db, 'old', 30000);
  const backup = path.join(makeFolder(t), 'a.backup');
  await db.backup(backup);
  await fill(db, 'new', 7);
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  await assert.rejects(db.restore(backup, { signal: controller.signal, onProgress }), code('DB_ABORTED'));
  assert.equal((await db.getStats()).totalFiles, 30007);
  assert.ok(!fs.readdirSync(folder).some((name) => name.endsWith('.tmp')));
});

const ROWS = `
  INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files, created_at)
    VALUES ('s', 'c', 'n', '2026-01-31T12:00:00.000Z', '2026-01-31 12:00:00', 1, '2026-01-31 12:00:00');
  INSERT INTO file_hashes VALUES ('h', 'p', 'n', 1, 'm', 'photos', NULL, 'c', '2026-01-31T12:00:00.000Z');
  INSERT INTO upload_errors VALUES (5, 's', 'p', 't', 'm', 0, '2026-01-31T12:00:00.000Z');
  INSERT INTO config VALUES ('k', '1', '2026-01-31T12:00:00.000Z');`;

const FILE_TABLE = /CREATE TABLE file_hashes[^;]*;/;

/** Files made to do harm: whether they can be restored from, and with how many rows of `file_hashes`. */
const HOSTILE = {
  'as another tool made it, without a history': [`${V1}${ROWS}`, 1],
  'triggers, views and tables of its own': [
    `${V1}${ROWS}
     CREATE TABLE loot(x); CREATE VIEW spy AS SELECT * FROM config;
     CREATE TRIGGER t1 AFTER INSERT ON file_hashes BEGIN INSERT INTO loot VALUES (new.hash); END;
     CREATE TRIGGER t2 BEFORE DELETE ON upload_sessions BEGIN SELECT RAISE(ABORT, 'no'); END;
     CREATE UNIQUE INDEX i1 ON file_hashes(chat_id) WHERE length(hash) > 0;
     CREATE INDEX i2 ON config(upper(value));`,
    1,
  ],
  'a view named as a table': [
    `${V1.replace(FILE_TABLE, "CREATE VIEW file_hashes AS SELECT key AS hash, value AS file_path, '' AS file_name, 1 AS file_size, '' AS mime_type, 'photos' AS upload_service, '' AS upload_id, '' AS chat_id, '' AS uploaded_at FROM config;").replace(/CREATE INDEX idx_file_hashes[^;]*;/g, '')}`,
    'DB_NOT_RESTORABLE',
  ],
  'a virtual table named as a table': [
    `${V1.replace(FILE_TABLE, 'CREATE VIRTUAL TABLE file_hashes USING fts5(hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, chat_id, uploaded_at);').replace(/CREATE INDEX idx_file_hashes[^;]*;/g, '')}`,
    'DB_NOT_RESTORABLE',
  ],
  'a generated column': [
    V1.replace('upload_id TEXT,', 'upload_id TEXT AS (hex(zeroblob(1000))) VIRTUAL,'),
    'DB_NOT_RESTORABLE',
  ],
  'a generated column besides': [
    `${V1.replace('upload_id TEXT,', 'upload_id TEXT, more TEXT AS (upper(hash)) STORED,')}`,
    'DB_NOT_RESTORABLE',
  ],
  'a missing column': [V1.replace('upload_id TEXT,', ''), 'DB_NOT_RESTORABLE'],
  'a CHECK that calls functions': [
    `${V1.replace('upload_id TEXT,', 'upload_id TEXT CHECK (length(upload_id) < 1000000 OR upload_id IS NULL),')}${ROWS}`,
    1,
  ],
  'a DEFAULT that calls functions': [
    `${V1.replace('upload_id TEXT,', 'upload_id TEXT DEFAULT (hex(randomblob(4))),')}${ROWS}`,
    'DB_NOT_RESTORABLE',
  ],
  'another order of columns, and more of them': [
    `${V1.replace(FILE_TABLE, 'CREATE TABLE file_hashes (extra, chat_id, hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, uploaded_at);')}
     INSERT INTO file_hashes VALUES (x'00', 'c', 'h', 'p', 'n', 1, 'm', 'photos', NULL, '2026-01-31T12:00:00.000Z');`,
    1,
  ],
  'a table without rowids': [
    `${V1.replace(FILE_TABLE, 'CREATE TABLE file_hashes (hash PRIMARY KEY, file_path, file_name, file_size, mime_type, upload_service, upload_id, chat_id, uploaded_at) WITHOUT ROWID;')}
     INSERT INTO file_hashes VALUES ('h', 'p', 'n', 1, 'm', 'photos', NULL, 'c', '2026-01-31T12:00:00.000Z');`,
    1,
  ],
  'rows that the rules do not accept': [
    `${V1.replace(FILE_TABLE, 'CREATE TABLE file_hashes (hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, chat_id, uploaded_at);')}
     INSERT INTO file_hashes VALUES ('h', 'p', 'n', 1, 'm', 'photos', NULL, 'c', '2026-01-31T12:00:00.000Z');
     INSERT INTO file_hashes SELECT * FROM file_hashes;
     INSERT INTO file_hashes VALUES (NULL, 'p', 'n', 1, 'm', 'photos', NULL, 'c', 't'), (x'00', 'p', 'n', 1, 'm', 'photos', NULL, 'c', 't'),
       ('a', 'p', 'n', 'many', 'm', 'photos', NULL, 'c', 't'), ('b', 'p', 'n', 1, 'm', 'cloud', NULL, 'c', 't'),
       ('c', CAST(x'ff' AS TEXT), 'n', 1, 'm', 'photos', NULL, 'c', 't'), ('d', 'p', 'n', 9223372036854775807, 'm', 'photos', NULL, 'c', 't');`,
    1,
    7,
  ],
};

for (const [name, [sql, expected, skipped = 0]] of Object.entries(HOSTILE)) {
  test(`a file from elsewhere: ${name}`, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'ledger.db');
    const source = path.join(folder, 'hostile');
    makeFile(source, sql);
    const bytes = fs.readFileSync(source);
    const db = await openLedger(t, { path: file });
    await fill(db, 'old', 3);
    const schema = () => query(file, 'SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name');
    const v1 = schema();
    if (typeof expected === 'string') {
      await assert.rejects(db.restore(source), code(expected));
      assert.equal((await db.getStats()).totalFiles, 3);
    } else {
      const { tables } = await db.restore(source);
      assert.deepEqual(tables.file_hashes, { restored: expected, skipped });
      assert.equal((await db.findFileHashes('c')).length, expected);
      assert.equal(await db.getSchemaVersion(), 1);
    }
    assert.deepEqual(schema(), v1, 'nothing of the file is kept but rows');
    assert.deepEqual(fs.readFileSync(source), bytes, 'the file was written to');
    assert.deepEqual(
      fs.readdirSync(folder).filter((entry) => entry.startsWith('hostile') && entry !== 'hostile'),
      [],
    );
  });
}

test('errors without their session are skipped, unless the ledger allows them', async (t) => {
  const folder = makeFolder(t);
  const source = path.join(folder, 'orphans');
  makeFile(
    source,
    `PRAGMA foreign_keys = OFF; ${V1} INSERT INTO upload_errors VALUES (1, 'none', 'p', 't', 'm', 0, '2026-01-31T12:00:00.000Z');`,
  );
  for (const enableForeignKeys of [true, false]) {
    const db = await openLedger(t, { enableForeignKeys });
    const { tables } = await db.restore(source);
    const expected = enableForeignKeys ? { restored: 0, skipped: 1 } : { restored: 1, skipped: 0 };
    assert.deepEqual(tables.upload_errors, expected);
  }
});

test('a damaged file is refused, wherever the damage is', async (t) => {
  const folder = makeFolder(t);
  const db = await openLedger(t, { path: path.join(folder, 'ledger.db') });
  await fill(db, 'old', 3000);
  const good = path.join(folder, 'good');
  await db.backup(good);
  const bytes = fs.readFileSync(good);
  const bad = path.join(folder, 'bad');
  let refused = 0;
  let restored = 0;
  // Seed 7: a linear congruential generator.
  let state = 7;
  const random = (limit) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state % limit;
  };
  for (let round = 0; round < 25; round += 1) {
    const damaged = Buffer.from(bytes);
    if (round % 5 === 0) damaged.copyWithin(4096 * random(bytes.length / 4096), 4096 * random(20), 4096 * 21);
    else for (let count = 0; count < 40; count += 1) damaged[100 + random(bytes.length - 100)] = random(256);
    fs.writeFileSync(bad, damaged);
    try {
      const { tables } = await db.restore(bad);
      assert.ok(tables.file_hashes.restored <= 3000);
      restored += 1;
    } catch (error) {
      assert.match(
        error.code,
        /^(SQLITE_CORRUPT.*|DB_NOT_RESTORABLE|DB_SCHEMA_TOO_NEW|SQLITE_NOTADB|DB_INVALID_DATA|SQLITE_IOERR.*)$/,
        error.message,
      );
      refused += 1;
    }
    fs.rmSync(bad);
  }
  t.diagnostic(`25 damaged files: ${refused} refused, ${restored} with damage that no check can see`);
  assert.ok(refused >= 10);
  assert.equal(query(path.join(folder, 'ledger.db'), 'PRAGMA integrity_check')[0].integrity_check, 'ok');
});

test('a damaged ledger can be restored over, and is kept as it is', async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'ledger.db');
  const backup = path.join(folder, 'a.backup');
  const first = await openLedger(t, { path: file });
  await fill(first, 'old', 2000);
  await first.backup(backup);
  await first.disconnect();
  const bytes = damageFile(file);
  const db = new DatabaseManager({ path: file });
  await db.connect();
  t.after(() => db.disconnect());
  const { kept } = await db.restore(backup);
  assert.equal((await db.findFileHashes('chat123')).length, 2000);
  assert.equal(query(file, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
  const damage = (content) => content.subarray(DAMAGE.start, DAMAGE.end);
  assert.deepEqual(damage(fs.readFileSync(kept)), damage(bytes));
});

test('kill -9 leaves the old state or the restored one', { skip: IS_WINDOWS }, async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'ledger.db');
  const backup = path.join(makeFolder(t), 'a.backup');
  const db = await openLedger(t, { path: file });
  await fill(db, 'old', 2000);
  await db.backup(backup);
  await fill(db, 'new', 1000);
  await db.disconnect();
  const script = `
    const { DatabaseManager } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
    (async () => {
      const db = new DatabaseManager({ path: ${JSON.stringify(file)} });
      await db.connect();
      process.send('ready');
      await db.restore(${JSON.stringify(backup)});
      setInterval(() => {}, 1000);
    })();`;
  const found = { 2000: 0, 3000: 0 };
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(child, 'message');
    await new Promise((resolve) => setTimeout(resolve, 4 + round * 6));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const after = new DatabaseManager({ path: file });
    await after.connect();
    const { totalFiles } = await after.getStats();
    found[totalFiles] += 1;
    if (totalFiles === 2000) await fill(after, 'new', 1000);
    await after.disconnect();
    assert.equal(query(file, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
  }
  t.diagnostic(`12 kills: ${found[3000]} before the commit, ${found[2000]} after it`);
  assert.equal(found[2000] + found[3000], 12);
  assert.ok(found[3000] > 0);
});
