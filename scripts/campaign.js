// @ts-check
'use strict';

// `npm run test:model`, `test:processes`, `test:workers`: the long runs of what
// `npm test` plays in short. `--seed` repeats a run, `--count` sets its length:
//
//   npm run test:workers -- --seed 7 --count 100
//
// It prints its seed and figures, and fails when anything was found wrong.

const path = require('node:path');
const { parseArgs } = require('node:util');
const { ROOT } = require('./prepare.js');

/**
 * @typedef {object} Options
 * @property {number} seed
 * @property {number} count
 * @property {(line: string) => void} tell
 *
 * @typedef {object} Outcome
 * @property {Record<string, unknown>} figures
 * @property {string[]} faults what was found wrong
 *
 * @typedef {object} Campaign
 * @property {string} counts what `--count` counts
 * @property {number} usual
 * @property {(options: Options) => Promise<Outcome>} run
 */

/** @type {Record<string, Campaign>} */
const CAMPAIGNS = {
  model: {
    counts: 'random programs',
    usual: 20_000,
    run: async (options) => {
      const figures = await support('model-run.js').runModel(options);
      return { figures, faults: [] };
    },
  },
  processes: {
    counts: 'seconds that four processes work',
    usual: 60,
    run: ({ seed, count }) => support('process-run.js').runProcesses({ seed, count: 4, milliseconds: count * 1000 }),
  },
  workers: {
    counts: 'terminated threads',
    usual: 500,
    run: (options) => support('worker-run.js').runWorkers(options),
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, count: { type: 'string' } },
});
const campaign = CAMPAIGNS[positionals[0]];
if (!campaign) {
  console.error(`usage: node scripts/campaign.js ${Object.keys(CAMPAIGNS).join('|')} [--seed N] [--count N]`);
  process.exit(2);
}
const seed = toWhole('seed', values.seed ?? String(Date.now() % 1_000_000));
const count = toWhole('count', values.count ?? String(campaign.usual));
console.log(`${positionals[0]}: seed ${seed}, ${count} ${campaign.counts}`);
const begun = performance.now();
campaign.run({ seed, count, tell: (line) => console.log(line) }).then(
  ({ figures, faults }) => {
    console.log(JSON.stringify(figures, null, 1));
    for (const fault of faults) console.error(fault);
    console.log(`${faults.length} faults in ${Math.round((performance.now() - begun) / 1000)} s, seed ${seed}`);
    process.exitCode = faults.length > 0 ? 1 : 0;
  },
  (error) => {
    console.error(error.message);
    // What hangs in a manager must not keep the process.
    process.exit(1);
  },
);

/**
 * The campaigns themselves are the tests' support.
 *
 * @param {string} name
 * @returns {any}
 */
function support(name) {
  return require(path.join(ROOT, '__test__', 'support', name));
}

/**
 * @param {string} option
 * @param {string} text
 */
function toWhole(option, text) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`--${option} must be a whole number`);
  return number;
}
