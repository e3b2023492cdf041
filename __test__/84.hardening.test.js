'use strict';

/**
 * What a file's surroundings may do: two names of one file are one ledger, whatever stands at the
 * path is judged before it is opened, nobody else may read the files, and what is deleted is gone.
 */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { setImmediate: nextTurn } = require('node:timers/promises');
const { DatabaseManager, createConnection } = require('../index.js');
const { makeFolder, newFileHash } = require('./support/ledger.js');

const isWindows = process.platform === 'win32';
const ROOT = path.join(__dirname, '..');

async function open(file) {
  const db = new DatabaseManager({ path: file });
  await db.connect();
  await db.initializeSchema();
  return db;
}

/** Adds a hash from a process of its own. */
function addElsewhere(file, hash) {
  const script = `
    const { DatabaseManager } = require(${JSON.stringify(ROOT)});
    const { newFileHash } = require(${JSON.stringify(path.join(__dirname, 'support', 'ledger.js'))});
    (async () => {
      const db = new DatabaseManager({ path: ${JSON.stringify(file)} });
      await db.connect();
      await db.addFileHash(newFileHash(${JSON.stringify(hash)}));
      await db.disconnect();
    })();`;
  execFileSync(process.execPath, ['-e', script]);
}

test('a file and a symbolic link to it are one ledger, in one process and in two', async (t) => {
  if (isWindows) return t.diagnostic('symbolic links need a privilege here');
  const folder = makeFolder(t);
  const [real, link] = [path.join(folder, 'real', 'ledger.db'), path.join(folder, 'link.db')];
  fs.mkdirSync(path.dirname(real));
  const first = await open(real);
  fs.symlinkSync(real, link);
  const second = await open(link);
  await Promise.all(Array.from({ length: 50 }, (_, n) => (n % 2 ? first : second).addFileHash(newFileHash(`h-${n}`))));
  addElsewhere(link, 'elsewhere by link');
  addElsewhere(real, 'elsewhere by name');
  for (const db of [first, second]) {
    assert.equal((await db.getStats()).totalFiles, 52);
    assert.ok((await db.getStats()).walSize > 0, 'the log is found by either name');
  }
  assert.deepEqual(fs.readdirSync(folder).sort(), ['link.db', 'real'], 'nothing stands beside the link');
  await first.disconnect();
  await second.disconnect();
});

test('a file replaced behind a symbolic link has its log set aside beside itself', async (t) => {
  if (isWindows) return t.diagnostic('an open file cannot be replaced here');
  const folder = makeFolder(t);
  const [real, link] = [path.join(folder, 'real', 'ledger.db'), path.join(folder, 'link.db')];
  const fresh = path.join(folder, 'real', 'fresh.db');
  fs.mkdirSync(path.dirname(real));
  await (await open(fresh)).disconnect();
  await (await open(real)).disconnect();
  fs.symlinkSync(real, link);
  const db = await open(link);
  await db.addFileHash(newFileHash('old'));
  fs.renameSync(fresh, real);
  // The file is looked at once a turn.
  await nextTurn();
  assert.equal(await db.isFileUploaded('old'), false, 'the old log is not played into the new file');
  await db.addFileHash(newFileHash('new'));
  assert.equal(await db.isFileUploaded('new'), true);
  await db.disconnect();
  const aside = fs.readdirSync(path.dirname(real)).filter((name) => name.startsWith('ledger.db-wal.replaced-'));
  assert.equal(aside.length, 1);
});

test('special files are refused by their kind', async (t) => {
  if (isWindows) return t.diagnostic('there are none here');
  const folder = makeFolder(t);
  const fifo = path.join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const link = path.join(folder, 'link');
  fs.symlinkSync(fifo, link);
  for (const special of [fifo, link, '/dev/null', folder]) {
    await assert.rejects(new DatabaseManager({ path: special }).connect(), { code: 'DB_NOT_A_FILE' }, special);
    assert.throws(() => createConnection({ path: special }), { code: 'DB_NOT_A_FILE' }, special);
  }
});

test('the file, its log and its index are their owner’s alone, whatever the umask', async (t) => {
  if (isWindows) return t.diagnostic('there are no modes here');
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const file = path.join(makeFolder(t), 'ledger.db');
  const db = await open(file);
  await db.addFileHash(newFileHash('h'));
  for (const suffix of ['', '-wal', '-shm']) {
    assert.equal(fs.statSync(file + suffix).mode & 0o777, 0o600, suffix);
  }
  await db.disconnect();
});

test('a setting that was deleted or written over is nowhere in the file', async (t) => {
  const file = path.join(makeFolder(t), 'ledger.db');
  const canary = 'canary-5ecre7';
  const db = await open(file);
  for (let n = 0; n < 40; n += 1) await db.setConfig(`around-${n}`, 'x'.repeat(300));
  for (const [key, times] of Object.entries({ small: 1, large: 2000 })) {
    await db.setConfig(`deleted ${key}`, canary.repeat(times));
    await db.setConfig(`written over ${key}`, canary.repeat(times));
  }
  // The file must have held it: closing moves the log there.
  await db.disconnect();
  assert.ok(fs.readFileSync(file).includes(canary));
  await db.connect();
  for (const key of ['small', 'large']) {
    await db.deleteConfig(`deleted ${key}`);
    await db.setConfig(`written over ${key}`, 1);
  }
  await db.disconnect();
  assert.ok(!fs.readFileSync(file).includes(canary));
});

test('a caller’s own connection may attach; a database in memory can be vacuumed', async (t) => {
  const connection = createConnection({ path: path.join(makeFolder(t), 'ledger.db') });
  connection.run("ATTACH ':memory:' AS other");
  connection.close();
  const db = await open(':memory:');
  await db.vacuum();
  assert.ok((await db.getStats()).lastVacuum);
  await db.disconnect();
});
