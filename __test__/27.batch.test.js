'use strict';

/** Batches of the manager: an outcome for each record, one transaction for all. 25 is about the addon's part. */

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const test = require('node:test');
const { createConnection, DatabaseError, DatabaseManager } = require('../index.js');
const native = require('../lib/native.js');
const { holdTransaction, sleep } = require('./support/hold.js');
const { makeFolder, newError, newFileHash, newSession, openLedger, stateOf } = require('./support/ledger.js');

const SUPPORT = path.join(__dirname, 'support');

const makeFiles = (count, prefix = 'h') =>
  Array.from({ length: count }, (_, index) => newFileHash(`${prefix}${index}`));

/** Each outcome in a word: its value, or its error's code. */
const wordsOf = (outcomes) => outcomes.map((outcome) => outcome.value ?? outcome.reason?.code ?? outcome.status);

const countFiles = async (db) => (await db.getStats()).totalFiles;

test('each record has its outcome, in the order of the records', async (t) => {
  const db = await openLedger(t);
  await db.addFileHash(newFileHash('known'));
  const records = [
    newFileHash('a'),
    newFileHash('known'),
    newFileHash('b', { file_size: -1 }),
    newFileHash('a'),
    null,
    newFileHash('c', { mime: 'x' }),
    newFileHash('', {}),
    newFileHash('d', { upload_service: 'ftp' }),
    newFileHash('e', { upload_id: null, uploaded_at: null }),
  ];
  const outcomes = await db.addFileHashes(records);
  assert.deepEqual(wordsOf(outcomes), [
    'added',
    'SQLITE_CONSTRAINT_PRIMARYKEY',
    'DB_INVALID_ARGUMENT',
    'SQLITE_CONSTRAINT_PRIMARYKEY',
    'DB_INVALID_ARGUMENT',
    'DB_INVALID_ARGUMENT',
    'DB_INVALID_ARGUMENT',
    'DB_INVALID_ARGUMENT',
    'added',
  ]);
  for (const [index, field] of [
    [2, 'records[2].file_size'],
    [4, 'records[4]'],
    [5, 'records[5].mime'],
    [6, 'records[6].hash'],
    [7, 'records[7].upload_service'],
  ]) {
    const { status, reason } = outcomes[index];
    assert.equal(status, 'rejected');
    assert.ok(reason instanceof DatabaseError);
    assert.deepEqual([reason.operation, reason.retryable], ['addFileHashes', false]);
    assert.ok(reason.message.startsWith(`addFileHashes: ${field} `), reason.message);
  }
  assert.equal(await countFiles(db), 3);
});

test('onConflict holds for every record of a batch', async (t) => {
  const db = await openLedger(t);
  const [first, second] = [newFileHash('a'), newFileHash('b')];
  await db.addFileHashes([first, second]);
  const changed = { ...first, file_size: 7 };
  const third = newFileHash('c');
  assert.deepEqual(wordsOf(await db.addFileHashes([changed, third, third], { onConflict: 'ignore' })), [
    'ignored',
    'added',
    'ignored',
  ]);
  assert.equal((await db.getFileHash('a')).file_size, 1024);
  assert.deepEqual(wordsOf(await db.addFileHashes([changed], { onConflict: 'replace' })), ['added']);
  assert.deepEqual(await db.findFileHashes('chat123'), [changed, second, third], 'in its place');
  assert.deepEqual(wordsOf(await db.addFileHashes([first], { onConflict: null })), ['SQLITE_CONSTRAINT_PRIMARYKEY']);
  await assert.rejects(db.addFileHashes([first], { onConflict: 'update' }), {
    code: 'DB_INVALID_ARGUMENT',
    operation: 'addFileHashes',
    message: /onConflict/,
  });
});

test('an empty batch refuses a wrong onConflict, too', async (t) => {
  const db = await openLedger(t);
  await assert.rejects(db.addFileHashes([], { onConflict: 'update' }), { code: 'DB_INVALID_ARGUMENT' });
});

test('batches of errors give their ids; batches of updates change each session', async (t) => {
  const db = await openLedger(t);
  for (const id of ['s', 'r']) await db.createSession(newSession({ id }));
  const logged = await db.logErrors([
    newError('s', { error_message: 'one' }),
    newError('none'),
    newError('s', { retry_count: 1.5 }),
    newError('r'),
    newError('s', { error_message: 'two' }),
  ]);
  assert.deepEqual(
    logged.map(({ status, reason }) => reason?.code ?? status),
    ['fulfilled', 'SQLITE_CONSTRAINT_FOREIGNKEY', 'DB_INVALID_ARGUMENT', 'fulfilled', 'fulfilled'],
  );
  assert.match(logged[2].reason.message, /^logErrors: records\[2\]\.retry_count /);
  assert.deepEqual(
    (await db.getErrors('s')).map(({ id, error_message }) => [id, error_message]),
    [
      [logged[0].value, 'one'],
      [logged[4].value, 'two'],
    ],
  );
  const updated = await db.updateSessions([
    { id: 's', changes: { status: 'paused' } },
    { id: 'none', changes: {} },
    { id: 'r', changes: { total_files: -1 } },
    { id: 's' },
    { id: 's', changes: { processed_files: 4 } },
  ]);
  assert.deepEqual(
    updated.map(({ status, reason }) => reason?.code ?? status),
    ['fulfilled', 'DB_NOT_FOUND', 'DB_INVALID_ARGUMENT', 'DB_INVALID_ARGUMENT', 'fulfilled'],
  );
  assert.match(updated[2].reason.message, /^updateSessions: records\[2\]\.changes\.total_files /);
  assert.match(updated[3].reason.message, /^updateSessions: records\[3\]\.changes /);
  const { status, processed_files: processed, last_update: time } = await db.getSession('s');
  assert.deepEqual([status, processed], ['paused', 4]);
  assert.ok(Date.parse(time) > Date.parse('2026-01-31T12:00:00.000Z'), 'last_update became now');
  assert.equal((await db.getSession('r')).total_files, 100);
});

test('findUploaded answers each hash in the order asked, and sees the writes before it', async (t) => {
  const db = await openLedger(t);
  db.addFileHashes(makeFiles(5000));
  const asked = ['z', 'h4999', 'h0', 'z', ...Array.from({ length: 9000 }, (_, index) => `h${8999 - index}`)];
  const found = await db.findUploaded(asked);
  assert.deepEqual([...found.keys()], [...new Set(asked)]);
  for (const [hash, isThere] of found) assert.equal(isThere, hash !== 'z' && Number(hash.slice(1)) < 5000, hash);
  assert.deepEqual(await db.findUploaded([]), new Map());
  await db.transaction(async () => {
    await db.deleteFileHash('h0');
    assert.deepEqual([...(await db.findUploaded(['h0', 'h1'])).values()], [false, true]);
  });
});

test('findUploaded names the hash that it refuses', async (t) => {
  const db = await openLedger(t);
  for (const hash of ['', 7, null, '\ud800']) {
    await assert.rejects(db.findUploaded(['a', hash]), { code: 'DB_INVALID_ARGUMENT', message: /hashes\[1\]/ });
  }
  for (const hashes of [undefined, 'a', new Set(['a'])]) {
    await assert.rejects(db.findUploaded(hashes), { code: 'DB_INVALID_ARGUMENT', message: /hashes must be an array/ });
  }
});

test('findUploaded names a refused hash far behind, too', async (t) => {
  const db = await openLedger(t);
  const hashes = Array.from({ length: 5000 }, (_, index) => `h${index}`);
  await assert.rejects(db.findUploaded([...hashes, '\ud800']), { message: /hashes\[5000\]/ });
});

test('empty batches and lists that are none', async (t) => {
  const db = await openLedger(t);
  for (const name of ['addFileHashes', 'logErrors', 'updateSessions']) {
    assert.deepEqual(await db[name]([]), []);
    for (const records of [undefined, null, {}, 'abc', new Set()]) {
      await assert.rejects(db[name](records), { code: 'DB_INVALID_ARGUMENT', operation: name, message: /records / });
    }
    await assert.rejects(db[name]([], { sygnal: 1 }), { code: 'DB_INVALID_ARGUMENT', message: /options\.sygnal/ });
  }
  await db.transaction(async () => assert.deepEqual(await db.logErrors([]), []));
  await db.disconnect();
  for (const name of ['addFileHashes', 'logErrors', 'updateSessions', 'findUploaded']) {
    await assert.rejects(db[name]([]), { code: 'DB_NOT_CONNECTED', operation: name });
  }
});

test('nobody ever sees half of a batch; reads made after it see all of it', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const other = new DatabaseManager({ path: file });
  await other.connect();
  t.after(() => other.disconnect());
  const watcher = spawn(process.execPath, [path.join(SUPPORT, 'batch-watcher.js'), file, '5000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => watcher.kill('SIGKILL'));
  let printed = '';
  watcher.stdout.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  const closed = once(watcher, 'close');
  await once(watcher.stdout, 'data');
  await sleep(20);
  const batch = db.addFileHashes(makeFiles(5000));
  const readAfter = db.isFileUploaded('h4999');
  const countAfter = countFiles(db);
  const seen = new Set();
  let turns = 0;
  while ((await stateOf(batch)) === 'pending' && turns < 10_000) {
    seen.add(await countFiles(other));
    await new Promise((resolve) => setImmediate(resolve));
    turns += 1;
  }
  assert.deepEqual(new Set(wordsOf(await batch)), new Set(['added']));
  assert.deepEqual([await readAfter, await countAfter], [true, 5000]);
  assert.equal(await countFiles(other), 5000);
  assert.ok(turns > 1, 'the loop had turns meanwhile');
  for (const count of seen) assert.ok(count === 0 || count === 5000, `${count} files were seen`);
  await closed;
  assert.deepEqual(JSON.parse(printed.match(/saw (.*)\n/)[1]), [0, 5000]);
});

test('inside a transaction a batch goes with it; in a nested one, with that', async (t) => {
  const db = await openLedger(t);
  for (const count of [10, 2000]) {
    await assert.rejects(
      db.transaction(async () => {
        assert.equal((await db.addFileHashes(makeFiles(count, 'x'))).length, count);
        assert.equal(await countFiles(db), count);
        throw new Error('undone');
      }),
      { message: 'undone' },
    );
    assert.equal(await countFiles(db), 0);
    await db.transaction(async () => {
      await db.addFileHash(newFileHash('outer'));
      const nested = db.transaction(async () => {
        await db.addFileHashes([...makeFiles(count, 'y'), newFileHash('outer')]);
        throw new Error('undone');
      });
      await assert.rejects(nested, { message: 'undone' });
      assert.equal(await countFiles(db), 1);
      const outcomes = await db.addFileHashes([...makeFiles(count, 'z'), newFileHash('outer')]);
      assert.equal(wordsOf(outcomes).at(-1), 'SQLITE_CONSTRAINT_PRIMARYKEY');
    });
    assert.equal(await countFiles(db), count + 1);
    for (const { hash } of await db.findFileHashes('chat123')) await db.deleteFileHash(hash);
  }
});

test('what the caller does to the records afterwards changes nothing', async (t) => {
  const db = await openLedger(t);
  await db.createSession(newSession({ id: 's' }));
  const open = await holdTransaction(db);
  const files = makeFiles(600);
  const updates = [{ id: 's', changes: { processed_files: 1 } }];
  const errors = [newError('s')];
  const hashes = ['h0', 'h599'];
  const options = { onConflict: 'ignore' };
  const calls = [
    db.addFileHashes(files, options),
    db.updateSessions(updates),
    db.logErrors(errors),
    db.findUploaded(hashes),
  ];
  for (const file of files) file.hash = 'changed';
  files.length = 1;
  updates[0].changes.processed_files = 99;
  errors[0].session_id = 'none';
  hashes[0] = 'none';
  options.onConflict = 'junk';
  await open.release();
  const [added, , logged, found] = await Promise.all(calls);
  assert.equal(added.length, 600);
  assert.equal(logged[0].status, 'fulfilled');
  assert.deepEqual(
    [...found],
    [
      ['h0', true],
      ['h599', true],
    ],
  );
  assert.equal(await db.isFileUploaded('changed'), false);
  assert.equal((await db.getSession('s')).processed_files, 1);
});

// --- what fails as a whole --------------------------------------------------------------------

test('an error at which SQLite rolls back rejects the whole', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const connection = createConnection({ path: file });
  connection.run(
    "CREATE TRIGGER lost BEFORE INSERT ON file_hashes WHEN NEW.hash = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'made up'); END",
  );
  connection.close();
  for (const records of [
    [newFileHash('a'), newFileHash('bad'), newFileHash('b')],
    [...makeFiles(2000), newFileHash('bad'), newFileHash('b')],
  ]) {
    await assert.rejects(db.addFileHashes(records), { code: 'SQLITE_CONSTRAINT_TRIGGER', operation: 'addFileHashes' });
    assert.equal(await countFiles(db), 0);
    const inside = db.transaction(async () => {
      await db.addFileHash(newFileHash('inside'));
      await db.addFileHashes(records).catch(() => {});
    });
    await assert.rejects(inside, { code: 'DB_TRANSACTION_ABORTED' });
    assert.equal(await countFiles(db), 0);
  }
  assert.deepEqual(wordsOf(await db.addFileHashes(makeFiles(3))), ['added', 'added', 'added']);
});

for (const [cacheSize, name] of [
  [-64_000, 'at its COMMIT'],
  [10, 'in the midst of it'],
]) {
  test(`a full disk ${name} rejects the whole, and the manager goes on`, (t) => {
    const file = path.join(makeFolder(t), 'a.db');
    const scene = path.join(SUPPORT, 'batch-on-full-disk.js');
    const args = ['-c', 'ulimit -f 4096 && exec "$0" "$@"', process.execPath, scene, file, `${cacheSize}`];
    const { status, stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8', timeout: 30_000 });
    assert.equal(status, 0, stderr);
    const [outcome, ...rest] = JSON.parse(stdout);
    assert.match(outcome, /^SQLITE_(FULL|IOERR_WRITE)$/);
    assert.deepEqual(rest, [['added', 'added', 'added'], 4]);
  });
}

test('a foreign lock is waited for, and given up on after the timeout', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, timeout: 1000 });
  const other = createConnection({ path: file });
  t.after(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  const waits = db.addFileHashes(makeFiles(600));
  await sleep(100);
  assert.equal(await stateOf(waits), 'pending');
  other.exec('COMMIT');
  assert.equal((await waits).length, 600);
  other.exec('BEGIN IMMEDIATE');
  await assert.rejects(db.addFileHashes(makeFiles(2, 'x')), {
    code: 'SQLITE_BUSY',
    operation: 'addFileHashes',
    retryable: true,
  });
  other.exec('COMMIT');
  assert.equal(await countFiles(db), 600);
});

test('a read that waits for a lock does not go on inside a batch that has begun meanwhile', async (t) => {
  const db = await openLedger(t, { path: path.join(makeFolder(t), 'a.db') });
  const { getSchemaVersion } = native.Ledger.prototype;
  let attempts = 0;
  let isInside;
  t.mock.method(native.Ledger.prototype, 'getSchemaVersion', function read() {
    attempts += 1;
    isInside = this.inTransaction;
    // It meets the lock when it is made, and from the queue.
    if (attempts > 2) return getSchemaVersion.call(this);
    throw new DatabaseError('made up', {
      code: 'SQLITE_BUSY',
      operation: 'getSchemaVersion',
      errno: 5,
      retryable: true,
    });
  });
  const read = db.getSchemaVersion();
  await sleep(0);
  const batch = db.addFileHashes(makeFiles(20_000));
  assert.equal(await read, 1);
  assert.equal(attempts, 3);
  assert.equal(isInside, false);
  assert.equal(await stateOf(batch), 'fulfilled', 'it was waited for');
});

test('without a log, a foreign reader is waited for', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, enableWAL: false });
  const other = createConnection({ path: file, enableWAL: false });
  t.after(() => other.close());
  other.exec('BEGIN');
  other.get('SELECT count(*) FROM file_hashes');
  const end = sleep(200).then(() => other.exec('COMMIT'));
  const outcomes = await Promise.allSettled([
    db.addFileHashes(makeFiles(3)),
    db.setConfig('key', 1),
    db.setConfig('key', 2),
  ]);
  await end;
  for (const { reason } of outcomes) assert.equal(reason, undefined);
});

test('without a log, a commit that a foreign reader is in the way of for too long rejects all that is in it', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, enableWAL: false, timeout: 1000 });
  const other = createConnection({ path: file, enableWAL: false });
  t.after(() => other.close());
  const works = {
    'writes together': () => [db.setConfig('a', 1), db.setConfig('b', 2)],
    'a transaction': () => [db.transaction(() => db.setConfig('a', 1))],
    'a batch': () => [db.addFileHashes(makeFiles(3))],
  };
  for (const [name, work] of Object.entries(works)) {
    other.exec('BEGIN');
    other.get('SELECT count(*) FROM file_hashes');
    const outcomes = await Promise.allSettled(work());
    other.exec('COMMIT');
    for (const { reason } of outcomes) assert.deepEqual([reason?.code, reason?.retryable], ['SQLITE_BUSY', true], name);
    assert.deepEqual(await db.listConfig(), [], name);
    assert.equal(await countFiles(db), 0, name);
  }
  await db.setConfig('a', 3);
  assert.equal(await db.getConfig('a'), 3);
});

test('a signal takes a batch out of the queue, or ends it half-way; nothing of it is kept', async (t) => {
  const db = await openLedger(t);
  const reason = new Error('enough');
  const expected = { code: 'DB_ABORTED', operation: 'addFileHashes', cause: reason, retryable: false };
  const open = await holdTransaction(db);
  const queued = new AbortController();
  const waiting = db.addFileHashes(makeFiles(10), { signal: queued.signal });
  const behind = db.addFileHashes(makeFiles(1, 'kept'));
  queued.abort(reason);
  await assert.rejects(waiting, expected);
  await Promise.all([open.release(), behind]);
  assert.equal(await countFiles(db), 1);

  const running = new AbortController();
  const batch = db.addFileHashes(makeFiles(30_000), { signal: running.signal });
  batch.catch(() => {});
  await sleep(12);
  assert.equal(await stateOf(batch), 'pending');
  running.abort(reason);
  await assert.rejects(batch, expected);
  assert.equal(await countFiles(db), 1);
  assert.deepEqual(wordsOf(await db.addFileHashes(makeFiles(1, 'kept'), { onConflict: 'ignore' })), ['ignored']);
});
