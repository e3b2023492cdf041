'use strict';

/**
 * Owns what every campaign on the addon has in common: its arguments, and the form in which it says
 * what it has found. `scripts/prove.js` runs them.
 *
 *   node __test__/campaign/NAME.js --count N --seed N [--control] [--peer better-sqlite3]
 *
 * Each fault is a line `fault: …` on standard error, with the seed that plays it again. The last line on
 * standard output is `{ "count", "faults", "figures" }`. The exit code is 0 unless the campaign itself broke.
 *
 * @typedef {object} Options
 * @property {number} seed
 * @property {number} count
 * @property {boolean} control whether a lie is to be planted, which must be found
 * @property {string | undefined} peer what is driven in our place
 * @property {Record<string, string>} more the campaign's own arguments
 * @property {(line: string) => void} tell
 *
 * @typedef {object} Outcome
 * @property {number} count
 * @property {string[]} faults
 * @property {Record<string, unknown>} figures
 */

const { parseArgs } = require('node:util');

/**
 * Runs a campaign with the arguments of this process.
 *
 * @param {{ usual: number, more?: Record<string, string>, run: (options: Options) => Promise<Outcome> }} campaign
 *   `usual` is the count, and `more` the campaign's own arguments with their values, when nothing is said
 */
async function runCampaign({ usual, more = {}, run }) {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      count: { type: 'string', default: String(usual) },
      control: { type: 'boolean', default: false },
      peer: { type: 'string' },
      ...Object.fromEntries(Object.entries(more).map(([name, value]) => [name, { type: 'string', default: value }])),
    },
  });
  const [seed, count] = [toWhole('seed', values.seed), toWhole('count', values.count)];
  console.log(`seed ${seed}, count ${count}`);
  const own = Object.fromEntries(Object.keys(more).map((name) => [name, values[name]]));
  const options = { seed, count, control: values.control, peer: values.peer, more: own, tell: console.log };
  const { count: made, faults, figures } = await run(options);
  for (const fault of faults) console.error(`fault: ${fault} (seed ${seed})`);
  console.log(JSON.stringify({ count: made, faults: faults.length, figures }));
}

function toWhole(option, text) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`--${option} must be a whole number`);
  return number;
}

module.exports = { runCampaign };
