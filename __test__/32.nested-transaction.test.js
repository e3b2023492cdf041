'use strict';

/** Transactions inside transactions: savepoints, siblings, what waits. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { newFileHash, openLedger } = require('./support/ledger.js');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const hashes = async (db) => (await db.findFileHashes('chat123')).map(({ hash }) => hash);
const add = (db, hash) => db.addFileHash(newFileHash(hash));

test('a nested rejection undoes its own part alone', async (t) => {
  const db = await openLedger(t);
  await db.transaction(async () => {
    await add(db, 'a');
    await assert.rejects(
      db.transaction(async () => {
        await add(db, 'b');
        await db.transaction(() => add(db, 'c'));
        throw new Error('inner');
      }),
      { message: 'inner' },
    );
    await db.transaction(() => add(db, 'd'));
  });
  assert.deepEqual(await hashes(db), ['a', 'd']);
});

test('an outer rejection undoes everything', async (t) => {
  const db = await openLedger(t);
  await assert.rejects(
    db.transaction(async () => {
      await db.transaction(() => add(db, 'a'));
      throw new Error('outer');
    }),
    { message: 'outer' },
  );
  assert.deepEqual(await hashes(db), []);
});

test('siblings started together run one after the other, in order', async (t) => {
  const db = await openLedger(t);
  const log = [];
  await db.transaction(async () => {
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c'].map((name) =>
        db.transaction(async () => {
          log.push(`${name} begins`);
          await add(db, name);
          await sleep(5);
          log.push(`${name} ends`);
          if (name === 'b') throw new Error('b');
        }),
      ),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });
  assert.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  assert.deepEqual(await hashes(db), ['a', 'c']);
});

test('a call of the outer transaction waits while a nested one is open', async (t) => {
  const db = await openLedger(t);
  await db.transaction(async () => {
    const nested = db.transaction(async () => {
      await sleep(10);
      await add(db, 'nested');
      throw new Error('undone');
    });
    const outer = add(db, 'outer');
    const seen = db.isFileUploaded('outer');
    await assert.rejects(nested, { message: 'undone' });
    await outer;
    assert.equal(await seen, true);
  });
  assert.deepEqual(await hashes(db), ['outer'], 'the outer call was not undone with the nested one');
});

test('an outer rejection ends a nested transaction that is still open', async (t) => {
  const db = await openLedger(t);
  let nested;
  let late;
  await assert.rejects(
    db.transaction(async () => {
      await add(db, 'a');
      nested = db.transaction(async () => {
        await add(db, 'b');
        await db.transaction(async () => {
          await add(db, 'c');
          await sleep(20);
          late = add(db, 'late');
          await late;
        });
      });
      nested.catch(() => {});
      await sleep(5);
      throw new Error('outer');
    }),
    { message: 'outer' },
  );
  await add(db, 'after');
  await assert.rejects(nested, { code: 'DB_TRANSACTION_ABORTED' });
  await sleep(30);
  await assert.rejects(late, { code: 'DB_TRANSACTION_FINISHED' });
  assert.deepEqual(await hashes(db), ['after']);
});

test('a middle rejection ends what is open inside it, and the outer goes on', async (t) => {
  const db = await openLedger(t);
  await db.transaction(async () => {
    await add(db, 'a');
    await assert.rejects(
      db.transaction(async () => {
        await add(db, 'b');
        db.transaction(async () => {
          await add(db, 'c');
          await sleep(50);
        }).catch(() => {});
        await sleep(5);
        throw new Error('middle');
      }),
      { message: 'middle' },
    );
    await add(db, 'd');
  });
  assert.deepEqual(await hashes(db), ['a', 'd']);
});

test('what waits longer than the timeout behind a nested transaction gives up', async (t) => {
  const db = await openLedger(t, { timeout: 1000 });
  await db.transaction(async () => {
    const nested = db.transaction(() => sleep(1300));
    const waiting = add(db, 'a');
    await assert.rejects(waiting, { code: 'DB_BUSY', retryable: true });
    await assert.rejects(add(db, 'b'), { code: 'DB_BUSY' });
    await nested;
    await add(db, 'c');
  });
  assert.deepEqual(await hashes(db), ['c']);
});

for (const [what, body, message] of [
  ['nested rejection', "db.transaction(async () => { throw new Error('forgotten'); });", /Error: forgotten/],
  [
    'failing call that waited',
    "db.transaction(() => new Promise((resolve) => setTimeout(resolve, 10))); db.updateSession('none', {});",
    /DB_NOT_FOUND/,
  ],
]) {
  test(`a forgotten ${what} is still an unhandled rejection`, () => {
    const script = `
      const { DatabaseManager } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
      (async () => {
        const db = new DatabaseManager({ path: ':memory:' });
        await db.connect();
        await db.initializeSchema();
        await db.transaction(async () => { ${body} });
      })();`;
    const { status, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, message);
  });
}

test('ten deep', async (t) => {
  const db = await openLedger(t);
  const nest = (depth) =>
    db.transaction(async () => {
      await add(db, `level ${depth}`);
      if (depth < 10) await nest(depth + 1);
      if (depth === 6) throw new Error('six');
    });
  await db.transaction(async () => {
    await add(db, 'level 0');
    await assert.rejects(nest(1), { message: 'six' });
    await nest(8);
  });
  assert.deepEqual(await hashes(db), ['level 0', 'level 8', 'level 9', 'level 10']);
});
