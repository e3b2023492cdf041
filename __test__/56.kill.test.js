'use strict';

/**
 * A process that is killed at any moment loses nothing that it was promised. The same checks must
 * catch a writer that takes promises for granted, or they would prove nothing.
 * `npm run test:kill` is the long campaign.
 */

const assert = require('node:assert/strict');
const test = require('node:test');
const { runKills } = require('./campaign/kill-writer.js');

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

test('15 writers killed at random moments: nothing acknowledged is lost, the file is sound', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const { figures, faults } = await runKills({ seed: SEED, count: 15 });
  t.diagnostic(JSON.stringify(figures));
  assert.deepEqual(faults, []);
  assert.equal(figures.kills, 15);
  assert.ok(figures.acknowledged > 100, 'the writers wrote');
});

test('a writer that acknowledges before its promises resolve is caught', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const { figures, faults } = await runKills({
    seed: SEED,
    count: 30,
    lanes: 1,
    manner: 'premature',
    untilFault: true,
  });
  t.diagnostic(`after ${figures.kills} kills: ${faults[0]}`);
  assert.ok(
    faults.some((fault) => fault.includes('lost')),
    'the checks see what was lost',
  );
});
