'use strict';

/**
 * The campaign of leaks: how the resident size grows over many operations of every kind, lookups mostly. At
 * most 1 MB a million after the first quarter, in which caches and the collector find their sizes. With
 * `--control` statements are kept.
 *
 * Under 4,000,000 operations the slope says little: a fault is then only what is far beyond any noise.
 */

const { spawnSync } = require('node:child_process');
const { rmSync } = require('node:fs');
const path = require('node:path');
const { runCampaign } = require('./harness.js');
const { makeScratch } = require('./scratch.js');

const CHILD = path.join(__dirname, 'leak', 'child.js');
const SAMPLES = 40;
const WARM_UP = 0.25;
const MILLION = 1e6;
const MEGABYTE = 1e6;
const MOST = 1;
const TELLING_COUNT = 4e6;
const MOST_OF_FEW = 12;
/** V8 would let its new space grow to many times that of what lives. */
const NODE_FLAGS = ['--expose-gc', '--min-semi-space-size=4', '--max-semi-space-size=4'];

/** The median of the slopes between all pairs (Theil and Sen): one odd sample does not matter. */
function slopeOf(numbers) {
  const slopes = [];
  for (let from = 0; from < numbers.length; from += 1) {
    for (let to = from + 1; to < numbers.length; to += 1) slopes.push((numbers[to] - numbers[from]) / (to - from));
  }
  return slopes.sort((one, two) => one - two)[Math.floor(slopes.length / 2)];
}

async function run({ seed, count, control }) {
  const folder = makeScratch('leak-');
  try {
    const order = { file: path.join(folder, 'ledger.db'), seed, count, samples: SAMPLES, leaks: control };
    const { status, signal, stdout } = spawnSync(process.execPath, [...NODE_FLAGS, CHILD, JSON.stringify(order)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) throw new Error(`the process ended with ${status ?? signal}`);
    const { step, resident } = JSON.parse(stdout);
    const after = resident.slice(Math.round(SAMPLES * WARM_UP));
    const slope = (slopeOf(after) * MILLION) / step / MEGABYTE;
    const figures = {
      megabytes_per_million: Number(slope.toFixed(3)),
      resident_after_warm_up_mb: Number((after[0] / MEGABYTE).toFixed(1)),
      resident_at_the_end_mb: Number((after.at(-1) / MEGABYTE).toFixed(1)),
    };
    const most = count >= TELLING_COUNT ? MOST : MOST_OF_FEW;
    const faults = slope > most ? [`${slope.toFixed(2)} MB a million operations, not ${most}`] : [];
    return { count, faults, figures };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

runCampaign({ usual: 500_000, run });
