// @ts-check
'use strict';

const peer = require('./peer.js');
const { build, install } = require('../scripts/prepare.js');

/** Owns what the benchmark's commands share: reading options, and bringing what they need. */

const DEFAULT_SEED = 20260131;

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
 * Runs a command: reads its options, and starts it once packages, addon and peers are there, in the
 * Node that the peers need.
 *
 * @template {{ help: boolean }} Options
 * @param {object} command
 * @param {string} command.script
 * @param {string} command.help
 * @param {() => Options} command.readOptions throws when they cannot be understood
 * @param {(options: Options) => boolean} [command.needsPeers] when absent it does
 * @param {(options: Options) => Promise<void>} command.run loads the addon and the peers, so it is called late
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

/** @param {Parameters<typeof runCommand>[0]} command */
function startCommand(command) {
  runCommand(command).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}

module.exports = { DEFAULT_SEED, readNumber, startCommand };
