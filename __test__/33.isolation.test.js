'use strict';

/** The isolation rule under load: transactions and outside calls, interleaved at random. */

const assert = require('node:assert/strict');
const test = require('node:test');
const { makeRandom, newFileHash, newSession, openLedger } = require('./support/ledger.js');

const TRANSACTIONS = 100;
const OUTSIDE_CALLS = 1000;

for (const memory of [false, true]) {
  test(`100 transactions, half of them rejecting, between 1,000 outside calls, ${memory ? 'in memory' : 'in a file'}`, async (t) => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    t.diagnostic(`seed ${seed}`);
    const random = makeRandom(seed);
    const pause = () =>
      random() < 0.5 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, random() * 3));
    const db = await openLedger(t, memory ? { path: ':memory:', timeout: 60_000 } : { timeout: 60_000 });
    const session = await db.createSession(newSession());
    const expected = new Set();
    let expectedCount = 0;

    const transact = async (n) => {
      const fails = n % 2 === 1;
      const names = [`t${n}-a`, `t${n}-b`, `t${n}-c`];
      const error = new Error(`transaction ${n}`);
      const running = db.transaction(async () => {
        await db.addFileHash(newFileHash(names[0]));
        await pause();
        await db.transaction(async () => {
          await db.addFileHash(newFileHash(names[1]));
          await pause();
        });
        await db.incrementSession(session, { processed_files: 1000 });
        // Inside, one's own writes are seen, wherever the transaction has got to.
        assert.equal(await db.isFileUploaded(names[1]), true);
        await Promise.all([db.addFileHash(newFileHash(names[2])), pause()]);
        if (fails) throw error;
      });
      if (fails) {
        await assert.rejects(running, (thrown) => thrown === error);
      } else {
        await running;
        for (const name of names) expected.add(name);
        expectedCount += 1000;
      }
    };

    const callOutside = async (n) => {
      if (n % 4 === 3) {
        // Half of a transaction is never seen from outside.
        const t = Math.floor(random() * TRANSACTIONS);
        const before = await db.isFileUploaded(`t${t}-a`);
        const after = await db.isFileUploaded(`t${t}-c`);
        if (before) assert.equal(after, true, `transaction ${t} was seen half-done`);
        return;
      }
      const name = `o${n}`;
      const added = db.addFileHash(newFileHash(name));
      const seen = db.isFileUploaded(name);
      const counted = db.incrementSession(session, { success_count: 1 });
      await Promise.all([added, counted]);
      assert.equal(await seen, true, 'a call sees those made before it');
      expected.add(name);
    };

    const work = [];
    let [transactions, calls] = [0, 0];
    while (transactions < TRANSACTIONS || calls < OUTSIDE_CALLS) {
      const share = (TRANSACTIONS - transactions) / (TRANSACTIONS - transactions + OUTSIDE_CALLS - calls);
      work.push(random() < share ? transact(transactions++) : callOutside(calls++));
      if (random() < 0.05) await pause();
    }
    await Promise.all(work);

    const stored = (await db.findFileHashes('chat123')).map(({ hash }) => hash);
    assert.deepEqual([...stored].sort(), [...expected].sort());
    const { processed_files: processed, success_count: successes } = await db.getSession(session);
    assert.equal(processed, expectedCount);
    assert.equal(successes, OUTSIDE_CALLS * 0.75);
    assert.equal(expected.size, (TRANSACTIONS / 2) * 3 + OUTSIDE_CALLS * 0.75);
  });
}
