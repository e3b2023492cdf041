// @ts-check
'use strict';

const { parseArgs } = require('node:util');
const { COMMON_OPTIONS, DEFAULT_SEED, readNumber, startCommand } = require('./command.js');

/** Owns the command `npm run bench:loop`: its options. What is measured, and how, says README.md. */

const HELP = `npm run bench:loop -- [options]

  --only NAME    only work whose name contains NAME
  --ours         no peers
  --quick        shorter work and a smaller file, for a machine that has little time
  --seed N       of every random choice; ${DEFAULT_SEED} unless told
  --json FILE    writes all figures
  --results FILE writes what is printed into its section of a file such as RESULTS.md
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      ...COMMON_OPTIONS,
      only: { type: 'string', default: '' },
      ours: { type: 'boolean', default: false },
    },
  });
  return { ...values, seed: readNumber('seed', values.seed, DEFAULT_SEED) };
}

startCommand({
  script: __filename,
  help: HELP,
  readOptions,
  run: (options) => require('./loop/harness.js').run(options),
});
