'use strict';

/**
 * Hostile timing for DatabaseManager: calls from inside getters, proxies and toJSON; disconnect
 * in every state; a manager that is dropped and collected; exits and terminated workers with an
 * open transaction; two managers on one file; maintenance that fails.
 */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { Worker } = require('node:worker_threads');
const { DatabaseManager, createConnection } = require('../index.js');
const { makeFolder, makeRandom, newFileHash, newSession, openLedger } = require('./support/ledger.js');
const { assertRefused, assertTyped } = require('./support/hostile.js');

const INDEX = path.join(__dirname, '..', 'index.js');

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Settles, or says that it does not. */
async function settles(promise, label, ms = 3000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${label} does not settle`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a script in a process of its own; it gets the package's path and its own arguments. */
function runScript(script, args, flags = []) {
  const child = spawnSync(process.execPath, [...flags, '-e', script, INDEX, ...args], {
    encoding: 'utf8',
    timeout: 15_000,
  });
  assert.equal(child.status, 0, `${child.signal}\n${child.stdout}\n${child.stderr}`);
  return child.stdout.trim();
}

test('disconnecting while arguments are read refuses the call that reads them', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const session = await db.createSession(newSession());
  const traps = {
    'a getter': (record, act) => Object.defineProperty(record, 'chat_id', { get: act, enumerable: true }),
    "a proxy's get": (record, act) => new Proxy(record, { get: (o, key) => (key === 'chat_id' ? act() : o[key]) }),
    "a proxy's ownKeys": (record, act) =>
      new Proxy(record, {
        ownKeys: (o) => {
          act();
          return Reflect.ownKeys(o);
        },
      }),
  };
  for (const [label, trap] of Object.entries(traps)) {
    const calls = {
      createSession: (act) => db.createSession(trap(newSession(), act)),
      updateSession: (act) => db.updateSession(session, trap({ chat_id: 'x' }, act)),
      addFileHash: (act) => db.addFileHash(trap(newFileHash('h'), act)),
      setConfig: (act) => db.setConfig('key', { toJSON: act }),
    };
    for (const [operation, call] of Object.entries(calls)) {
      const closing = [];
      const act = () => {
        closing.push(db.disconnect());
        return 'x';
      };
      await assertRefused(() => call(act), { code: 'DB_NOT_CONNECTED', operation, label });
      await settles(Promise.all(closing), `${label}: disconnect`);
      await db.connect();
    }
  }
  assert.equal(await db.isFileUploaded('h'), false);
});

test('writing while arguments are read is a call of its own, made before', async (t) => {
  const db = await openLedger(t, { path: ':memory:' });
  const inner = [];
  await db.addFileHash({
    ...newFileHash('outer'),
    get chat_id() {
      inner.push(
        db.addFileHash(newFileHash('inner')),
        db.transaction(() => db.addFileHash(newFileHash('in'))),
      );
      return 'chat123';
    },
  });
  await Promise.all(inner);
  const hashes = (await db.findFileHashes('chat123')).map(({ hash }) => hash);
  assert.deepEqual(hashes.sort(), ['in', 'inner', 'outer']);
});

test('disconnect inside a transaction rejects, at any depth, and the transaction goes on', async (t) => {
  const db = await openLedger(t);
  const refused = () => assertRefused(() => db.disconnect(), { code: 'DB_TRANSACTION_STATE', operation: 'disconnect' });
  await db.transaction(async () => {
    await refused();
    await db.addFileHash(newFileHash('one'));
    await db.transaction(async () => {
      await pause(1);
      await refused();
      await db.addFileHash(newFileHash('two'));
    });
    await db.connect();
  });
  assert.equal(db.isConnected(), true);
  assert.equal((await db.getStats()).totalFiles, 2);
});

test('disconnect right after connect refuses what is called after it', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  await db.disconnect();
  const opening = db.connect();
  const before = db.addFileHash(newFileHash('before'));
  const closing = db.disconnect();
  assert.equal(db.disconnect(), closing, 'one promise');
  const after = assertRefused(() => db.addFileHash(newFileHash('after')), {
    code: 'DB_NOT_CONNECTED',
    operation: 'addFileHash',
  });
  const reading = assertRefused(() => db.getStats(), { code: 'DB_NOT_CONNECTED', operation: 'getStats' });
  const results = await settles(Promise.allSettled([opening, before, closing, after, reading]), 'everything');
  assert.equal(results[2].status, 'fulfilled');
  for (const { reason } of results.slice(3)) assert.equal(reason, undefined, reason?.stack);
  assert.equal(db.isConnected(), false);
  await db.connect();
  assert.equal(await db.isFileUploaded('after'), false);
});

test('disconnect with everything under way: queued writes are kept, open transactions are not', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const insideClosed = [];
  const open = db.transaction(async () => {
    await db.addFileHash(newFileHash('lost'));
    await db.transaction(() => pause(50)).catch((error) => insideClosed.push(error));
    insideClosed.push(await db.addFileHash(newFileHash('lost too')).catch((error) => error));
  });
  const queued = db.addFileHash(newFileHash('kept'));
  const queuedTransaction = db.transaction(() => db.addFileHash(newFileHash('never begun')));
  const queuedVacuum = db.vacuum();
  const outcome = Promise.allSettled([open, queued, queuedTransaction, queuedVacuum]);
  await pause(10);
  await settles(db.disconnect(), 'disconnect');
  const [first, second, third, fourth] = await outcome;
  assertTyped(first.reason, { code: 'DB_TRANSACTION_ABORTED', operation: 'transaction' });
  assert.equal(first.reason.cause.code, 'DB_NOT_CONNECTED');
  assert.equal(second.status, 'fulfilled');
  assertTyped(third.reason, { code: 'DB_NOT_CONNECTED', operation: 'transaction' });
  if (fourth.reason) assertTyped(fourth.reason, { operation: 'vacuum' });
  await db.connect();
  await pause(60);
  assertTyped(insideClosed[0], { operation: 'transaction' });
  assertTyped(insideClosed[1], { operation: 'addFileHash' });
  assert.deepEqual(
    (await db.findFileHashes('chat123')).map(({ hash }) => hash),
    ['kept'],
  );
});

test('a call for the next connection is not forgotten when that one is closed and opened again', async (t) => {
  const db = await openLedger(t, { path: path.join(makeFolder(t), 'a.db') });
  const first = [db.disconnect(), db.connect()];
  const call = db.addFileHash(newFileHash('h')).catch((error) => assertTyped(error, { operation: 'addFileHash' }));
  const second = [db.disconnect(), db.connect()];
  await settles(Promise.all([...first, ...second]), 'connect');
  await settles(call, 'the call');
});

test('connect, disconnect and calls in random order: everything settles, acknowledged rows stay', async (t) => {
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const acknowledged = [];
  const refused = [];
  for (let round = 0; round < 30; round += 1) {
    const calls = [];
    for (let step = 0; step < 12; step += 1) {
      const hash = `${round}-${step}`;
      const roll = random();
      const kept = () => acknowledged.push(hash);
      const left = (error) => {
        refused.push(hash);
        if (error.message !== 'made up') assertTyped(error, { label: `seed ${seed}, ${hash}` });
      };
      if (roll < 0.15) calls.push(db.connect());
      else if (roll < 0.3) calls.push(db.disconnect());
      else if (roll < 0.6) calls.push(db.addFileHash(newFileHash(hash)).then(kept, left));
      else if (roll < 0.8) {
        const fails = random() < 0.4;
        const run = async () => {
          await db.addFileHash(newFileHash(hash));
          if (random() < 0.5) await pause(random() * 3);
          if (fails) throw new Error('made up');
        };
        calls.push(db.transaction(run).then(kept, left));
      } else calls.push(db.getStats().catch((error) => assertTyped(error, { label: `seed ${seed}` })));
      if (random() < 0.2) await pause(random() * 2);
    }
    await settles(Promise.all(calls), `seed ${seed}, round ${round}`, 8000);
  }
  await db.connect();
  const hashes = (await db.findFileHashes('chat123')).map(({ hash }) => hash);
  assert.deepEqual(hashes.sort(), acknowledged.sort(), `seed ${seed}`);
  assert.deepEqual(
    refused.filter((hash) => hashes.includes(hash)),
    [],
    `seed ${seed}`,
  );
});

for (const memory of [true, false]) {
  test(`maintenance that fails leaves the manager usable, ${memory ? 'in memory' : 'in a file'}`, async (t) => {
    const db = new DatabaseManager({ path: memory ? ':memory:' : path.join(makeFolder(t), 'a.db') });
    await db.connect();
    const vacuum = () => settles(db.vacuum(), 'vacuum');
    await assertRefused(vacuum, { operation: 'vacuum', code: 'DB_SCHEMA_MISSING' });
    const add = () => settles(db.addFileHash(newFileHash('h')), 'addFileHash');
    await assertRefused(add, { operation: 'addFileHash', code: 'DB_SCHEMA_MISSING' });
    await settles(db.initializeSchema(), 'initializeSchema');
    await add();
    await vacuum();
    await settles(db.disconnect(), 'disconnect');
  });
}

test('a read-only manager reads during its own transaction', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  await (await openLedger(t, { path: file })).disconnect();
  const db = new DatabaseManager({ path: file, readonly: true });
  await db.connect();
  t.after(() => db.disconnect());
  let end;
  const open = db.transaction(
    () =>
      new Promise((resolve) => {
        end = resolve;
      }),
  );
  await pause(10);
  const stats = await settles(db.getStats(), 'a read from outside', 1000).finally(() => end());
  assert.equal(stats.totalFiles, 0);
  await open;
  await assertRefused(() => db.addFileHash(newFileHash('h')), { code: 'SQLITE_READONLY', operation: 'addFileHash' });
  await assertRefused(() => db.vacuum(), { operation: 'vacuum' });
});

test("one manager's transaction in another's: each is its own, and the second waits for the lock", async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const one = await openLedger(t, { path: file, timeout: 1000 });
  const two = await openLedger(t, { path: file, timeout: 1000 });
  await one.transaction(async () => {
    await one.addFileHash(newFileHash('one'));
    assert.equal(await two.isFileUploaded('one'), false, 'it sees what is committed');
    const error = await assertRefused(() => two.addFileHash(newFileHash('two')), { operation: 'addFileHash' });
    assert.equal(error.retryable, true);
    await two.disconnect();
    assert.equal(two.isConnected(), false);
  });
  await two.connect();
  await Promise.all([one, two].map((db, n) => db.transaction(() => db.addFileHash(newFileHash(`both-${n}`)))));
  assert.equal((await two.getStats()).totalFiles, 3);
});

test('a manager that is collected with an open transaction holds nothing', (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const script = `
    const [index, file] = process.argv.slice(1);
    const { DatabaseManager, createConnection } = require(index);
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    async function drop() {
      const db = new DatabaseManager({ path: file, timeout: 1000 });
      await db.connect();
      await db.initializeSchema();
      db.transaction(() => db.setConfig('lost', 1).then(() => new Promise(() => {})));
      await pause(20);
    }
    (async () => {
      const first = createConnection({ path: file });
      first.run('CREATE TABLE t (x)');
      await drop();
      for (let round = 0; round < 80; round += 1) {
        await pause(50);
        gc();
        try {
          first.run('INSERT INTO t VALUES (1)');
          console.log('free');
          return;
        } catch (error) {
          if (error.code !== 'DB_BUSY' && error.code !== 'SQLITE_BUSY') throw error;
        }
      }
      console.log('held for ever');
    })();
  `;
  assert.equal(runScript(script, [file], ['--expose-gc']), 'free');
  const connection = createConnection({ path: file });
  t.after(() => connection.close());
  assert.deepEqual(connection.all('SELECT key FROM config'), []);
});

test('connections that are dropped in the middle of a transaction are collected, and their locks with them', (t) => {
  const script = `
    const [index, folder] = process.argv.slice(1);
    const { createConnection } = require(index);
    const file = require('node:path').join(folder, 'a.db');
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const setUp = createConnection({ path: file });
    setUp.run('CREATE TABLE t (x)');
    setUp.close();
    function drop(round) {
      const connection = createConnection({ path: file, timeout: 1000 });
      connection.run('BEGIN IMMEDIATE');
      connection.run('INSERT INTO t VALUES (1)');
      connection.prepare('SELECT 1').all();
      connection.getDatabase().prepare('SELECT 2').all();
      if (round % 2) connection.close();
    }
    (async () => {
      for (let round = 0; round < 10; round += 1) {
        drop(round);
        for (let n = 0; n < 3; n += 1) {
          gc();
          await pause(5);
        }
      }
      console.log(createConnection({ path: file }).get('SELECT count(*) AS n FROM t').n);
    })();
  `;
  assert.equal(runScript(script, [makeFolder(t)], ['--expose-gc']), '0');
});

test('a process that ends with an open transaction leaves nothing of it and no lock', async (t) => {
  const ways = {
    'process.exit': 'process.exit(0)',
    'the end of all work': '',
    'an exit from inside the transaction': 'await db.transaction(async () => process.exit(0))',
  };
  for (const [label, way] of Object.entries(ways)) {
    const file = path.join(makeFolder(t), 'a.db');
    const script = `
      const [index, file] = process.argv.slice(1);
      const { DatabaseManager, createConnection } = require(index);
      (async () => {
        const db = new DatabaseManager({ path: file, timeout: 1000 });
        await db.connect();
        await db.initializeSchema();
        await db.setConfig('kept', 1);
        ${label.startsWith('an exit') ? '' : "db.transaction(() => db.setConfig('lost', 1).then(() => new Promise(() => {})));"}
        await new Promise((resolve) => setTimeout(resolve, 20));
        ${way}
      })();
    `;
    runScript(script, [file]);
    const db = await openLedger(t, { path: file });
    const keys = (await db.listConfig()).map(({ key }) => key);
    assert.deepEqual(keys, ['kept'], label);
    await db.setConfig('after', 1);
  }
});

test('a process that ends while other threads work for it ends at once, without a signal, and its file is sound', async (t) => {
  const works = {
    vacuum: 'db.vacuum()',
    'a list': 'db.findFileHashes("chat123")',
    'a backup': 'db.backup(file + ".copy")',
    'a check': 'db.checkIntegrity({ deep: true })',
    'a checkpoint': 'db.flush()',
    'a long commit':
      'db.transaction(() => Promise.all(Array.from({ length: 2000 }, (_, n) => db.setConfig("k" + n, 1))))',
    opening: 'new DatabaseManager({ path: file }).connect()',
  };
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  await db.addFileHashes(Array.from({ length: 20_000 }, (_, n) => newFileHash(`h${n}`)));
  await db.disconnect();
  for (const [label, work] of Object.entries(works)) {
    const script = `
      const [index, file] = process.argv.slice(1);
      const { DatabaseManager } = require(index);
      (async () => {
        const db = new DatabaseManager({ path: file });
        await db.connect();
        await db.setConfig('kept', ${JSON.stringify(label)});
        ${work}.catch(() => {});
        setTimeout(() => process.exit(0), 3);
      })();
    `;
    runScript(script, [file]);
    await db.connect();
    assert.equal(await db.getConfig('kept'), label);
    assert.equal((await db.checkIntegrity()).ok, true, label);
    await db.disconnect();
  }
});

test('a worker terminated with an open transaction leaves nothing of it and no lock', async (t) => {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file, timeout: 2000 });
  for (let round = 0; round < 5; round += 1) {
    const worker = new Worker(
      `
        const { parentPort, workerData: { index, file } } = require('node:worker_threads');
        const { DatabaseManager, createConnection } = require(index);
        (async () => {
          const db = new DatabaseManager({ path: file });
          await db.connect();
          const connection = createConnection({ path: file });
          await db.transaction(async () => {
            await db.setConfig('lost', 1);
            parentPort.postMessage('open');
            await new Promise(() => {});
          });
        })();
        setInterval(() => {}, 1000);
      `,
      { eval: true, workerData: { index: INDEX, file } },
    );
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    const waiting = db.setConfig(`kept-${round}`, 1);
    await worker.terminate();
    await settles(waiting, 'a write that waited for the worker');
  }
  assert.equal(await db.getConfig('lost'), undefined);
  assert.equal((await db.listConfig()).length, 5);
});
