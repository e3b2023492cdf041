'use strict';

/** Signals: what they take out of the queue, what they stop half-way, and what they leave alone. */

const assert = require('node:assert/strict');
const { getEventListeners } = require('node:events');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const test = require('node:test');
const { DatabaseError, DatabaseManager } = require('../index.js');
const { checkSignal } = require('../lib/call_options.js');
const native = require('../lib/native.js');
const { CALLS, dump, openKnown } = require('./support/calls.js');
const { holdLock, holdTransaction, sleep } = require('./support/hold.js');
const { makeFolder, newFileHash, openLedger, stateOf } = require('./support/ledger.js');

const REASON = new Error('enough');

/** Asserts that a call was aborted by its signal, and says so as it should. */
async function assertAborted(promise, operation, reason = REASON) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof DatabaseError, `${operation}: ${error}`);
    const { code, retryable, cause } = error;
    assert.deepEqual(
      { code, operation: error.operation, retryable },
      { code: 'DB_ABORTED', operation, retryable: false },
    );
    assert.equal(cause, reason);
    return true;
  });
}

const listenersOf = (signal) => getEventListeners(signal, 'abort').length;

/** Makes every call with a signal. */
const callAll = (db, signal) => Object.entries(CALLS).map(([name, call]) => [name, call(db, { signal })]);

test('every method that returns a promise is in the list above', () => {
  // A repair takes no signal; a check waits for nothing (see 82.integrity.test.js).
  const others = ['constructor', 'connect', 'disconnect', 'isConnected', 'checkIntegrity', 'repair'];
  const names = Object.getOwnPropertyNames(DatabaseManager.prototype);
  const listed = names.filter((name) => !others.includes(name) && !name.startsWith('iterate'));
  assert.deepEqual(listed.sort(), Object.keys(CALLS).sort());
});

test('a call with a signal that is aborted already does nothing', async (t) => {
  const db = await openKnown(t);
  const before = await dump(db);
  const reasons = [REASON, 'a text', null, 0];
  for (const [name, call] of Object.entries(CALLS)) {
    for (const reason of reasons) await assertAborted(call(db, { signal: AbortSignal.abort(reason) }), name, reason);
    const signal = AbortSignal.abort();
    await assertAborted(call(db, { signal }), name, signal.reason);
    assert.equal(listenersOf(signal), 0);
  }
  let ran = false;
  const run = () => {
    ran = true;
  };
  await assertAborted(db.transaction(run, { signal: AbortSignal.abort(REASON) }), 'transaction');
  assert.equal(ran, false);
  await db.transaction(async () => {
    await assertAborted(db.addFileHash(newFileHash('new'), { signal: AbortSignal.abort(REASON) }), 'addFileHash');
    await assertAborted(db.transaction(run, { signal: AbortSignal.abort(REASON) }), 'transaction');
  });
  assert.equal(ran, false);
  assert.equal(await dump(db), before);
});

for (const memory of [false, true]) {
  test(`a call behind an open transaction leaves the queue, ${memory ? 'in memory' : 'in a file'}`, async (t) => {
    const db = await openKnown(t, memory ? { path: ':memory:' } : {});
    const before = await dump(db);
    const open = await holdTransaction(db);
    // Reads wait for the write that was made before them.
    const write = db.setConfig('known', 'value of the write');
    const controller = new AbortController();
    const calls = callAll(db, controller.signal);
    const behind = db.getConfig('known');
    await sleep(5);
    for (const [name, call] of calls) assert.equal(await stateOf(call), 'pending', name);
    assert.equal(listenersOf(controller.signal), 1, 'one for all');
    controller.abort(REASON);
    for (const [name, call] of calls) await assertAborted(call, name);
    assert.equal(listenersOf(controller.signal), 0);
    assert.equal(await stateOf(write), 'pending', 'the transaction is open still');
    await open.release();
    await write;
    assert.equal(await behind, 'value of the write');
    await db.setConfig('known', 'value');
    const withoutTimes = (text) => text.replace(/"updated_at":"[^"]*"/g, '');
    assert.equal(withoutTimes(await dump(db)), withoutTimes(before));
  });
}

test("a call behind another connection's lock leaves the queue", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openKnown(t, { path: file, timeout: 60_000 });
  const before = await dump(db);
  const lock = holdLock(t, file);
  const controller = new AbortController();
  // As many ways as there are to be first in the queue.
  for (const first of ['addFileHash', 'addFileHashes', 'transaction']) {
    const one = new AbortController();
    const call = CALLS[first](db, { signal: one.signal });
    await sleep(20);
    assert.equal(await stateOf(call), 'pending');
    one.abort(REASON);
    await assertAborted(call, first);
  }
  const write = db.deleteConfig('none');
  const calls = callAll(db, controller.signal);
  await sleep(50);
  controller.abort(REASON);
  for (const [name, call] of calls) await assertAborted(call, name);
  assert.equal(await stateOf(write), 'pending');
  lock.release();
  await write;
  assert.equal(await dump(db), before);
});

test('a read that waits for a lock can be given up, too', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openKnown(t, { path: file, enableWAL: false });
  const lock = holdLock(t, file, { enableWAL: false, begin: 'BEGIN EXCLUSIVE' });
  const controller = new AbortController();
  const read = db.getConfig('known', { signal: controller.signal });
  read.catch(() => {});
  await sleep(30);
  controller.abort(REASON);
  await sleep(5);
  const state = await stateOf(read);
  lock.release();
  assert.equal(state, 'rejected');
  await assertAborted(read, 'getConfig');
});

test('a call that waits for connect leaves the queue', async (t) => {
  const db = new DatabaseManager({ path: path.join(makeFolder(t), 'a.db') });
  const connecting = db.connect();
  t.after(() => db.disconnect());
  const controller = new AbortController();
  const calls = [db.initializeSchema({ signal: controller.signal }), db.getStats({ signal: controller.signal })];
  controller.abort(REASON);
  await assertAborted(calls[0], 'initializeSchema');
  await assertAborted(calls[1], 'getStats');
  await connecting;
  assert.equal(await db.getSchemaVersion(), 0);
});

test('work on another thread is stopped half-way', async (t) => {
  const db = await openLedger(t);
  const files = Array.from({ length: 30_000 }, (_, n) => newFileHash(`h${n}`, { file_path: 'x'.repeat(1000) }));
  await db.addFileHashes(files);
  await db.flush();
  await db.vacuum();
  for (const [name, delayMs, call] of [
    ['vacuum', 8, (signal) => db.vacuum({ signal })],
    ['findFileHashes', 3, (signal) => db.findFileHashes('chat123', { signal })],
  ]) {
    // Nothing else has to be done first, so that it is not in the queue that the signal finds it.
    await db.setConfig('key', name);
    await sleep(50);
    const { lastVacuum } = await db.getStats();
    const controller = new AbortController();
    const work = call(controller.signal);
    work.catch(() => {});
    await sleep(delayMs);
    assert.equal(await stateOf(work), 'pending', `${name} takes longer`);
    controller.abort(REASON);
    await assertAborted(work, name);
    assert.equal(listenersOf(controller.signal), 0);
    assert.equal((await db.getStats()).lastVacuum, lastVacuum);
  }
  await db.addFileHash(newFileHash('after'));
  const { signal } = new AbortController();
  assert.equal((await db.findFileHashes('chat123', { signal })).length, 30_001);
  await db.vacuum({ signal });
  assert.equal(listenersOf(signal), 0);
});

test('a signal reaches all work on another thread', async (t) => {
  const db = await openLedger(t);
  const file = path.join(makeFolder(t), 'a.backup');
  for (const [name, call] of [
    ['vacuum', (options) => db.vacuum(options)],
    ['analyze', (options) => db.analyze(options)],
    ['backup', (options) => db.backup(file, options)],
    ['restore', (options) => db.restore(file, options)],
  ]) {
    let isAsked;
    const asked = new Promise((resolve) => {
      isAsked = resolve;
    });
    const request = t.mock.method(native.Interruption.prototype, 'request', isAsked);
    const work = t.mock.method(native.Ledger.prototype, name, async () => {
      await asked;
      throw new DatabaseError('made up', { code: 'SQLITE_INTERRUPT', operation: name, errno: 9 });
    });
    const controller = new AbortController();
    const outcome = call({ signal: controller.signal });
    while (work.mock.callCount() === 0) await sleep(1);
    controller.abort(REASON);
    await assertAborted(Promise.race([outcome, sleep(5000)]), name);
    request.mock.restore();
    work.mock.restore();
  }
});

test('work is stopped in its first moment, too', async (t) => {
  const db = await openLedger(t);
  await db.addFileHashes(Array.from({ length: 10_000 }, (_, n) => newFileHash(`h${n}`)));
  for (const name of ['findFileHashes', 'vacuum']) {
    let stopped = 0;
    for (let round = 0; round < 10; round += 1) {
      const controller = new AbortController();
      const work = CALLS[name](db, { signal: controller.signal });
      work.catch(() => {});
      // The list's short way is a microtask's work.
      for (let n = 0; n < 20; n += 1) await null;
      controller.abort(REASON);
      stopped += await work.then(
        () => 0,
        (error) => Number(error.code === 'DB_ABORTED'),
      );
    }
    // On a busy machine a piece of work can be over before it is asked to stop.
    assert.ok(stopped >= 7, `${name}: ${stopped} of 10`);
  }
});

for (const synchronous of ['NORMAL', 'FULL']) {
  test(`once its commit has begun a call goes on, with synchronous ${synchronous}`, async (t) => {
    const db = await openKnown(t, { synchronous });
    const controller = new AbortController();
    const { signal } = controller;
    const call = db.addFileHash(newFileHash('new'), { signal });
    const neighbour = db.setConfig('known', 'changed', { signal });
    // The slice runs in a microtask; with FULL its promises wait for the disk after that.
    await new Promise(setImmediate);
    controller.abort(REASON);
    await Promise.all([call, neighbour]);
    assert.equal(listenersOf(signal), 0);
    assert.equal(await db.isFileUploaded('new'), true);
  });
}

test('aborting after the end has no effect, and no listener stays on the signal', async (t) => {
  const db = await openKnown(t);
  const controller = new AbortController();
  const { signal } = controller;
  for (const [name, call] of Object.entries(CALLS)) {
    await call(db, { signal });
    assert.equal(listenersOf(signal), 0, name);
  }
  const failing = [
    db.addFileHash(newFileHash('twice'), { signal }),
    db.addFileHash(newFileHash('twice'), { signal }),
    db.updateSession('none', {}, { signal }),
    db.transaction(() => Promise.reject(new Error('made up')), { signal }),
    db.getErrors(7, { signal }),
  ];
  for (let n = 0; n < 50; n += 1) failing.push(db.setConfig(`key ${n}`, n, { signal }));
  const outcomes = await Promise.allSettled(failing);
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 4);
  for await (const _ of db.iterateFileHashes({ signal })) break;
  for await (const _ of db.iterateSessions({ signal }));
  assert.equal(listenersOf(signal), 0);
  const before = await dump(db);
  controller.abort(REASON);
  await sleep(5);
  assert.equal(await dump(db), before);
});

test('an open transaction is rolled back by its signal, wherever its function has got to', async (t) => {
  const db = await openKnown(t);
  const before = await dump(db);
  const controller = new AbortController();
  let late;
  const open = db.transaction(
    async () => {
      await db.addFileHash(newFileHash('new'));
      late = sleep(40).then(() => db.addFileHash(newFileHash('late')));
      late.catch(() => {});
      await new Promise(() => {});
    },
    { signal: controller.signal },
  );
  const outside = db.setConfig('outside', 1);
  await sleep(10);
  controller.abort(REASON);
  await assertAborted(open, 'transaction');
  await outside;
  await assert.rejects(late, { code: 'DB_TRANSACTION_ABORTED', operation: 'addFileHash' });
  await db.deleteConfig('outside');
  assert.equal(await dump(db), before);
  assert.equal(listenersOf(controller.signal), 0);

  const own = new AbortController();
  const fromInside = db.transaction(
    async () => {
      await db.addFileHash(newFileHash('new'));
      own.abort(REASON);
      await db.addFileHash(newFileHash('newer'));
    },
    { signal: own.signal },
  );
  await assertAborted(fromInside, 'transaction');
  assert.equal(await dump(db), before);
});

test('a nested transaction is rolled back alone by its own signal, and with the outer by that one', async (t) => {
  const db = await openKnown(t);
  const inner = new AbortController();
  await db.transaction(async () => {
    await db.addFileHash(newFileHash('outer'));
    const nested = db.transaction(
      async () => {
        await db.addFileHash(newFileHash('inner'));
        await sleep(1000);
      },
      { signal: inner.signal },
    );
    const waiting = db.addFileHash(newFileHash('waiting'));
    await sleep(5);
    inner.abort(REASON);
    await assertAborted(nested, 'transaction');
    await waiting;
  });
  const found = await db.findUploaded(['outer', 'inner', 'waiting']);
  assert.deepEqual([...found.values()], [true, false, true]);

  const outer = new AbortController();
  let nested;
  const open = db.transaction(
    async () => {
      await db.addFileHash(newFileHash('new outer'));
      nested = db.transaction(() => db.addFileHash(newFileHash('new inner')).then(() => sleep(1000)));
      await nested;
    },
    { signal: outer.signal },
  );
  await sleep(10);
  outer.abort(REASON);
  await assertAborted(open, 'transaction');
  await assert.rejects(nested, { name: 'DatabaseError' });
  assert.deepEqual([...(await db.findUploaded(['new outer', 'new inner'])).values()], [false, false]);
});

test('inside a transaction a call behind a nested one leaves the queue, too', async (t) => {
  const db = await openKnown(t);
  const controller = new AbortController();
  const { signal } = controller;
  await db.transaction(async () => {
    const nested = await new Promise((resolve) => {
      const open = db.transaction(() => new Promise((end) => setImmediate(resolve, { end, done: () => open })));
    });
    const calls = ['addFileHash', 'addFileHashes', 'isFileUploaded', 'transaction'].map((name) => [
      name,
      CALLS[name](db, { signal }),
    ]);
    const batch = Array.from({ length: 600 }, (_, n) => newFileHash(`h${n}`));
    calls.push(['addFileHashes', db.addFileHashes(batch, { signal })]);
    for (const [, call] of calls) call.catch(() => {});
    controller.abort(REASON);
    await sleep(5);
    const states = await Promise.all(calls.map(([, call]) => stateOf(call)));
    nested.end();
    await nested.done();
    assert.deepEqual(states, ['rejected', 'rejected', 'rejected', 'rejected', 'rejected']);
    for (const [name, call] of calls) await assertAborted(call, name);
  });
  assert.equal((await db.getStats()).totalFiles, 1);
});

test('a lookup of many hashes is ended between two of its pieces, in one turn of the loop too', async (t) => {
  const db = await openLedger(t);
  // Time stands still: the turn has room for all pieces.
  t.mock.method(performance, 'now', () => 1);
  const controller = new AbortController();
  const hashes = Array.from({ length: 20_000 }, (_, n) => `h${n}`);
  const lookup = db.findUploaded(hashes, { signal: controller.signal });
  controller.abort(REASON);
  await assertAborted(lookup, 'findUploaded');
});

test('what is no signal is refused by name', async (t) => {
  const db = await openKnown(t);
  for (const [name, call] of Object.entries(CALLS)) {
    for (const signal of ['abort', 1, true, {}, new AbortController(), { aborted: false }, () => {}]) {
      await assert.rejects(call(db, { signal }), (error) => {
        assert.deepEqual([error.code, error.operation], ['DB_INVALID_ARGUMENT', name]);
        assert.match(error.message, /options\.signal must be an AbortSignal/);
        return true;
      });
    }
  }
  for (const options of ['x', 1, [], () => {}]) {
    await assert.rejects(db.getStats(options), { code: 'DB_INVALID_ARGUMENT', message: /options must be an object/ });
  }
  await assert.rejects(db.getStats({ signals: 1 }), { code: 'DB_INVALID_ARGUMENT', message: /options\.signals/ });
});

test('no signal is asked for more than it must have', async (t) => {
  const db = await openKnown(t);
  for (const signal of [undefined, null]) assert.equal(await db.isFileUploaded('known', { signal }), true);
  const listeners = new Set();
  const signal = {
    aborted: false,
    reason: undefined,
    addEventListener: (type, listener) => type === 'abort' && listeners.add(listener),
    removeEventListener: (type, listener) => type === 'abort' && listeners.delete(listener),
  };
  await db.addFileHash(newFileHash('new'), { signal });
  assert.equal(listeners.size, 0);
  const open = await holdTransaction(db);
  const waiting = db.addFileHash(newFileHash('newer'), { signal });
  assert.equal(listeners.size, 1);
  Object.assign(signal, { aborted: true, reason: REASON });
  for (const listener of listeners) listener();
  await assertAborted(waiting, 'addFileHash');
  await open.release();
});

test('a signal that gives no listener back is refused', () => {
  const signal = { aborted: false, addEventListener() {} };
  assert.throws(() => checkSignal('getStats', signal), { code: 'DB_INVALID_ARGUMENT', message: /options\.signal/ });
});

test('one signal can be for many calls without a warning', async (t) => {
  const db = await openKnown(t);
  const warnings = [];
  const warn = ({ name }) => warnings.push(name);
  process.on('warning', warn);
  t.after(() => process.off('warning', warn));
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 50 }, (_, n) => db.setConfig(`key ${n}`, n, { signal })));
  await sleep(1);
  assert.deepEqual(warnings, []);
});

/** A polyfill's signal whose listening fails after `heard` times. */
function makeFailing(heard, failure) {
  let listeners = 0;
  return {
    aborted: false,
    addEventListener() {
      listeners += 1;
      if (listeners > heard) throw failure;
    },
    removeEventListener() {},
  };
}

test('a transaction whose signal fails at the second listener ends with a rollback, and holds nothing up', async (t) => {
  const db = await openKnown(t);
  const before = await dump(db);
  for (const heard of [0, 1]) {
    const run = () => db.setConfig('inside', heard);
    await assert.rejects(db.transaction(run, { signal: makeFailing(heard, REASON) }), (error) => error === REASON);
    await db.transaction(async () => {
      const nested = db.transaction(run, { signal: makeFailing(0, REASON) });
      await assert.rejects(nested, (error) => error === REASON);
    });
  }
  await db.transaction(() => {});
  assert.deepEqual(await dump(db), before);
});

test('a call settles although its signal fails as the listener is taken away', async (t) => {
  const db = await openKnown(t);
  const removeEventListener = () => {
    throw REASON;
  };
  const signal = { aborted: false, addEventListener() {}, removeEventListener };
  const open = await holdTransaction(db);
  const waiting = db.setConfig('waited', 1, { signal });
  await open.release();
  await waiting;
  await db.transaction(() => db.setConfig('inside', 2), { signal });
  assert.deepEqual([await db.getConfig('waited'), await db.getConfig('inside')], [1, 2]);
});

test('a signal whose listening failed once is listened to the next time', async (t) => {
  const db = await openKnown(t);
  const controller = new AbortController();
  let isFailing = true;
  const signal = {
    get aborted() {
      return controller.signal.aborted;
    },
    get reason() {
      return controller.signal.reason;
    },
    addEventListener(...args) {
      if (isFailing) throw REASON;
      controller.signal.addEventListener(...args);
    },
    removeEventListener: (...args) => controller.signal.removeEventListener(...args),
  };
  const open = await holdTransaction(db);
  await assert.rejects(db.setConfig('never', 1, { signal }), (error) => error === REASON);
  isFailing = false;
  const waiting = db.setConfig('never', 1, { signal });
  controller.abort(REASON);
  await assertAborted(waiting, 'setConfig');
  await open.release();
});
