'use strict';

/** Checking: connected or not, damage is a finding; what is sound has none. */

const assert = require('node:assert/strict');
const { copyFileSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { DatabaseError, DatabaseManager, createConnection } = require('../index.js');
const { makeFolder, makeRandom, newError, newFileHash, newSession, openLedger } = require('./support/ledger.js');

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const sha = (n) => n.toString(16).padStart(64, '0');

/** A ledger with some rows, and copies of its files that nobody has open. */
async function makeCopy(t) {
  const folder = makeFolder(t);
  const db = await openLedger(t, { path: path.join(folder, 'live.db') });
  const id = await db.createSession(newSession({ error_count: 1, processed_files: 1 }));
  await db.logError(newError(id));
  for (let n = 0; n < 20; n += 1) await db.addFileHash(newFileHash(sha(n)));
  const file = path.join(folder, 'copy.db');
  // Read through links of the names: the live file itself is not opened here.
  const log = readFileSync(`${folder}/live.db-wal`);
  await db.disconnect();
  copyFileSync(path.join(folder, 'live.db'), file);
  return { folder, file, log };
}

test('a sound ledger has no findings: in use, closed, in memory', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const id = await db.createSession(newSession({ error_count: 1, processed_files: 1 }));
  await db.logError(newError(id));
  await db.addFileHash(newFileHash(sha(1)));
  assert.deepEqual(await db.checkIntegrity(), { ok: true, findings: [] });
  assert.deepEqual(await db.checkIntegrity({ deep: true, max_ms: 60_000 }), { ok: true, findings: [] });
  await db.transaction(async () => {
    await db.addFileHash(newFileHash(sha(2)));
    assert.deepEqual(await db.checkIntegrity(), { ok: true, findings: [] });
  });
  await db.disconnect();
  const before = readFileSync(file);
  assert.deepEqual(await db.checkIntegrity(), { ok: true, findings: [] });
  assert.deepEqual(readFileSync(file), before);
  const memory = await openLedger(t, { path: ':memory:' });
  assert.deepEqual(await memory.checkIntegrity({ deep: true }), { ok: true, findings: [] });
});

test('checks beside writers report nothing that is not there', async (t) => {
  const db = await openLedger(t);
  let isOver = false;
  const writing = (async () => {
    for (let n = 0; !isOver; n += 1) await db.addFileHash(newFileHash(sha(n), { file_path: 'x'.repeat(n % 3000) }));
  })();
  for (let n = 0; n < 15; n += 1) assert.deepEqual(await db.checkIntegrity(), { ok: true, findings: [] });
  isOver = true;
  await writing;
});

test('what rows should not hold is found, and told without values', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, enableForeignKeys: false });
  await db.createSession(newSession());
  await db.addFileHash(newFileHash('canary-hash'));
  await db.logError(newError('canary-session'));
  const connection = createConnection({ path: file });
  connection.run("UPDATE upload_sessions SET start_time = 'canary-time'");
  connection.close();
  const { ok, findings } = await db.checkIntegrity();
  assert.equal(ok, false);
  const found = findings.map(({ kind, severity, table, count }) => ({ kind, severity, table, count }));
  assert.deepEqual(found, [
    { kind: 'orphans', severity: 'fault', table: 'upload_errors', count: 1 },
    { kind: 'hash', severity: 'remark', table: 'file_hashes', count: 1 },
    { kind: 'timestamp', severity: 'fault', table: 'upload_sessions', count: 1 },
  ]);
  assert.ok(!JSON.stringify(findings).includes('canary'));
});

test('flipped bits of the file are survived, and those of a log reported', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = makeRandom(SEED);
  const { file, log } = await makeCopy(t);
  const db = new DatabaseManager({ path: file });
  const sound = readFileSync(file);
  for (let round = 0; round < 60; round += 1) {
    const bytes = Buffer.from(sound);
    bytes[Math.floor(random() * bytes.length)] ^= 1 << Math.floor(random() * 8);
    writeFileSync(file, bytes);
    const report = await db.checkIntegrity({ deep: true });
    assert.equal(typeof report.ok, 'boolean');
  }
  writeFileSync(file, sound);
  let reported = 0;
  const rounds = 100;
  for (let round = 0; round < rounds; round += 1) {
    const bytes = Buffer.from(log);
    bytes[Math.floor(random() * bytes.length)] ^= 1 << Math.floor(random() * 8);
    writeFileSync(`${file}-wal`, bytes);
    const { findings } = await db.checkIntegrity();
    rmSync(`${file}-shm`, { force: true });
    reported += findings.some(({ kind }) => kind.startsWith('log_'));
  }
  t.diagnostic(`${reported} of ${rounds} flips reported`);
  assert.ok(reported >= rounds * 0.99);
});

test('a file that cannot be opened is checked even so', async (t) => {
  const { folder, file } = await makeCopy(t);
  const db = new DatabaseManager({ path: file });
  writeFileSync(file, Buffer.concat([Buffer.alloc(4096), readFileSync(file).subarray(4096)]));
  const { ok, findings } = await db.checkIntegrity();
  assert.ok(!ok && findings[0].kind === 'unreadable', JSON.stringify(findings));
  assert.match(findings[0].message, /repair\(\)/);
  await assert.rejects(db.connect(), (error) => error.code === 'SQLITE_NOTADB' && /repair\(\)/.test(error.message));
  assert.ok(!readdirSync(folder).some((name) => name.includes('corrupt')), 'nothing is repaired by itself');
  truncateSync(file, 0);
  const empty = await db.checkIntegrity();
  assert.deepEqual(
    empty.findings.map(({ kind, severity }) => `${kind} ${severity}`),
    ['schema remark'],
  );
  rmSync(file);
  await assert.rejects(db.checkIntegrity(), { code: 'DB_FILE_MISSING', operation: 'checkIntegrity' });
});

test('a check ends by time and by signal, and refuses what is no option', async (t) => {
  const db = await openLedger(t);
  const { ok, findings } = await db.checkIntegrity({ max_ms: 0 });
  assert.deepEqual([ok, findings.map(({ kind }) => kind)], [true, ['not_finished']]);
  await assert.rejects(db.checkIntegrity({ signal: AbortSignal.abort('no') }), { code: 'DB_ABORTED' });
  await db.addFileHashes(Array.from({ length: 20_000 }, (_, n) => newFileHash(sha(n))));
  const controller = new AbortController();
  const check = db.checkIntegrity({ deep: true, signal: controller.signal });
  setTimeout(() => controller.abort(), 3);
  await assert.rejects(check, { code: 'DB_ABORTED', operation: 'checkIntegrity' });
  const closing = assert.rejects(db.checkIntegrity({ deep: true }), { code: 'DB_NOT_CONNECTED' });
  await db.disconnect();
  await closing;
  for (const options of [{ deep: 1 }, { max_ms: -1 }, { max_ms: 0.5 }, { max_ms: '1' }, 5]) {
    await assert.rejects(db.checkIntegrity(options), (error) => {
      assert.ok(error instanceof DatabaseError);
      return error.code === 'DB_INVALID_ARGUMENT';
    });
  }
  const memory = new DatabaseManager({ path: ':memory:' });
  await assert.rejects(memory.checkIntegrity(), { code: 'DB_NOT_CONNECTED' });
});
