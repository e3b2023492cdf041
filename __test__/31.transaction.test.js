'use strict';

/** Transactions of the manager: inside and outside, commit and rollback, what is refused. */

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const path = require('node:path');
const test = require('node:test');
const { createConnection, DatabaseManager } = require('../index.js');
const native = require('../lib/native.js');
const { makeFolder, newFileHash, newSession, openLedger, stateOf } = require('./support/ledger.js');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test('what the function returns comes out, and its calls are kept', async (t) => {
  const db = await openLedger(t);
  const value = await db.transaction(async () => {
    await db.addFileHash(newFileHash('a'));
    await sleep(1);
    await Promise.all([db.addFileHash(newFileHash('b')), db.addFileHash(newFileHash('c'))]);
    return 'value';
  });
  assert.equal(value, 'value');
  assert.equal((await db.getStats()).totalFiles, 3);
  assert.equal(await db.transaction(() => 7), 7, 'a synchronous function is welcome');
});

test("a rejection rolls back and the caller's own error comes out", async (t) => {
  const db = await openLedger(t);
  for (const thrown of [new Error('made up'), 'a string', undefined, 0]) {
    let caught = 'nothing';
    try {
      await db.transaction(async () => {
        await db.addFileHash(newFileHash('a'));
        throw thrown;
      });
    } catch (error) {
      caught = error;
    }
    assert.equal(caught, thrown);
    assert.equal(await db.isFileUploaded('a'), false);
  }
  await assert.rejects(
    db.transaction(() => {
      throw new RangeError('synchronous');
    }),
    { name: 'RangeError' },
  );
});

test('a failing call inside undoes only itself when it is caught', async (t) => {
  const db = await openLedger(t);
  await db.addFileHash(newFileHash('a'));
  await db.transaction(async () => {
    await db.addFileHash(newFileHash('b'));
    await assert.rejects(db.addFileHash(newFileHash('a')), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
    await db.addFileHash(newFileHash('c'));
  });
  assert.equal((await db.getStats()).totalFiles, 3);
});

for (const memory of [false, true]) {
  test(`outside calls are outside, ${memory ? 'in memory' : 'in a file'}`, async (t) => {
    const db = await openLedger(t, memory ? { path: ':memory:' } : {});
    await db.addFileHash(newFileHash('before'));
    let inside;
    let release;
    const opened = new Promise((resolve) => {
      inside = db.transaction(async () => {
        await db.addFileHash(newFileHash('inside'));
        assert.equal(await db.isFileUploaded('inside'), true);
        resolve();
        await new Promise((go) => {
          release = go;
        });
        throw new Error('rolled back');
      });
      inside.catch(() => {});
    });
    await opened;
    const reading = db.isFileUploaded('inside');
    const known = db.isFileUploaded('before');
    const writing = db.addFileHash(newFileHash('outside'));
    const readingOwnWrite = db.isFileUploaded('outside');
    await sleep(20);
    // In memory there is no second handle that could show the last committed state.
    assert.equal(await stateOf(reading), memory ? 'pending' : 'fulfilled');
    assert.equal(await stateOf(writing), 'pending');
    assert.equal(await stateOf(readingOwnWrite), 'pending');
    release();
    await assert.rejects(inside, { message: 'rolled back' });
    assert.deepEqual(await Promise.all([reading, known, readingOwnWrite]), [false, true, true]);
    await writing;
    assert.equal((await db.getStats()).totalFiles, 2, 'the outside write was not rolled back');
  });
}

test('outside reads do not wait for a transaction that only waits for its turn', async (t) => {
  const db = await openLedger(t);
  let release;
  const first = db.transaction(
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  const second = db.transaction(() => db.addFileHash(newFileHash('second')));
  await sleep(5);
  assert.equal(await db.isFileUploaded('second'), false);
  release();
  await Promise.all([first, second]);
  assert.equal(await db.isFileUploaded('second'), true);
});

test('COMMIT waits for calls that were not awaited', async (t) => {
  const db = await openLedger(t);
  await db.transaction(async () => {
    db.addFileHash(newFileHash('a'));
    db.transaction(async () => {
      await sleep(10);
      await db.addFileHash(newFileHash('b'));
    });
    db.addFileHash(newFileHash('c'));
  });
  assert.equal((await db.getStats()).totalFiles, 3);
});

/** So many calls at once take longer than the loop's turn has time for. */
const MANY = 5_000;

test('calls made at once run in their order, over as many turns of the loop as they need', async (t) => {
  const db = await openLedger(t);
  const seen = [];
  const expected = [];
  await db.transaction(async () => {
    for (let n = 0; n < MANY; n += 1) {
      db.setConfig('key', n);
      db.getConfig('key').then((value) => seen.push(value));
      expected.push(n);
      if (n % 500 === 0) {
        db.transaction(async () => {
          await sleep(1);
          await db.setConfig('key', `nested ${n}`);
        });
        db.getConfig('key').then((value) => seen.push(value));
        expected.push(`nested ${n}`);
      }
    }
    assert.ok(seen.length === 0, 'the function has not let go of the loop yet');
  });
  assert.deepEqual(seen, expected);
  assert.equal(await db.getConfig('key'), MANY - 1);
});

test('calls that wait for the next turn end with a transaction that fails, and say why', async (t) => {
  const db = await openLedger(t);
  const controller = new AbortController();
  const ways = [
    {
      end: () => {
        throw new Error('made up');
      },
      thrown: { message: 'made up' },
      code: 'DB_TRANSACTION_FINISHED',
    },
    { end: () => controller.abort(), thrown: { code: 'DB_ABORTED' }, code: 'DB_TRANSACTION_ABORTED' },
  ];
  for (const { end, thrown, code } of ways) {
    const calls = [];
    const open = db.transaction(
      async () => {
        for (let n = 0; n < MANY; n += 1) calls.push(db.setConfig(`key ${n}`, n));
        for (const call of calls) call.catch(() => {});
        end();
        await Promise.all(calls);
      },
      { signal: controller.signal },
    );
    await assert.rejects(open, thrown);
    await assert.rejects(calls.at(-1), { code, operation: 'setConfig' });
    assert.deepEqual(await db.listConfig(), []);
  }
});

test('so do those of a transaction inside it, when it is ended from outside', async (t) => {
  const db = await openLedger(t);
  const calls = [];
  const open = db.transaction(() =>
    db.transaction(async () => {
      for (let n = 0; n < MANY; n += 1) calls.push(db.setConfig(`key ${n}`, n));
      for (const call of calls) call.catch(() => {});
      await Promise.all(calls);
    }),
  );
  while (calls.length === 0) await null;
  const closed = db.disconnect();
  await assert.rejects(open, { code: 'DB_TRANSACTION_ABORTED' });
  await assert.rejects(calls.at(-1), { code: 'DB_TRANSACTION_ABORTED', operation: 'setConfig' });
  await closed;
});

test('a signal takes one call out of those that wait for the next turn', async (t) => {
  const db = await openLedger(t);
  const controller = new AbortController();
  await db.transaction(async () => {
    for (let n = 0; n < MANY; n += 1) db.setConfig('key', n);
    const aborted = db.setConfig('aborted', 1, { signal: controller.signal });
    db.setConfig('kept', 1);
    controller.abort();
    await assert.rejects(aborted, { code: 'DB_ABORTED' });
  });
  assert.deepEqual(
    (await db.listConfig()).map(({ key }) => key),
    ['kept', 'key'],
  );
});

test('a transaction goes on while reads from outside fill every turn of the loop', async (t) => {
  const db = await openLedger(t);
  let isOver = false;
  const flood = async () => {
    while (!isOver) await Promise.all(Array.from({ length: 2000 }, () => db.isFileUploaded('none')));
  };
  const floods = [flood(), flood()];
  await db.transaction(async () => {
    for (let n = 0; n < 50; n += 1) await db.setConfig('key', n);
  });
  isOver = true;
  await Promise.all(floods);
  assert.equal(await db.getConfig('key'), 49);
});

/** So many rows are committed by the log's thread. */
const MUCH = 3_000;

test('a long commit is made on another thread; what comes meanwhile sees all of it or nothing, in its order', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const { commitAside } = native.Ledger.prototype;
  const aside = t.mock.method(native.Ledger.prototype, 'commitAside', async function commit() {
    await sleep(10);
    return commitAside.call(this);
  });
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  const count = async () => (await db.getStats()).totalFiles;
  const makeFiles = (prefix) => Array.from({ length: MUCH }, (_, n) => newFileHash(`${prefix}${n}`));
  const works = {
    transaction: () => db.transaction(() => Promise.all(makeFiles('t').map((record) => db.addFileHash(record)))),
    batch: () => db.addFileHashes(makeFiles('b')),
  };
  let before = 0;
  for (const [index, [name, work]] of Object.entries(works).entries()) {
    let isCommitted = false;
    const done = work().then(() => {
      isCommitted = true;
    });
    while (aside.mock.callCount() === index && !isCommitted) await sleep(0);
    assert.equal(isCommitted, false, name);
    assert.throws(() => connection.run("DELETE FROM config WHERE key = 'x'"), { code: 'DB_BUSY' });
    const counts = [count(), count()];
    const write = db.setConfig('last', name);
    counts.push(count());
    const seen = await Promise.all(counts);
    for (const number of seen) assert.ok([before, before + MUCH].includes(number), `${name}: ${number}`);
    await Promise.all([done, write]);
    before += MUCH;
    assert.equal(seen.at(-1), before);
    assert.equal(await count(), before);
  }
  await db.transaction(() => db.setConfig('few', 1));
  assert.equal(aside.mock.callCount(), 2);
});

test('a long commit that fails rolls back and rejects; disconnect() waits for one that does not', async (t) => {
  const db = await openLedger(t, { path: path.join(makeFolder(t), 'a.db') });
  const addMany = () =>
    db.transaction(async () => {
      for (let n = 0; n < MUCH; n += 1) await db.addFileHash(newFileHash(`h${n}`));
    });
  const failure = new Error('made up');
  const aside = t.mock.method(native.Ledger.prototype, 'commitAside', () => Promise.reject(failure));
  await assert.rejects(addMany(), (error) => error === failure);
  await assert.rejects(
    db.addFileHashes(Array.from({ length: MUCH }, (_, n) => newFileHash(`h${n}`))),
    (error) => error === failure,
  );
  assert.equal((await db.getStats()).totalFiles, 0);
  t.mock.restoreAll();
  assert.equal(aside.mock.callCount(), 2);
  const again = t.mock.method(native.Ledger.prototype, 'commitAside');
  const done = addMany();
  for (let n = 0; n < 1000 && again.mock.callCount() === 0; n += 1) await sleep(1);
  assert.equal(again.mock.callCount(), 1);
  await Promise.all([done, db.disconnect()]);
  await db.connect();
  assert.equal((await db.getStats()).totalFiles, MUCH);
});

test("a call from a finished transaction's context is refused and says so", async (t) => {
  const db = await openLedger(t);
  const late = [];
  let forgotten;
  await db.transaction(async () => {
    forgotten = sleep(20).then(() => {
      for (const call of [
        () => db.addFileHash(newFileHash('late')),
        () => db.isFileUploaded('late'),
        () => db.transaction(async () => {}),
        () => db.vacuum(),
        () => db.disconnect(),
      ]) {
        late.push(call());
      }
      for (const promise of late) promise.catch(() => {});
    });
  });
  await forgotten;
  assert.equal(late.length, 5);
  for (const promise of late) await assert.rejects(promise, { code: 'DB_TRANSACTION_FINISHED', retryable: false });
  assert.equal(db.isConnected(), true);
  assert.equal(await db.isFileUploaded('late'), false);
});

test('disconnect inside a transaction is refused', async (t) => {
  const db = await openLedger(t);
  await db.transaction(async () => {
    await assert.rejects(db.disconnect(), { code: 'DB_TRANSACTION_STATE', operation: 'disconnect' });
    await db.connect();
    await db.addFileHash(newFileHash('a'));
  });
  assert.equal(await db.isFileUploaded('a'), true);
});

test('the context is per manager: another manager is outside', async (t) => {
  const [one, two] = [await openLedger(t), await openLedger(t)];
  await assert.rejects(
    one.transaction(async () => {
      await one.addFileHash(newFileHash('a'));
      await two.addFileHash(newFileHash('a'));
      await two.transaction(() => two.addFileHash(newFileHash('b')));
      throw new Error('made up');
    }),
    { message: 'made up' },
  );
  assert.equal((await one.getStats()).totalFiles, 0);
  assert.equal((await two.getStats()).totalFiles, 2);
});

test("the function runs in its own caller's context, even when it had to wait", async (t) => {
  const db = await openLedger(t);
  const request = new AsyncLocalStorage();
  const seen = await Promise.all(
    ['a', 'b', 'c'].map((name) =>
      request.run(name, () =>
        db.transaction(async () => {
          const atStart = request.getStore();
          await db.addFileHash(newFileHash(name));
          return [atStart, request.getStore()];
        }),
      ),
    ),
  );
  assert.deepEqual(seen, [
    ['a', 'a'],
    ['b', 'b'],
    ['c', 'c'],
  ]);
});

test('what waits longer than the timeout behind an open transaction gives up, and says how old that is', async (t) => {
  const db = await openLedger(t, { timeout: 1000 });
  let release;
  const open = db.transaction(
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  const begun = Date.now();
  const waiting = [
    db.addFileHash(newFileHash('a')),
    db.transaction(async () => {}),
    db.isFileUploaded('a'),
    db.vacuum(),
  ];
  // All are heard from the start: they may give up in different ticks.
  for (const { status, reason } of await Promise.allSettled(waiting)) {
    assert.equal(status, 'rejected');
    assert.equal(reason.code, 'DB_BUSY');
    assert.equal(reason.retryable, true);
    assert.match(reason.message, /open for 1\d\d\d ms/);
  }
  assert.ok(Date.now() - begun >= 950);
  await assert.rejects(db.addFileHash(newFileHash('b')), { code: 'DB_BUSY' });
  assert.equal(await db.isFileUploaded('a'), false, 'reads go on');
  // Also those that come when a turn of the loop has lasted too long to run them.
  for (const until = performance.now() + 20; performance.now() < until; );
  assert.equal(await db.isFileUploaded('a'), false, 'reads go on, later');
  release();
  await open;
  await db.addFileHash(newFileHash('a'));
  assert.equal(await db.isFileUploaded('a'), true);
});

test('each transaction has the whole timeout, also one that begins late in the time of another', async (t) => {
  const db = await openLedger(t, { timeout: 1000 });
  await db.transaction(() => db.setConfig('key', 1));
  await sleep(700);
  const begun = performance.now();
  let release;
  const open = db.transaction(
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  await sleep(600);
  // The first one's time is over, this one's is not.
  await assert.rejects(db.addFileHash(newFileHash('a')), { code: 'DB_BUSY' });
  assert.ok(performance.now() - begun >= 990, `${performance.now() - begun} ms`);
  release();
  await open;
  await db.addFileHash(newFileHash('a'));
});

test('what does its work when it is waited for does it inside the transaction', async (t) => {
  const db = await openLedger(t);
  const lazy = (name) => ({
    // biome-ignore lint/suspicious/noThenProperty: as query builders have it
    then: (resolve, reject) => db.setConfig(name, 1).then(resolve, reject),
  });
  await db.transaction(() => lazy('outer'));
  await db.transaction(() => db.transaction(() => lazy('inner')));
  await assert.rejects(
    db.transaction(async () => {
      await db.transaction(() => lazy('undone'));
      throw new Error('made up');
    }),
    /made up/,
  );
  assert.deepEqual(
    (await db.listConfig()).map(({ key }) => key),
    ['inner', 'outer'],
  );
});

test('a transaction that SQLite ended is not committed', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  // A trigger that rolls everything back stands in for SQLITE_FULL, which does the same.
  const connection = createConnection({ path: file });
  connection.run(`CREATE TRIGGER lose BEFORE INSERT ON config WHEN NEW.key = 'lose'
                  BEGIN SELECT RAISE(ROLLBACK, 'lost'); END`);
  connection.close();
  let seen;
  await assert.rejects(
    db.transaction(async () => {
      await db.addFileHash(newFileHash('a'));
      await db.setConfig('lose', 1).catch((error) => {
        seen = error;
      });
      await assert.rejects(db.addFileHash(newFileHash('b')), { code: 'DB_TRANSACTION_ABORTED' });
      await assert.rejects(db.isFileUploaded('a'), { code: 'DB_TRANSACTION_ABORTED' });
    }),
    (error) => error.code === 'DB_TRANSACTION_ABORTED' && error.cause === seen,
  );
  assert.equal(seen.code, 'SQLITE_CONSTRAINT_TRIGGER');
  await assert.rejects(
    db.transaction(() => db.transaction(() => db.setConfig('lose', 1))),
    { code: 'SQLITE_CONSTRAINT_TRIGGER' },
  );
  assert.equal((await db.getStats()).totalFiles, 0);
  await db.addFileHash(newFileHash('c'));
  assert.equal((await db.getStats()).totalFiles, 1);
});

test('what is no function is refused', async (t) => {
  const db = await openLedger(t);
  for (const value of [undefined, null, 1, 'x', {}, Promise.resolve()]) {
    await assert.rejects(db.transaction(value), { code: 'DB_INVALID_ARGUMENT', operation: 'transaction' });
  }
});

test('a transaction before connect() is refused', async (t) => {
  const db = new DatabaseManager({ path: path.join(makeFolder(t), 'a.db') });
  await assert.rejects(
    db.transaction(() => db.createSession(newSession())),
    { code: 'DB_NOT_CONNECTED' },
  );
});
