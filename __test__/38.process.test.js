'use strict';

/**
 * Processes that write one file side by side: none meets a lock that it cannot wait out, and the
 * sums are right. `npm run test:processes` is the long campaign.
 */

const assert = require('node:assert/strict');
const test = require('node:test');
const { runProcesses } = require('./support/process-run.js');

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

test('four processes write and read one file for three seconds', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const { figures, faults } = await runProcesses({ seed: SEED, count: 4, milliseconds: 3000 });
  t.diagnostic(JSON.stringify(figures));
  assert.deepEqual(faults, []);
  for (const work of ['adds', 'increments', 'transactions', 'undone', 'errors', 'reads']) {
    assert.ok(figures[work] > 0, `${work}: ${figures[work]}`);
  }
});
