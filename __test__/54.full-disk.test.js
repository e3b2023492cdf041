'use strict';

/**
 * A full disk: a typed error, acknowledged rows intact, nothing of a lost transaction kept, and
 * a manager that works on. Played where the disk can be made small (a tmpfs, as root), and
 * everywhere under a limit on the size of the process's files.
 */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { DatabaseError, DatabaseManager, createConnection } = require('../index.js');
const native = require('../lib/native.js');
const { makeFolder, newError, newFileHash, newSession, openLedger } = require('./support/ledger.js');

const SCENE = path.join(__dirname, 'support', 'full-disk.js');

/** What every full disk must come to; the code depends on how the disk says that it is full. */
function assertScene({ status, stdout, stderr }, folder, full) {
  assert.equal(status, 0, stderr);
  const outcomes = JSON.parse(stdout);
  const shown = JSON.stringify(outcomes, null, 1);
  const failed = (name, operation, code = full) => {
    const outcome = outcomes[name];
    assert.ok(outcome, `${name} must fail: ${shown}`);
    assert.ok(outcome.typed && !outcome.secret, `${name}: ${shown}`);
    assert.match(outcome.code, code, `${name}: ${shown}`);
    assert.deepEqual([outcome.operation, outcome.retryable], [operation, false], `${name}: ${shown}`);
  };
  const aborted = /^DB_TRANSACTION_(ABORTED|FINISHED)$/;
  const either = new RegExp(`${full.source}|${aborted.source}`);
  failed('write', 'setConfig');
  failed('write in transaction', 'setConfig');
  failed('write in the lost transaction', 'addFileHash', aborted);
  failed('read in the lost transaction', 'isFileUploaded', aborted);
  failed('transaction', 'transaction', aborted);
  assert.match(outcomes.transaction.cause, full);
  failed('nested transaction', 'setConfig', either);
  failed('call that waited for the nested one', 'addFileHash', aborted);
  failed('transaction with a nested one', 'transaction', aborted);
  failed('transaction that catches the error', 'transaction', aborted);
  failed('synchronous transaction', 'run');
  for (const name of [
    'write after it',
    'read after it',
    'write from outside',
    'synchronous write after it',
    'delete',
    'last write',
    'write after connecting again',
  ]) {
    assert.equal(outcomes[name], null, `${name} must work: ${shown}`);
  }

  const connection = createConnection({ path: path.join(folder, 'ledger.db') });
  const hashes = connection.all('SELECT hash FROM file_hashes').map(({ hash }) => hash);
  const keys = connection.all('SELECT key FROM config').map(({ key }) => key);
  assert.deepEqual(connection.getDatabase().pragma('integrity_check', { simple: true }), 'ok');
  connection.close();
  assert.deepEqual(
    hashes.filter((hash) => hash.startsWith('lost')),
    [],
    'nothing of a lost transaction is kept',
  );
  const kept = Array.from({ length: 19 }, (_, n) => `kept-${n + 1}`);
  kept.push('kept-after-write', 'kept-from-outside', 'kept-last', 'kept-again');
  assert.deepEqual(hashes.sort(), kept.sort(), 'acknowledged rows are intact');
  assert.deepEqual(keys, ['kept']);
}

/** How a disk that ends by a limit says so. */
const LIMITED = /^SQLITE_(FULL|IOERR_WRITE|IOERR_TRUNCATE)$/;

/** Plays the scene with files of at most so many units of 512 bytes, or 1 KB, as the shell has it. */
function playUnderLimit(folder, units) {
  const script = `ulimit -f ${units} && exec "$0" "$@"`;
  return spawnSync('sh', ['-c', script, process.execPath, SCENE, folder], { encoding: 'utf8' });
}

test('under a limit on the size of files', (t) => {
  const folder = makeFolder(t);
  assertScene(playUnderLimit(folder, 4096), folder, LIMITED);
});

/** Fills the rest of a small disk, and finds the manager working as soon as there is space again. */
async function fillAndFree(folder) {
  const ballast = path.join(folder, 'ballast');
  const db = new DatabaseManager({ path: path.join(folder, 'second.db') });
  await db.connect();
  await db.initializeSchema();
  await db.addFileHash(newFileHash('kept'));
  assert.throws(() => fs.writeFileSync(ballast, Buffer.alloc(8_000_000)), { code: 'ENOSPC' });
  let written = 0;
  const write = async () => {
    for (; written < 60; written += 1) {
      await db.addFileHash(newFileHash(`h-${written}`, { file_path: 'x'.repeat(5000) }));
    }
  };
  await assert.rejects(write(), { code: 'SQLITE_FULL', operation: 'addFileHash', retryable: false });
  await assert.rejects(
    db.transaction(() => db.addFileHash(newFileHash('lost', { file_path: 'x'.repeat(50_000) }))),
    { code: 'SQLITE_FULL', operation: 'transaction' },
  );
  assert.equal(await db.isFileUploaded('kept'), true);
  assert.equal((await db.getStats()).totalFiles, written + 1);
  fs.rmSync(ballast);
  await write();
  await db.transaction(() => db.addFileHash(newFileHash('kept too')));
  await db.vacuum();
  assert.equal((await db.getStats()).totalFiles, 62);
  await db.disconnect();
}

/** Fills the disk to its last block, and deletes. */
async function fillAndDelete(folder) {
  const ballast = path.join(folder, 'ballast');
  const db = new DatabaseManager({ path: path.join(folder, 'third.db') });
  await db.connect();
  await db.initializeSchema();
  const session = await db.createSession(newSession());
  await db.addFileHashes(Array.from({ length: 500 }, (_, n) => newFileHash(`h-${n}`)));
  await db.logErrors(Array.from({ length: 50 }, () => newError(session)));
  await db.setConfig('theme', 'dark');
  // All of it is in the file now, and the log that is begun anew as long as what comes next.
  await db.disconnect();
  await db.connect();
  for (let n = 0; n < 60; n += 1) await db.incrementSession(session, { success_count: 1 });
  const descriptor = fs.openSync(ballast, 'w');
  assert.throws(
    () => {
      while (true) fs.writeSync(descriptor, Buffer.alloc(4096));
    },
    { code: 'ENOSPC' },
  );
  fs.closeSync(descriptor);
  assert.equal(fs.statfsSync(folder).bavail, 0);
  await assert.rejects(db.addFileHash(newFileHash('none', { file_path: 'x'.repeat(50_000) })), { code: 'SQLITE_FULL' });

  await db.deleteFileHash('h-0');
  await Promise.all(Array.from({ length: 300 }, (_, n) => db.deleteFileHash(`h-${n + 1}`)));
  await db.clearErrors(session);
  await db.deleteConfig('theme');
  await db.deleteSession(session);
  for (let n = 301; n < 500; n += 1) await db.deleteFileHash(`h-${n}`);
  await db.addFileHash(newFileHash('in the space that was made'));
  assert.equal(fs.statfsSync(folder).bavail, 0);
  assert.equal((await db.getStats()).totalFiles, 1);
  assert.equal((await db.checkIntegrity()).ok, true);
  await db.disconnect();
}

test('on a small disk, and after there is space again', async (t) => {
  const folder = path.join(makeFolder(t), 'disk');
  fs.mkdirSync(folder);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=5m', 'tmpfs', folder], { encoding: 'utf8' });
  if (mounted.status === 0) {
    try {
      assertScene(spawnSync(process.execPath, [SCENE, folder], { encoding: 'utf8' }), folder, /^SQLITE_FULL$/);
      for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name));
      await fillAndFree(folder);
      for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name));
      await fillAndDelete(folder);
    } finally {
      spawnSync('umount', ['-l', folder]);
    }
  } else {
    t.diagnostic(`no tmpfs here (${mounted.error?.code ?? mounted.stderr.trim()}): a limit stands for the disk`);
    assertScene(playUnderLimit(folder, 5120), folder, LIMITED);
  }
});

test('each kind of deletion is tried again once there is room, and nothing else is', async (t) => {
  const db = await openLedger(t);
  const session = await db.createSession(newSession());
  const checkpoint = t.mock.method(native.Ledger.prototype, 'checkpoint');
  const failOnce = (name) => {
    const full = new DatabaseError('made up', { code: 'SQLITE_FULL', operation: name, errno: 13 });
    t.mock.method(native.Ledger.prototype, name).mock.mockImplementationOnce(() => {
      throw full;
    });
  };
  for (const name of ['deleteFileHash', 'clearErrors', 'deleteConfig', 'deleteSession']) {
    failOnce(name);
    checkpoint.mock.resetCalls();
    await db[name](session);
    assert.equal(checkpoint.mock.callCount(), 1, name);
  }
  failOnce('setConfig');
  await assert.rejects(db.setConfig('key', 1), { code: 'SQLITE_FULL' });
});
