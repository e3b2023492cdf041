'use strict';

/** Lists of more records than are read at once, and iterators: the same records in the same order. */

const assert = require('node:assert/strict');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const test = require('node:test');
const { createConnection, DatabaseManager } = require('../index.js');
const native = require('../lib/native.js');
const { holdTransaction, sleep } = require('./support/hold.js');
const { makeFolder, newError, newFileHash, newSession, openLedger, stateOf } = require('./support/ledger.js');

const COUNT = 5000;

/** Makes so many files; every third is of another chat. */
function makeFiles(count, prefix = 'h') {
  return Array.from({ length: count }, (_, index) =>
    newFileHash(`${prefix}${index}`, { chat_id: index % 3 === 2 ? 'other' : 'chat', file_name: `名${index}` }),
  );
}

/** Sessions whose times are shuffled, and some alike, so that no order of insertion is theirs. */
function makeSessions(count) {
  return Array.from({ length: count }, (_, index) =>
    newSession({
      id: `s${index}`,
      status: index % 4 === 0 ? 'paused' : 'running',
      start_time: new Date(Date.UTC(2026, 0, 1) + ((index * 7919) % 500) * 1000).toISOString(),
    }),
  );
}

/** Collects what an iterator gives. */
async function collect(iterator) {
  const records = [];
  for await (const record of iterator) records.push(record);
  return records;
}

const hashesOf = (files) => files.map(({ hash }) => hash);

/** The hashes of one chat of `makeFiles`, in the order of their insertion. */
const expectedHashes = (files, chat) => hashesOf(files.filter(({ chat_id }) => chat_id === chat));

for (const memory of [false, true]) {
  const where = memory ? 'in memory' : 'in a file';

  test(`long lists are what their records are one by one, ${where}`, async (t) => {
    const db = await openLedger(t, memory ? { path: ':memory:' } : {});
    const files = makeFiles(COUNT);
    await db.addFileHashes(files);
    const listed = await db.findFileHashes('chat');
    assert.deepEqual(hashesOf(listed), expectedHashes(files, 'chat'));
    for (const file of listed) assert.deepEqual(file, await db.getFileHash(file.hash));
    assert.deepEqual(await db.findFileHashes('none'), []);

    const sessions = makeSessions(1500);
    for (const session of sessions) db.createSession(session);
    const newestFirst = sessions
      .toReversed()
      .sort((a, b) => (a.start_time === b.start_time ? 0 : a.start_time < b.start_time ? 1 : -1))
      .map(({ id }) => id);
    const all = await db.listSessions();
    assert.deepEqual(
      all.map(({ id }) => id),
      newestFirst,
    );
    for (const session of all) assert.deepEqual(session, await db.getSession(session.id));
    assert.deepEqual(
      await db.listSessions('running'),
      all.filter(({ status }) => status === 'running'),
    );

    const outcomes = await db.logErrors(
      Array.from({ length: COUNT }, (_, index) => newError(`s${index % 2}`, { error_message: `m${index}` })),
    );
    const errors = await db.getErrors('s1');
    assert.deepEqual(
      errors.map(({ id, session_id, error_message }) => [id, session_id, error_message]),
      outcomes.flatMap(({ value }, index) => (index % 2 === 1 ? [[value, 's1', `m${index}`]] : [])),
    );
  });

  test(`a list is read the short way and the long way alike, ${where}`, async (t) => {
    const db = await openLedger(t, memory ? { path: ':memory:' } : {});
    for (const count of [999, 1000, 1001, 1002]) {
      const files = makeFiles(count, `${count}-`).map((file) => ({ ...file, chat_id: `chat ${count}` }));
      await db.addFileHashes(files);
      assert.deepEqual(await db.findFileHashes(`chat ${count}`), files);
    }
  });

  test(`a long list inside a transaction shows its own rows, ${where}`, async (t) => {
    const db = await openLedger(t, memory ? { path: ':memory:' } : {});
    const files = makeFiles(3 * COUNT);
    await db.addFileHashes(files);
    const undone = db.transaction(async () => {
      await db.addFileHash(newFileHash('own', { chat_id: 'chat' }));
      await db.deleteFileHash('h0');
      const list = db.findFileHashes('chat');
      await sleep(1);
      // It is between two pages: these wait.
      const later = [db.deleteFileHash('h14998'), db.addFileHash(newFileHash('later', { chat_id: 'chat' }))];
      assert.deepEqual(hashesOf(await list), [...expectedHashes(files, 'chat').slice(1), 'own']);
      await Promise.all(later);
      assert.equal((await db.findFileHashes('chat')).at(-1).hash, 'later');
      throw new Error('undone');
    });
    await assert.rejects(undone, { message: 'undone' });
    assert.deepEqual(hashesOf(await db.findFileHashes('chat')), expectedHashes(files, 'chat'));
  });

  test(`a long list sees every write before it and no half of a transaction, ${where}`, async (t) => {
    const db = await openLedger(t, memory ? { path: ':memory:' } : {});
    await db.addFileHashes(makeFiles(2000).map((file) => ({ ...file, chat_id: 'chat' })));
    for (let round = 0; round < 5; round += 1) {
      db.addFileHash(newFileHash(`before ${round}`, { chat_id: 'chat' }));
      const lists = [db.findFileHashes('chat')];
      const fails = db.transaction(async () => {
        db.addFileHash(newFileHash('undone', { chat_id: 'chat' }));
        await sleep(10);
        throw new Error('undone');
      });
      lists.push(db.findFileHashes('chat'));
      const pairs = db.addFileHashes([
        newFileHash(`one ${round}`, { chat_id: 'chat' }),
        newFileHash(`two ${round}`, { chat_id: 'chat' }),
      ]);
      lists.push(db.findFileHashes('chat'));
      await assert.rejects(fails, { message: 'undone' });
      await pairs;
      for (const [index, list] of lists.entries()) {
        const seen = new Set(hashesOf(await list));
        assert.equal(seen.has(`before ${round}`), true);
        assert.equal(seen.has('undone'), false);
        assert.equal(seen.has(`one ${round}`), seen.has(`two ${round}`));
        if (index === 2) assert.equal(seen.has(`one ${round}`), true);
      }
    }
  });
}

test('inside a transaction a long list does not see the calls made after it', async (t) => {
  const db = await openLedger(t);
  const files = makeFiles(COUNT);
  await db.addFileHashes(files);
  const listThenWrite = async () => {
    const list = db.findFileHashes('chat');
    const calls = [db.deleteFileHash('h4999'), db.addFileHash(newFileHash('later', { chat_id: 'chat' }))];
    const hashes = hashesOf(await list);
    await Promise.all(calls);
    return hashes;
  };
  const inside = db.transaction(async () => {
    assert.deepEqual(await listThenWrite(), expectedHashes(files, 'chat'));
    throw new Error('undone');
  });
  await assert.rejects(inside, { message: 'undone' });
});

test('writes go on beside a long list', async (t) => {
  const db = await openLedger(t);
  const files = makeFiles(30_000);
  await db.addFileHashes(files);
  const list = db.findFileHashes('chat');
  let written = 0;
  while ((await stateOf(list)) === 'pending') await db.setConfig('key', ++written);
  assert.ok(written > 0);
  assert.deepEqual(hashesOf(await list), expectedHashes(files, 'chat'));
});

test('a long list is built in slices, between which the loop goes on', async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(makeFiles(COUNT));
  let turns = 0;
  const count = () => {
    turns += 1;
    ticking = setImmediate(count);
  };
  let ticking = setImmediate(count);
  t.after(() => clearImmediate(ticking));
  const seen = new Set();
  const { readList } = native.Ledger.prototype;
  t.mock.method(native.Ledger.prototype, 'readList', async function read(...args) {
    const packed = await readList.apply(this, args);
    return {
      take: () => {
        seen.add(turns);
        // Each chunk takes longer than a turn may.
        for (const end = performance.now() + 4; performance.now() < end; );
        return packed.take();
      },
    };
  });
  const listed = await db.findFileHashes('chat');
  assert.ok(listed.length > 1000);
  assert.ok(seen.size > 3, `${seen.size} turns`);
});

test('options are read when the call is made', async (t) => {
  const db = await openLedger(t);
  const files = makeFiles(COUNT);
  await db.addFileHashes(files);
  const options = {};
  const calls = [db.findFileHashes('chat', options), db.findUploaded(hashesOf(files), options)];
  options.signal = 'changed';
  await Promise.all(calls);
});

// --- iterators --------------------------------------------------------------------------------

for (const memory of [false, true]) {
  test(`iterators give what the lists give, ${memory ? 'in memory' : 'in a file'}`, async (t) => {
    const db = await openLedger(t, memory ? { path: ':memory:' } : {});
    await db.addFileHashes(makeFiles(1800));
    for (const session of makeSessions(1100)) db.createSession(session);
    await db.logErrors(Array.from({ length: 1300 }, (_, index) => newError(`s${index % 2}`)));
    const files = await db.findFileHashes('chat');
    const sessions = await db.listSessions();
    const paused = await db.listSessions('paused');
    const errors = await db.getErrors('s1');
    const cases = [
      [(options) => db.iterateFileHashes({ chat_id: 'chat', ...options }), files, 'hash'],
      [(options) => db.iterateSessions(options), sessions, 'id'],
      [(options) => db.iterateSessions({ status: 'paused', ...options }), paused, 'id'],
      [(options) => db.iterateErrors({ session_id: 's1', ...options }), errors, 'id'],
    ];
    for (const [iterate, all, key] of cases) {
      assert.ok(all.length > 250);
      assert.deepEqual(await collect(iterate()), all);
      for (const limit of [0, 1, 2, 499, 500, 501, all.length, 1e9, null, undefined]) {
        assert.deepEqual(await collect(iterate({ limit })), all.slice(0, limit ?? all.length), `limit ${limit}`);
      }
      const after = all[200][key];
      assert.deepEqual(await collect(iterate({ after })), all.slice(201));
      assert.deepEqual(await collect(iterate({ after, limit: 3 })), all.slice(201, 204));
      assert.deepEqual(await collect(iterate({ after: all.at(-1)[key] })), []);
      assert.deepEqual(await collect(iterate({ after: null })), all);
    }
    assert.equal((await collect(db.iterateFileHashes())).length, 1800);
    assert.equal((await collect(db.iterateErrors({}))).length, 1300);
    assert.deepEqual(await collect(db.iterateFileHashes({ chat_id: 'none' })), []);
  });
}

test('an unknown `after` rejects, and wrong options are refused by name', async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(makeFiles(3));
  const next = async (name, options) => db[name](options).next();
  for (const [name, after] of [
    ['iterateFileHashes', 'none'],
    ['iterateSessions', 'none'],
    ['iterateErrors', 7],
  ]) {
    await assert.rejects(next(name, { after }), { code: 'DB_NOT_FOUND', operation: name, retryable: false });
    for (const [options, field] of [
      ['h1', /options must be an object/],
      [[], /options must be an object/],
      [{ chat: 'chat' }, /options\.chat is not a field/],
      [{ limit: -1 }, /limit/],
      [{ limit: 1.5 }, /limit/],
      [{ limit: '3' }, /limit/],
      [{ limit: Number.NaN }, /limit/],
      [{ after: {} }, /after/],
      [{ signal: {} }, /options\.signal/],
    ]) {
      await assert.rejects(next(name, options), { code: 'DB_INVALID_ARGUMENT', operation: name, message: field });
    }
  }
  await assert.rejects(next('iterateErrors', { after: '7' }), { code: 'DB_INVALID_ARGUMENT', message: /after/ });
  await assert.rejects(next('iterateFileHashes', { after: 7 }), { code: 'DB_INVALID_ARGUMENT', message: /after/ });
  await assert.rejects(next('iterateFileHashes', { chat_id: 7 }), {
    code: 'DB_INVALID_ARGUMENT',
    message: /chat_?id/i,
  });
  await assert.rejects(next('iterateSessions', { status: 'asleep' }), {
    code: 'DB_INVALID_ARGUMENT',
    message: /status/,
  });
  assert.deepEqual((await next('iterateFileHashes')).value.hash, 'h0');
});

test('what is added behind an iterator is met, what is deleted is not, and nothing comes twice', async (t) => {
  const db = await openLedger(t);
  const files = makeFiles(1200);
  await db.addFileHashes(files);
  const seen = [];
  for await (const { hash } of db.iterateFileHashes()) {
    seen.push(hash);
    // The record itself and one of a later page go; one comes behind all.
    await db.deleteFileHash(hash);
    if (seen.length === 1) await db.deleteFileHash('h1000');
    if (seen.length === 2) await db.addFileHash(newFileHash('late'));
  }
  assert.deepEqual(seen, [...hashesOf(files).filter((hash) => hash !== 'h1000'), 'late']);
  assert.equal((await db.getStats()).totalFiles, 0);
});

test('a loop that is left early leaves nothing behind', async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(makeFiles(1200));
  const iterator = db.iterateFileHashes();
  for await (const { hash } of iterator) if (hash === 'h600') break;
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
  const failing = async () => {
    for await (const _ of db.iterateFileHashes()) throw new RangeError('made up');
  };
  await assert.rejects(failing(), { name: 'RangeError' });
  await db.vacuum();
});

test('an iterator inside a transaction is part of it; one that outlives it is refused', async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(makeFiles(1200));
  let left;
  await db.transaction(async () => {
    await db.addFileHash(newFileHash('own'));
    assert.equal((await collect(db.iterateFileHashes())).at(-1).hash, 'own');
    for await (const { hash } of db.iterateFileHashes({ limit: 3 })) await db.deleteFileHash(hash);
    assert.equal((await db.getStats()).totalFiles, 1198);
    left = sleep(20).then(() => collect(db.iterateFileHashes()));
    left.catch(() => {});
  });
  await assert.rejects(left, { code: 'DB_TRANSACTION_FINISHED', operation: 'iterateFileHashes' });
});

test('an iterator outside a transaction does not see what is inside', async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(makeFiles(1200));
  const open = await holdTransaction(db, () => db.addFileHashes(makeFiles(1200, 'inside')));
  assert.equal((await collect(db.iterateFileHashes())).length, 1200);
  await open.release();
  assert.equal((await collect(db.iterateFileHashes())).length, 2400);
});

test('after disconnect an iterator rejects, begun or not', async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(makeFiles(1200));
  const begun = db.iterateFileHashes();
  await begun.next();
  const fresh = db.iterateFileHashes();
  await db.disconnect();
  await assert.rejects(fresh.next(), { code: 'DB_NOT_CONNECTED', operation: 'iterateFileHashes' });
  await assert.rejects(collect(begun), { code: 'DB_NOT_CONNECTED', operation: 'iterateFileHashes' });
  await db.connect();
  assert.equal((await collect(db.iterateFileHashes())).length, 1200);
});

test('a dawdling iterator is in no way of a checkpoint', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  await db.addFileHashes(makeFiles(1200));
  const other = new DatabaseManager({ path: file });
  await other.connect();
  t.after(() => other.disconnect());
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  let pages = 0;
  let count = 0;
  for await (const _ of db.iterateFileHashes()) {
    if (count++ % 300 !== 150) continue;
    await other.setConfig('key', count);
    await sleep(2);
    const [{ busy }] = connection.pragma('wal_checkpoint(TRUNCATE)');
    assert.equal(busy, 0, `at record ${count}`);
    pages += 1;
  }
  assert.deepEqual([count, pages], [1200, 4]);
});

test("an iterator's signal ends it between pages", async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(makeFiles(1200));
  const controller = new AbortController();
  const reason = new Error('enough');
  let count = 0;
  const run = async () => {
    for await (const _ of db.iterateFileHashes({ signal: controller.signal })) {
      count += 1;
      if (count === 10) controller.abort(reason);
    }
  };
  await assert.rejects(run(), { code: 'DB_ABORTED', operation: 'iterateFileHashes', retryable: false, cause: reason });
  assert.ok(count >= 10 && count < 1200, `${count} records`);
  const late = async () => collect(db.iterateFileHashes({ signal: controller.signal }));
  await assert.rejects(late(), { code: 'DB_ABORTED', cause: reason });
});
