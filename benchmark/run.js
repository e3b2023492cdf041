// @ts-check
'use strict';

const { parseArgs } = require('node:util');
const { COMMON_OPTIONS, DEFAULT_SEED, readNumber, startCommand } = require('./command.js');

/** Owns the command `npm run bench`: its options. What is measured, and how, says README.md. */

const MIN_ROUNDS = 7;
const DEFAULT_ROUNDS = 9;

const HELP = `npm run bench -- [options]

  --only NAME    only operations whose name contains NAME; no latencies, no memory
  --latency      only the latencies of our methods; no peers are brought
  --memory       only the memory that is kept, and the size of the process
  --quick        ${MIN_ROUNDS} rounds and fewer calls, for a machine that has little time
  --rounds N     at least ${MIN_ROUNDS}; ${DEFAULT_ROUNDS} unless told
  --seed N       of every random choice; ${DEFAULT_SEED} unless told
  --json FILE    writes all figures, those of single rounds too
  --results FILE writes what is printed into its sections of a file such as RESULTS.md
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      ...COMMON_OPTIONS,
      only: { type: 'string' },
      latency: { type: 'boolean', default: false },
      memory: { type: 'boolean', default: false },
      rounds: { type: 'string' },
    },
  });
  const rounds = readNumber('rounds', values.rounds, values.quick ? MIN_ROUNDS : DEFAULT_ROUNDS);
  if (rounds < MIN_ROUNDS) throw new Error(`a median needs at least ${MIN_ROUNDS} rounds`);
  if ([values.latency, values.memory, values.only !== undefined].filter(Boolean).length > 1) {
    throw new Error('--latency, --memory and --only exclude each other');
  }
  return { ...values, rounds, seed: readNumber('seed', values.seed, DEFAULT_SEED) };
}

startCommand({
  script: __filename,
  help: HELP,
  readOptions,
  needsPeers: ({ latency }) => !latency,
  run: (options) => require('./harness.js').run(options),
});
