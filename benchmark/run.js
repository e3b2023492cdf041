// @ts-check
'use strict';

const { parseArgs } = require('node:util');
const peer = require('./peer.js');
const { build, install } = require('../scripts/prepare.js');

/**
 * Owns the command `npm run bench`: its options, and bringing what it needs. What is measured,
 * and how, says README.md.
 */

const MIN_ROUNDS = 7;
const DEFAULT_ROUNDS = 9;
const DEFAULT_SEED = 20260131;

const HELP = `npm run bench -- [options]

  --only NAME    only operations whose name contains NAME; no latencies
  --latency      only the latencies of our methods; no peers are brought
  --memory       only the memory that is kept and the size of the process
  --quick        ${MIN_ROUNDS} rounds and fewer calls, for a machine that has little time
  --rounds N     at least ${MIN_ROUNDS}; ${DEFAULT_ROUNDS} unless told
  --seed N       of every random choice; ${DEFAULT_SEED} unless told
  --json FILE    writes all figures, those of single rounds too
  --results FILE writes what is printed into the sections of a file such as RESULTS.md
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      latency: { type: 'boolean', default: false },
      memory: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'string' },
      results: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (/** @type {string} */ name, /** @type {string | undefined} */ text, /** @type {number} */ absent) => {
    const value = text === undefined ? absent : Number(text);
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new Error(`--${name} takes a whole number`);
    }
    return value;
  };
  const rounds = number('rounds', values.rounds, values.quick ? MIN_ROUNDS : DEFAULT_ROUNDS);
  if (rounds < MIN_ROUNDS) throw new Error(`a median needs at least ${MIN_ROUNDS} rounds`);
  if ([values.latency, values.memory, values.only !== undefined].filter(Boolean).length > 1) {
    throw new Error('--latency, --memory and --only exclude each other');
  }
  return { ...values, rounds, seed: number('seed', values.seed, DEFAULT_SEED) };
}

async function main() {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\n\n${HELP}`);
    process.exitCode = 2;
    return;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  install();
  build();
  if (!options.latency) {
    peer.bring();
    const exitCode = peer.runInRecentNode(__filename, process.argv.slice(2));
    if (exitCode !== undefined) {
      process.exitCode = exitCode;
      return;
    }
  }
  // Only now: it loads the addon and the peers.
  await require('./harness.js').run(options);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
