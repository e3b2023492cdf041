'use strict';

/** Many records at once, on the addon's ledger: lists packed in chunks, pages, batches. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { packErrors, packFileHashes, packHashes, packSessionUpdates } = require('../lib/batch.js');
const { decodeRows, buildFileHashes } = require('../lib/rows.js');
const native = require('../lib/native.js');
const { makeFolder, newFileHash } = require('./support/ledger.js');

const FILE_FIELDS = Object.keys(newFileHash('h'));
const TIME = '2026-01-31T12:00:00.000Z';

async function openLedger(t, file = ':memory:') {
  const config = native.validateConfig({ path: file }, 'DatabaseManager');
  const ledger = await native.openLedger(config, false);
  t.after(() => ledger.close(false));
  await ledger.initializeSchema();
  return ledger;
}

function add(ledger, hash, changes) {
  const file = newFileHash(hash, changes);
  ledger.addFileHash(
    file.hash,
    file.file_path,
    file.file_name,
    file.file_size,
    file.mime_type,
    file.upload_service,
    file.upload_id,
    file.chat_id,
    file.uploaded_at,
  );
  return file;
}

function addSession(ledger, id, start = TIME) {
  return ledger.createSession('chat', 'Chat', start, start, 1, 0, 0, 0, 0, 'running', undefined, id);
}

/** Runs a batch as the manager does. */
function runBatch(batch, writeNext) {
  while (!batch.isDone) writeNext(batch);
  return batch.finish();
}

const addAll = (ledger, records, onConflict) =>
  runBatch(packFileHashes(records), (batch) => ledger.addNextFileHashes(batch, onConflict));

const findAll = (ledger, hashes) => runBatch(packHashes(hashes), (lookup) => ledger.findNext(lookup));

/** Walks through all pages of a list. */
function walk(page, cursor) {
  const all = [];
  let next = cursor;
  do {
    const answer = page(next);
    all.push(...answer.records);
    next = answer.next;
  } while (next);
  return all;
}

const messages = (outcomes) =>
  outcomes.map(({ status, value, reason }) => (status === 'fulfilled' ? value : reason.message));

// --- batches ----------------------------------------------------------------------------------

test('a batch of files gives each record its outcome, in order', async (t) => {
  const ledger = await openLedger(t);
  const files = ['a', 'b', 'a'].map((hash) => newFileHash(hash));
  const outcomes = addAll(ledger, files);
  assert.deepEqual(outcomes.slice(0, 2), [
    { status: 'fulfilled', value: 'added' },
    { status: 'fulfilled', value: 'added' },
  ]);
  assert.equal(outcomes[2].status, 'rejected');
  assert.equal(outcomes[2].reason.code, 'SQLITE_CONSTRAINT_PRIMARYKEY');
  assert.equal(outcomes[2].reason.operation, 'addFileHashes');
  assert.equal(outcomes[2].reason.constructor.name, 'DatabaseError');
  assert.deepEqual(ledger.getFileHash('b'), files[1]);
  assert.deepEqual(messages(addAll(ledger, [newFileHash('a'), newFileHash('c')], 'ignore')), ['ignored', 'added']);
  assert.deepEqual(messages(addAll(ledger, [newFileHash('a', { file_size: 7 })], 'replace')), ['added']);
  assert.equal(ledger.getFileHash('a').file_size, 7);
  assert.deepEqual(addAll(ledger, []), []);
  assert.throws(() => addAll(ledger, [newFileHash('d')], 'merge'), {
    code: 'DB_INVALID_ARGUMENT',
    message: /onConflict/,
  });
});

test('a bad record fails alone, with an error that names it and its field', async (t) => {
  const ledger = await openLedger(t);
  const secret = 'canary-5ecre7';
  const bad = {
    'hash must be a string, not undefined': { hash: undefined },
    'hash is an empty string; give a text': { hash: '' },
    'file_path must be a string, not null': { file_path: null },
    'file_path is a string with a lone surrogate': { file_path: `${secret}\ud83c` },
    'file_name is a string with a lone surrogate': { file_name: '\udf89' },
    'file_size must be a number, not a string': { file_size: secret },
    'file_size is a number out of range': { file_size: -1 },
    'file_size is a number out of range;': { file_size: 1.5 },
    'file_size is a number out of range; give': { file_size: NaN },
    'file_size is a number out of range; give a': { file_size: 2 ** 53 },
    'file_size must be a number, not a bigint': { file_size: 7n },
    'file_size must be a number, not a boolean': { file_size: true },
    'mime_type must be a string, not a symbol': { mime_type: Symbol(secret) },
    'mime_type must be a string, not a function': { mime_type: () => secret },
    'mime_type must be a string, not an object': { mime_type: { secret } },
    'mime_type must be a string, not an object,': { mime_type: Buffer.from(secret) },
    'upload_service is a text outside the accepted ones': { upload_service: secret },
    'upload_id must be a string, not a number': { upload_id: 1 },
    'chat_id must be a string, not a bigint': { chat_id: 2n ** 70n },
    'uploaded_at is a text that is no time': { uploaded_at: secret },
    'colour is not a field that can be given': { colour: secret },
  };
  const records = [newFileHash('first')];
  for (const changes of Object.values(bad)) records.push(newFileHash(`h${records.length}`, changes));
  records.push(null, [], secret, newFileHash('last', { file_path: 'ü🎉\0\ufffd', upload_id: null }));
  const outcomes = addAll(ledger, records);
  assert.equal(outcomes.length, records.length);
  Object.keys(bad).forEach((problem, index) => {
    const { status, reason } = outcomes[index + 1];
    assert.equal(status, 'rejected', problem);
    assert.equal(reason.code, 'DB_INVALID_ARGUMENT');
    const expected = `addFileHashes: records[${index + 1}].${problem.replace(/,$/, '')}`;
    assert.ok(reason.message.startsWith(expected), `${reason.message} begins with ${expected}`);
    assert.ok(!reason.message.includes(secret), reason.message);
  });
  for (const { status, reason } of outcomes.slice(-4, -1)) {
    assert.equal(status, 'rejected');
    assert.match(reason.message, /^addFileHashes: records\[\d+\] must be an object, not /);
  }
  assert.deepEqual(
    ledger.findFileHashes('chat123').map(({ hash }) => hash),
    ['first', 'last'],
  );
  assert.equal(ledger.getFileHash('last').file_path, 'ü🎉\0\ufffd');
});

test('texts whose halves would make a pair stay what they are: not well formed', async (t) => {
  const ledger = await openLedger(t);
  const outcomes = addAll(ledger, [
    newFileHash('a', { file_path: 'x\ud83c', file_name: '\udf89y' }),
    newFileHash('b', { file_path: 'x\ud83c\udf89', file_name: 'é' }),
  ]);
  assert.match(outcomes[0].reason.message, /records\[0\]\.file_path is a string with a lone surrogate/);
  assert.equal(outcomes[1].status, 'fulfilled');
  assert.equal(ledger.getFileHash('b').file_path, 'x🎉');
  assert.equal(ledger.getFileHash('b').file_name, 'é');
});

test('a batch of many chunks keeps the order and stays whole', async (t) => {
  const ledger = await openLedger(t);
  const records = Array.from({ length: 3000 }, (_, index) =>
    index % 700 === 3
      ? null
      : newFileHash(`h${index}`, { file_name: index % 500 === 0 ? 'ß'.repeat(90_000) : `n${index}` }),
  );
  ledger.begin();
  const outcomes = addAll(ledger, records);
  assert.equal(ledger.inTransaction, true, 'the caller ends the transaction');
  ledger.commit();
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    records.map((record) => (record === null ? 'rejected' : 'fulfilled')),
  );
  const written = ledger.findFileHashes('chat123');
  assert.deepEqual(
    written,
    records.filter((record) => record !== null),
  );
});

test('records of a batch that was rolled back can be written again', async (t) => {
  const ledger = await openLedger(t);
  const records = [newFileHash('a'), null];
  ledger.begin();
  runBatch(packFileHashes(records), (next) => ledger.addNextFileHashes(next));
  ledger.rollBack();
  assert.equal(ledger.isFileUploaded('a'), false);
  const outcomes = runBatch(packFileHashes(records), (next) => ledger.addNextFileHashes(next));
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  assert.equal(ledger.isFileUploaded('a'), true);
});

test('records are read when the batch is made', async (t) => {
  const ledger = await openLedger(t);
  const file = newFileHash('a');
  const own = [];
  const tricky = {
    ...newFileHash('b'),
    get mime_type() {
      // A batch within a batch.
      own.push(...addAll(ledger, [newFileHash('inner')]));
      return 'image/png';
    },
  };
  const failing = {
    ...newFileHash('c'),
    get chat_id() {
      throw new RangeError('made up');
    },
  };
  const records = [file, tricky, failing, newFileHash('d')];
  const batch = packFileHashes(records);
  file.hash = 'changed';
  records.length = 0;
  const outcomes = runBatch(batch, (next) => ledger.addNextFileHashes(next));
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  );
  assert.equal(outcomes[2].reason.message, 'made up');
  assert.equal(own[0].value, 'added');
  for (const hash of ['a', 'b', 'inner', 'd']) assert.equal(ledger.isFileUploaded(hash), true, hash);
});

test('a batch of errors gives ids; a batch of updates changes each session', async (t) => {
  const ledger = await openLedger(t);
  addSession(ledger, 's');
  const error = { session_id: 's', file_path: 'p', error_type: 't', error_message: 'ä' };
  const outcomes = runBatch(
    packErrors([error, { ...error, session_id: 'none' }, { ...error, retry_count: -1 }, { ...error, retry_count: 3 }]),
    (batch) => ledger.logNextErrors(batch),
  );
  const listed = ledger.getErrors('s');
  assert.deepEqual(
    [outcomes[0].value, outcomes[3].value],
    listed.map(({ id }) => id),
  );
  assert.equal(outcomes[1].reason.code, 'SQLITE_CONSTRAINT_FOREIGNKEY');
  assert.match(outcomes[2].reason.message, /^logErrors: records\[2\]\.retry_count is a number out of range/);
  assert.deepEqual(
    listed.map(({ retry_count }) => retry_count),
    [0, 3],
  );

  const updates = runBatch(
    packSessionUpdates([
      { id: 's', changes: { total_files: 9, last_processed_file: 'f' } },
      { id: 'none', changes: { total_files: 9 } },
      { id: 's', changes: { total_files: null } },
      { id: 's', changes: { status: 'asleep' } },
      { id: 's', changes: { start_time: 'soon' } },
      { id: 's', changes: { id: 'other' } },
      { id: 7, changes: {} },
      { id: 's' },
      { id: 's', changes: {}, more: 1 },
      { id: 's', changes: { last_processed_file: null, status: 'paused' } },
    ]),
    (batch) => ledger.updateNextSessions(batch),
  );
  assert.deepEqual(
    messages(updates).map((message) => message?.split(/[;,]|\. /)[0]),
    [
      undefined,
      'updateSessions: there is no such upload session',
      'updateSessions: records[2].changes.total_files must be a number',
      "updateSessions: records[3].changes.status is a text outside the accepted ones: 'running' 'completed' 'paused' 'failed'",
      'updateSessions: records[4].changes.start_time is a text that is no time',
      'updateSessions: records[5].changes.id is not a field that can be given',
      'updateSessions: records[6].id must be a string',
      'updateSessions: records[7].changes must be an object',
      'updateSessions: records[8].more is not a field that can be given',
      undefined,
    ],
  );
  const session = ledger.getSession('s');
  assert.equal(session.total_files, 9);
  assert.equal(session.status, 'paused');
  assert.equal('last_processed_file' in session, false);
});

test('a batch needs an array', () => {
  for (const pack of [packFileHashes, packErrors, packSessionUpdates, packHashes]) {
    for (const records of [undefined, null, 'ab', {}, new Set()]) {
      assert.throws(() => pack(records), { code: 'DB_INVALID_ARGUMENT', message: /must be an array, not / });
    }
  }
});

test('each hash asked for is answered, in the order asked', async (t) => {
  const ledger = await openLedger(t);
  const known = ['z', 'ä🎉', 'a\0b', '\ufffd', ...Array.from({ length: 6000 }, (_, index) => `h${index}`)];
  ledger.begin();
  for (const hash of known) add(ledger, hash);
  ledger.commit();
  const asked = ['z', 'none', 'ä', 'ä🎉', 'a', 'a\0b', '\ufffd', 'z'];
  for (let index = 9000; index > 0; index -= 1) asked.push(`h${(index * 7) % 9001}`);
  const found = findAll(ledger, asked);
  const expected = new Set(known);
  assert.deepEqual([...found.keys()], [...new Set(asked)]);
  for (const [hash, isFound] of found) assert.equal(isFound, expected.has(hash), hash);
  assert.equal(findAll(ledger, []).size, 0);
  for (const [hash, problem] of [
    ['', 'is an empty string'],
    [7, 'must be a string, not a number'],
    [undefined, 'must be a string, not undefined'],
    ['\ud800', 'is a string with a lone surrogate'],
    ['x\udc00', 'is a string with a lone surrogate'],
  ]) {
    assert.throws(
      () => findAll(ledger, ['a', hash]),
      (error) => {
        assert.equal(error.code, 'DB_INVALID_ARGUMENT');
        assert.ok(error.message.startsWith(`findUploaded: hashes[1] ${problem}`), error.message);
        return true;
      },
    );
  }
});

test('a hash is refused by its own index, in whatever chunk it is', async (t) => {
  const ledger = await openLedger(t);
  const hashes = Array.from({ length: 10_000 }, (_, index) => `h${index}`);
  hashes[9_000] = '\ud800';
  assert.throws(() => findAll(ledger, hashes), {
    code: 'DB_INVALID_ARGUMENT',
    message: /: hashes\[9000\] is a string/,
  });
});

test('a lookup that fails for another reason fails with that, whatever else is asked for', () => {
  const failure = new Error('made up');
  const lookup = packHashes(['a', '\ud800']);
  const find = () => {
    throw failure;
  };
  assert.throws(
    () => lookup.findNext(find),
    (error) => error === failure,
  );
});

test('an error at which SQLite rolls everything back ends the batch', async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'ledger.db');
  const ledger = await openLedger(t, file);
  // The trigger is another tool's: a constraint that rolls back.
  const connection = require('../index.js').createConnection({ path: file });
  connection.run(
    "CREATE TRIGGER lost BEFORE INSERT ON file_hashes WHEN NEW.hash = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'made up'); END",
  );
  connection.close();
  ledger.begin();
  const batch = packFileHashes(['a', 'bad', 'c'].map((hash) => newFileHash(hash)));
  assert.throws(() => ledger.addNextFileHashes(batch), { code: 'SQLITE_CONSTRAINT_TRIGGER' });
  assert.equal(ledger.inTransaction, false);
  ledger.rollBack();
  assert.deepEqual(ledger.findFileHashes('chat123'), [], 'nothing ran after it');
});

// --- pages ------------------------------------------------------------------------------------

test('pages of files are the list in parts', async (t) => {
  const ledger = await openLedger(t);
  const all = [];
  ledger.begin();
  for (let index = 0; index < 300; index += 1) {
    all.push(add(ledger, `h${index}`, { chat_id: `c${index % 3}`, file_name: 'n'.repeat(index) }));
  }
  ledger.commit();
  for (const limit of [1, 7, 299, 300, 1000, undefined]) {
    assert.deepEqual(
      walk((cursor) => ledger.fileHashPage(undefined, cursor, limit)),
      all,
    );
    assert.deepEqual(
      walk((cursor) => ledger.fileHashPage('c1', cursor, limit)),
      ledger.findFileHashes('c1'),
    );
  }
  assert.ok(ledger.fileHashPage(undefined, undefined).records.length < 300, 'a page is one chunk');
  const behind = walk((cursor) => ledger.fileHashPage('c1', cursor, 5), { after: 'h294' });
  assert.deepEqual(
    behind.map(({ hash }) => hash),
    ['h295', 'h298'],
  );
  for (const after of ['none', 'h300', '']) {
    assert.throws(() => ledger.fileHashPage(undefined, { after }, 5), {
      code: 'DB_NOT_FOUND',
      operation: 'iterateFileHashes',
    });
  }
  for (const bad of [() => ledger.fileHashPage(7), () => ledger.fileHashPage('c', { after: 7 })]) {
    assert.throws(bad, { code: 'DB_INVALID_ARGUMENT' });
  }
  for (const limit of [-1, 1.5, '1', null]) {
    assert.throws(() => ledger.fileHashPage('c1', undefined, limit), { code: 'DB_INVALID_ARGUMENT', message: /limit/ });
  }
});

test('a page goes on though its last record is gone', async (t) => {
  const ledger = await openLedger(t);
  for (let index = 0; index < 7; index += 1) add(ledger, `h${index}`);
  const seen = walk((cursor) => {
    const page = ledger.fileHashPage(undefined, cursor, 2);
    for (const { hash } of page.records) ledger.deleteFileHash(hash);
    return page;
  });
  assert.equal(seen.length, 7);
});

test('pages of sessions are newest first, pages of errors by id', async (t) => {
  const ledger = await openLedger(t);
  for (let index = 0; index < 40; index += 1) {
    addSession(ledger, `s${index}`, `2026-01-${String(1 + ((index * 7) % 20)).padStart(2, '0')}T00:00:00.000Z`);
    for (let error = 0; error < 3; error += 1) ledger.logError(`s${index % 2}`, 'p', 't', `m${error}`);
  }
  for (const limit of [1, 6, 40, undefined]) {
    assert.deepEqual(
      walk((cursor) => ledger.sessionPage(undefined, cursor, limit)),
      ledger.listSessions(),
    );
    assert.deepEqual(
      walk((cursor) => ledger.sessionPage('paused', cursor, limit)),
      [],
    );
    assert.deepEqual(
      walk((cursor) => ledger.errorPage('s1', cursor, limit)),
      ledger.getErrors('s1'),
    );
    assert.equal(walk((cursor) => ledger.errorPage(undefined, cursor, limit)).length, 120);
  }
  const errors = ledger.getErrors('s0');
  assert.deepEqual(ledger.errorPage('s0', { after: errors[10].id }).records, errors.slice(11));
  const sessions = ledger.listSessions();
  assert.deepEqual(ledger.sessionPage(undefined, { after: sessions[10].id }).records, sessions.slice(11));
  assert.throws(() => ledger.errorPage('s0', { after: 1e9 }), { code: 'DB_NOT_FOUND', operation: 'iterateErrors' });
  assert.throws(() => ledger.errorPage('s0', { after: '1' }), { code: 'DB_INVALID_ARGUMENT' });
  assert.throws(() => ledger.sessionPage(undefined, { after: 'none' }), {
    code: 'DB_NOT_FOUND',
    operation: 'iterateSessions',
  });
  assert.throws(() => ledger.sessionPage('asleep'), { code: 'DB_INVALID_ARGUMENT' });
});

// --- lists ------------------------------------------------------------------------------------

test('a list of many chunks, or one that is longer than wanted', async (t) => {
  const ledger = await openLedger(t);
  const all = [];
  ledger.begin();
  for (let index = 0; index < 1000; index += 1) {
    all.push(
      add(ledger, `h${index}`, { file_name: index % 9 === 0 ? '名前🎉' : `n${index}`, file_size: index * 2 ** 40 }),
    );
  }
  ledger.commit();
  assert.deepEqual(ledger.findFileHashes('chat123'), all);
  assert.deepEqual(ledger.upTo.findFileHashes(1000, 'chat123'), all);
  assert.equal(ledger.upTo.findFileHashes(999, 'chat123'), undefined);
  assert.deepEqual(ledger.upTo.findFileHashes(0, 'none'), []);
  assert.deepEqual(ledger.upTo.listSessions(5), []);
  assert.deepEqual(ledger.upTo.getErrors(5, 's'), []);
});

test('a list can be read on another thread and taken chunk by chunk', async (t) => {
  for (const file of [':memory:', path.join(makeFolder(t), 'ledger.db')]) {
    const ledger = await openLedger(t, file);
    const all = [];
    ledger.begin();
    for (let index = 0; index < 1000; index += 1) all.push(add(ledger, `h${index}`));
    ledger.commit();
    const list = await ledger.readList('findFileHashes', 'chat123', new native.Interruption());
    const rows = [];
    let chunks = 0;
    for (let chunk = list.take(); chunk !== undefined; chunk = list.take()) {
      decodeRows(chunk, buildFileHashes, rows);
      chunks += 1;
    }
    assert.deepEqual(rows, all);
    assert.ok(chunks > 1, `${chunks} chunks`);
    for (const [name, filter] of [
      ['listSessions', undefined],
      ['getErrors', 's'],
    ]) {
      const empty = await ledger.readList(name, filter, new native.Interruption());
      assert.equal(decodeRows(empty.take(), buildFileHashes).length, 0);
      assert.equal(empty.take(), undefined);
    }
    assert.throws(() => ledger.readList('findFileHashes', 7, new native.Interruption()), {
      code: 'DB_INVALID_ARGUMENT',
      operation: 'findFileHashes',
    });
    assert.throws(() => ledger.readList('listSessions', 'asleep', new native.Interruption()), {
      code: 'DB_INVALID_ARGUMENT',
    });
  }
});

test('long texts and strange ones cross in both directions', async (t) => {
  const ledger = await openLedger(t);
  // Around the length up to which a string is read with one call, with characters of any width.
  for (let length = 240; length < 262; length += 1) {
    for (const last of ['x', 'é', '€', '🎉', '\0', '\ufffd']) {
      const text = `${'x'.repeat(length)}${last}`;
      add(ledger, text, { file_path: text });
      assert.equal(ledger.isFileUploaded(text), true);
      assert.equal(ledger.getFileHash(text).file_path, text);
      assert.deepEqual([...findAll(ledger, [text, `${text}y`]).values()], [true, false]);
    }
  }
  for (const hash of [7, null, undefined, {}, '\ud800', '', `${'x'.repeat(300)}\udc00`]) {
    for (const call of ['isFileUploaded', 'getFileHash']) {
      assert.throws(
        () => ledger[call](hash),
        (error) => error.code === 'DB_INVALID_ARGUMENT' && error.operation === call,
      );
    }
  }
});

test('functions of a closed ledger, or of one that is no longer held, say so', async () => {
  const config = native.validateConfig({ path: ':memory:' }, 'DatabaseManager');
  const ledger = await native.openLedger(config, false);
  const { isFileUploaded } = ledger;
  await ledger.close(false);
  for (const call of [
    () => isFileUploaded('a'),
    () => ledger.getFileHash('a'),
    () => ledger.findFileHashes('a'),
    () => ledger.fileHashPage('a'),
    () => findAll(ledger, ['a']),
    () => addAll(ledger, [newFileHash('a')]),
  ]) {
    assert.throws(call, { code: 'DB_CLOSED' });
  }
});

test('what another tool wrote is checked in packed records too', async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'ledger.db');
  const ledger = await openLedger(t, file);
  const connection = require('../index.js').createConnection({ path: file });
  const insert = (values) => connection.run(`INSERT INTO file_hashes (${FILE_FIELDS}) VALUES (${values})`);
  insert("'sql', 'p', 'n', 1, 'm', 'photos', NULL, 'c', '2026-01-31 12:00:00'");
  insert("'text', 'p', 'n', 'many', 'm', 'photos', NULL, 'd', ''");
  insert("'blob', 'p', x'00', 1, 'm', 'photos', NULL, 'd', ''");
  insert("'bytes', CAST(x'ff' AS TEXT), 'n', 1, 'm', 'photos', NULL, 'd', ''");
  connection.close();
  assert.equal(ledger.getFileHash('sql').uploaded_at, TIME);
  assert.equal('upload_id' in ledger.getFileHash('sql'), false);
  for (const [hash, column] of [
    ['text', 'file_size'],
    ['blob', 'file_name'],
    ['bytes', 'file_path'],
  ]) {
    assert.throws(
      () => ledger.getFileHash(hash),
      (error) => {
        assert.equal(error.code, 'DB_INVALID_DATA');
        assert.match(error.message, new RegExp(`^getFileHash: file_hashes\\.${column} holds `));
        return true;
      },
    );
  }
  assert.throws(() => ledger.findFileHashes('d'), { code: 'DB_INVALID_DATA', operation: 'findFileHashes' });
  assert.throws(() => ledger.fileHashPage('d'), { code: 'DB_INVALID_DATA' });
  await assert.rejects(ledger.readList('findFileHashes', 'd', new native.Interruption()), {
    code: 'DB_INVALID_DATA',
    operation: 'findFileHashes',
  });
  assert.equal(ledger.fileHashPage('c').records.length, 1, 'a failure leaves the packer as good as new');
});
