'use strict';

/** File hashes: deduplication, conflicts, order. */

const assert = require('node:assert/strict');
const test = require('node:test');
const { newFileHash, openLedger } = require('./support/ledger.js');

test('a recorded file is known and read back whole', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const given = newFileHash('sha256-hash', { upload_service: 'drive', file_size: 0 });
  assert.equal(await db.isFileUploaded('sha256-hash'), false);
  assert.equal(await db.getFileHash('sha256-hash'), undefined);
  await db.addFileHash(given);
  assert.equal(await db.isFileUploaded('sha256-hash'), true);
  assert.deepEqual(await db.getFileHash('sha256-hash'), given);
});

test('optional fields may be left out or null', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  for (const [hash, none] of [
    ['a', undefined],
    ['b', null],
  ]) {
    await db.addFileHash(newFileHash(hash, { upload_id: none, uploaded_at: none }));
    const file = await db.getFileHash(hash);
    assert.equal('upload_id' in file, false);
    assert.ok(Math.abs(Date.parse(file.uploaded_at) - Date.now()) < 60_000);
  }
});

test('a hash that is there: refused, ignored or replaced in its place', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const first = newFileHash('h');
  const second = newFileHash('h', { file_path: '/other', file_name: 'o', file_size: 9, upload_id: undefined });
  await db.addFileHash(first);
  await db.addFileHash(newFileHash('later'));
  await assert.rejects(db.addFileHash(second), {
    name: 'DatabaseError',
    code: 'SQLITE_CONSTRAINT_PRIMARYKEY',
    errno: 1555,
    operation: 'addFileHash',
    retryable: false,
  });
  assert.deepEqual(await db.getFileHash('h'), first);
  await db.addFileHash(second, { onConflict: 'ignore' });
  assert.deepEqual(await db.getFileHash('h'), first);
  await db.addFileHash(second, { onConflict: 'replace' });
  const replaced = await db.getFileHash('h');
  assert.equal(replaced.file_path, '/other');
  assert.equal('upload_id' in replaced, false);
  assert.deepEqual(
    (await db.findFileHashes('chat123')).map(({ hash }) => hash),
    ['h', 'later'],
  );
  for (const onConflict of ['ignore', 'replace', null, undefined]) {
    await db.addFileHash(newFileHash(`new-${onConflict}`), { onConflict });
    assert.ok(await db.isFileUploaded(`new-${onConflict}`));
  }
});

test('a chat has its files in the order of insertion', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  for (const hash of ['z', 'a', 'm']) await db.addFileHash(newFileHash(hash));
  await db.addFileHash(newFileHash('other', { chat_id: 'elsewhere' }));
  assert.deepEqual(
    (await db.findFileHashes('chat123')).map(({ hash }) => hash),
    ['z', 'a', 'm'],
  );
  await db.vacuum();
  await db.addFileHash(newFileHash('b'));
  assert.deepEqual(
    (await db.findFileHashes('chat123')).map(({ hash }) => hash),
    ['z', 'a', 'm', 'b'],
  );
  assert.deepEqual(await db.findFileHashes('nobody'), []);
});

test('a forgotten hash is unknown again', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  await db.addFileHash(newFileHash('h'));
  await db.deleteFileHash('h');
  await db.deleteFileHash('h');
  assert.equal(await db.isFileUploaded('h'), false);
});

test('a record that was read can be written again', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  await db.addFileHash(newFileHash('h'));
  const file = await db.getFileHash('h');
  await db.deleteFileHash('h');
  await db.addFileHash(file);
  assert.deepEqual(await db.getFileHash('h'), file);
});
