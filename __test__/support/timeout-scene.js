'use strict';

/**
 * Owns random scenes in which a transaction outlives the manager's timeout: what waits behind it
 * gives up, what need not wait goes on, and afterwards all is as if the calls that gave up had
 * never been made.
 *
 * The transaction in the way is an outer one, with calls from outside behind it, or a nested one,
 * with calls of the transaction around it behind it.
 */

const assert = require('node:assert/strict');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const { makeRandom, newFileHash } = require('./ledger.js');

const TIMEOUT_MS = 1000;
const HOLD_MS = 1350;
/** Calls of this time are far enough from the timeout for their fate to be certain. */
const BEFORE = { from: 5, to: 850 };
const AFTER = { from: 1100, to: 1250 };

/**
 * @param {import('../../index.js').DatabaseManager} db with a timeout of 1,000 ms and no rows
 * @param {{ seed: number, isOnFile: boolean }} options
 */
async function playTimeout(db, { seed, isOnFile }) {
  const random = makeRandom(seed);
  const below = (limit) => Math.floor(random() * limit);
  const isNested = random() < 0.4;
  const fails = random() < 0.4;
  const error = new Error('the transaction fails in the end');
  const moments = [BEFORE, BEFORE, AFTER].flatMap((span) =>
    Array.from({ length: 1 + below(5) }, () => ({ at: span.from + below(span.to - span.from), kind: below(5) })),
  );
  moments.sort((one, two) => one.at - two.at);

  await db.addFileHash(newFileHash('before'));
  const checks = [];
  let openedAt = 0;
  /** Holds the transaction open; resolves when it may end. */
  const hold = async (name) => {
    openedAt = performance.now();
    await db.addFileHash(newFileHash(name));
    await sleep(HOLD_MS);
    assert.equal(await db.isFileUploaded(name), true, 'the transaction itself goes on');
  };
  const callBehind = async () => {
    let isBehindWrite = isNested || !isOnFile;
    for (const { at, kind } of moments) {
      await sleep(Math.max(0, openedAt + at - performance.now()));
      // What waited has given up by now, so that reads have nothing before them any more.
      if (at >= AFTER.from && !isNested && isOnFile) isBehindWrite = false;
      const isRead = kind >= 3;
      const call = isRead ? db.isFileUploaded('before') : makeCall(db, kind, isNested);
      const isLate = at >= AFTER.from;
      const check = isRead && !isBehindWrite ? assertAnswered(call) : assertBusy(call, { isLate, openedAt });
      // What it finds is told of when all is over.
      check.catch(() => {});
      checks.push(check);
      isBehindWrite ||= kind === 0 && !isLate;
    }
  };

  const entered = makeEntered();
  const run = async () => {
    if (!isNested) {
      entered.give();
      await hold('held');
    } else {
      const nested = db.transaction(async () => {
        entered.give();
        await hold('held');
        if (fails) throw error;
      });
      const outcome = nested.then(
        () => undefined,
        (caught) => caught,
      );
      await entered.given;
      await callBehind();
      assert.equal(await outcome, fails ? error : undefined);
      await db.addFileHash(newFileHash('after the nested one'));
    }
    if (fails && !isNested) throw error;
  };
  const transaction = db.transaction(run).then(
    () => undefined,
    (caught) => caught,
  );
  if (!isNested) {
    await entered.given;
    await callBehind();
  }
  const outcome = await transaction;
  if (outcome !== undefined) assert.equal(outcome, isNested ? undefined : error);
  await Promise.all(checks);
  await db.addFileHash(newFileHash('after'));
  const kept = ['before', ...(fails ? [] : ['held']), ...(isNested ? ['after the nested one'] : []), 'after'];
  const hashes = (await db.findFileHashes('chat123')).map(({ hash }) => hash);
  assert.deepEqual(hashes, kept);
  return moments.length;
}

/** Makes a call that has to wait; inside a transaction, maintenance would be refused. */
function makeCall(db, kind, isInside) {
  if (kind === 0) return db.addFileHash(newFileHash('never'));
  if (kind === 1 || isInside) return db.transaction(() => db.addFileHash(newFileHash('never')));
  return db.transaction(async () => {
    throw new Error('ran behind a transaction that was in the way');
  });
}

async function assertAnswered(call) {
  const calledAt = performance.now();
  assert.equal(await call, true);
  assert.ok(performance.now() - calledAt < 250, 'a read that has nothing to wait for waited');
}

async function assertBusy(call, { isLate, openedAt }) {
  const calledAt = performance.now();
  const error = await call.then(
    () => assert.fail('a call went on though a transaction was in its way'),
    (caught) => caught,
  );
  assert.equal(error.code, 'DB_BUSY', error.message);
  assert.equal(error.retryable, true);
  const [, age] = error.message.match(/open for (\d+) ms/) ?? [];
  // A timer of Node may be early by a millisecond.
  assert.ok(Number(age) >= TIMEOUT_MS - 2 && Number(age) < HOLD_MS + 500, error.message);
  const now = performance.now();
  if (isLate) assert.ok(now - calledAt < 250, 'behind a transaction that is too old, nothing waits');
  else assert.ok(now - openedAt > TIMEOUT_MS - 50, `it gave up after ${now - openedAt} ms`);
}

function makeEntered() {
  let give = () => {};
  const given = new Promise((resolve) => {
    give = () => resolve(undefined);
  });
  return { given, give };
}

module.exports = { TIMEOUT_MS, playTimeout };
