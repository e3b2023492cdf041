// @ts-check
'use strict';

const peer = require('./peer.js');
const { build, install } = require('../scripts/prepare.js');

/** Owns what the benchmark's commands share: reading options, and bringing what they need. */

const DEFAULT_SEED = 20260131;

/** The options of every command, for `parseArgs`. */
const COMMON_OPTIONS = /** @type {const} */ ({
  quick: { type: 'boolean', default: false },
  seed: { type: 'string' },
  json: { type: 'string' },
  results: { type: 'string' },
  help: { type: 'boolean', default: false },
});

/**
 * @param {string} name
 * @param {string | undefined} text
 * @param {number} absent what it is when it is not given
 */
function readNumber(name, text, absent) {
  const value = text === undefined ? absent : Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new Error(`--${name} takes a whole number`);
  return value;
}

/**
 * @template {{ help: boolean }} Options
 * @typedef {object} Command
 * @property {string} script
 * @property {string} help
 * @property {() => Options} readOptions throws when they cannot be understood
 * @property {(options: Options) => boolean} [needsPeers] when absent it does
 * @property {(options: Options) => Promise<void>} run loads the addon and the peers, so it is called late
 */

/**
 * Runs a command: reads its options, and starts it once packages, addon and peers are there, in the
 * Node that the peers need.
 *
 * @template {{ help: boolean }} Options
 * @param {Command<Options>} command
 */
async function runCommand({ script, help, readOptions, needsPeers = () => true, run }) {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\n\n${help}`);
    process.exitCode = 2;
    return;
  }
  if (options.help) {
    process.stdout.write(help);
    return;
  }
  install();
  build();
  if (needsPeers(options)) {
    peer.bring();
    const exitCode = peer.runInRecentNode(script, process.argv.slice(2));
    if (exitCode !== undefined) {
      process.exitCode = exitCode;
      return;
    }
  }
  await run(options);
}

/**
 * @template {{ help: boolean }} Options
 * @param {Command<Options>} command
 */
function startCommand(command) {
  runCommand(command).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}

module.exports = { COMMON_OPTIONS, DEFAULT_SEED, readNumber, startCommand };
