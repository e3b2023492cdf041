'use strict';

/** Several handles of one process on one file: a commit of one is never hidden by another's snapshot. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { createConnection } = require('../index.js');
const { makeFolder, newFileHash, openLedger } = require('./support/ledger.js');

/** Reads often enough that a snapshot is held for the rest of the turn. */
async function holdSnapshot(db) {
  for (let n = 0; n < 5; n += 1) assert.equal(await db.isFileUploaded('h'), false);
}

test('a synchronous commit is seen in the same turn of the loop', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  const insert = `INSERT INTO file_hashes (hash, file_path, file_name, file_size, mime_type, upload_service, chat_id,
    uploaded_at) VALUES (?, 'p', 'n', 1, 'm', 'photos', 'c', '2026-01-31T12:00:00.000Z')`;
  await holdSnapshot(db);
  connection.run(insert, ['h']);
  assert.equal(await db.isFileUploaded('h'), true);
  connection.transaction(() => {
    connection.run(insert, ['i']);
    connection.run(insert, ['j']);
  });
  assert.deepEqual(await Promise.all(['i', 'j', 'k'].map((hash) => db.isFileUploaded(hash))), [true, true, false]);
  connection.exec('DELETE FROM file_hashes');
  assert.equal(await db.isFileUploaded('h'), false);
});

test('so is the commit of another manager, and of a transaction of its own', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const one = await openLedger(t, { path: file });
  const two = await openLedger(t, { path: file });
  await holdSnapshot(one);
  await two.addFileHash(newFileHash('h'));
  assert.equal(await one.isFileUploaded('h'), true);
  await two.deleteFileHash('h');
  await holdSnapshot(one);
  await holdSnapshot(two);
  await one.transaction(async () => {
    await one.addFileHash(newFileHash('h'));
    assert.equal(await two.isFileUploaded('h'), false);
  });
  assert.equal(await two.isFileUploaded('h'), true);
  assert.equal(await one.isFileUploaded('h'), true);
});

test('reads outside a transaction see the commit of the one before, in the same turn', async (t) => {
  const db = await openLedger(t, { path: path.join(makeFolder(t), 'a.db') });
  for (let round = 0; round < 20; round += 1) {
    const hash = `h${round}`;
    let release;
    const first = db.transaction(() => db.addFileHash(newFileHash(hash)));
    const second = db.transaction(
      () =>
        new Promise((resolve) => {
          release = resolve;
        }),
    );
    await first;
    // The second is open: outside reads come from the other handle.
    for (let n = 0; n < 1000 && !release; n += 1) await null;
    for (let n = 0; n < 3; n += 1) assert.equal(await db.isFileUploaded(hash), true);
    release();
    await second;
  }
});

test('a foreign commit is not seen by the reads of one turn, which share a snapshot, and is in the next', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const { spawnSync } = require('node:child_process');
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
  // What a write leaves to do at its turn's end would let go of a snapshot too.
  await db.isFileUploaded('h');
  await nextTurn();
  await nextTurn();
  // The other process takes longer than a turn may last.
  const now = performance.now();
  t.mock.method(performance, 'now', () => now);
  await holdSnapshot(db);
  const script = `const { DatabaseManager } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const db = new DatabaseManager({ path: ${JSON.stringify(file)} });
    db.connect().then(() => db.addFileHash(${JSON.stringify(newFileHash('h'))})).then(() => db.disconnect());`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(await db.isFileUploaded('h'), false);
  t.mock.restoreAll();
  await nextTurn();
  assert.equal(await db.isFileUploaded('h'), true);
});

test('a ledger that a connection has attached is waited for, and its commits are seen in the next turn', async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'a.db');
  const db = await openLedger(t, { path: file });
  const connection = createConnection({ path: path.join(folder, 'b.db'), timeout: 1000 });
  t.after(() => connection.close());
  connection.run('ATTACH ? AS ledger', [file]);
  const write = () => connection.run("INSERT INTO ledger.config (key, value) VALUES ('key', '1')");
  await db.transaction(async () => {
    await db.setConfig('inside', 1);
    const begun = performance.now();
    assert.throws(write, { code: 'SQLITE_BUSY', retryable: true });
    assert.ok(performance.now() - begun > 900);
  });
  write();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await db.getConfig('key'), 1);
});
