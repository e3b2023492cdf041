'use strict';

/**
 * Random programs against a model of the public rules. MODEL_PROGRAMS sets how many, SEED from
 * which seed on; `npm run test:model` is the long campaign.
 */

const assert = require('node:assert/strict');
const test = require('node:test');
const { openLedger } = require('./support/ledger.js');
const { runModel } = require('./support/model-run.js');
const { TIMEOUT_MS, playTimeout } = require('./support/timeout-scene.js');

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const PROGRAMS = Number(process.env.MODEL_PROGRAMS ?? 600);

test(`${PROGRAMS} random programs come to what the rules say`, async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const figures = await runModel({ seed: SEED, count: PROGRAMS });
  for (const [kind, { programs, calls, transactions, ms }] of Object.entries(figures)) {
    t.diagnostic(
      `${kind}: ${programs} programs, ${calls} calls, ${transactions} transactions, ` +
        `${Math.round((programs / ms) * 1000)} programs/s`,
    );
  }
  const programs = Object.values(figures).reduce((sum, figure) => sum + figure.programs, 0);
  assert.equal(programs, PROGRAMS);
});

test('behind a transaction that outlives the timeout, calls give up and leave nothing', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const scenes = Array.from({ length: 8 }, async (_, n) => {
    const isOnFile = n % 2 === 0;
    const db = await openLedger(t, { timeout: TIMEOUT_MS, ...(isOnFile ? {} : { path: ':memory:' }) });
    return playTimeout(db, { seed: SEED + n, isOnFile });
  });
  const calls = await Promise.all(scenes);
  t.diagnostic(`${calls.reduce((sum, count) => sum + count)} calls behind 8 transactions`);
});
