'use strict';

/**
 * Threads that are terminated while their managers work: the process lives, the file is sound,
 * and nothing of them stays open. `npm run test:workers` is the long campaign.
 */

const assert = require('node:assert/strict');
const test = require('node:test');
const { runWorkers } = require('./support/worker-run.js');

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

test('40 threads terminated at random moments', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const { figures, faults } = await runWorkers({ seed: SEED, count: 40 });
  t.diagnostic(JSON.stringify(figures));
  assert.deepEqual(faults, []);
  assert.equal(figures.terminations, 40);
  assert.ok(figures.done > 50 && figures.rows > 0, 'the threads worked');
});
