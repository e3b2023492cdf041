// @ts-check
'use strict';

const { statSync } = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');

/**
 * Owns the command line: what it may say, what it says by default, and what is wrong with it.
 *
 * @typedef {object} Options
 * @property {string} [folder] the user's media; without it, the sample is used
 * @property {string} sample where the sample is, or is made
 * @property {string} database
 * @property {string} destination
 * @property {number} failRate
 * @property {number} seed
 * @property {number} delayMs
 * @property {number} attempts
 */

const DATA_FOLDER = 'uploader-data';

const USAGE = `Usage: npm start -- [FOLDER] [options]

Walks a WhatsApp media tree, one chat a folder, and "uploads" what the ledger does not know by
copying it into a folder. Stopped with Ctrl+C, or killed, it goes on where it was when run again.
Without FOLDER it works on a small sample tree, which it makes first.

  --database FILE       the ledger (${DATA_FOLDER}/ledger.db)
  --destination FOLDER  where the copies go (${DATA_FOLDER}/uploaded)
  --attempts N          how often a file is tried before it is given up (3)
  --fail-rate R         the share of uploads that fail, from 0 to 1 (0)
  --delay-ms N          how long an upload takes, in milliseconds (0)
  --seed N              what the failures and the sample are drawn from (1)
  --help                this text
`;

const WHOLE_NUMBER = /^\d+$/;
const DECIMAL = /^(\d+(\.\d*)?|\.\d+)$/;

/** A signed 32-bit number of milliseconds is the longest that a timer takes. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The command line is wrong. */
class UsageError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'UsageError';
  }
}

/**
 * Reads the command line; gives nothing when it asks for help.
 *
 * @param {string[]} args
 * @returns {Options | undefined}
 */
function readOptions(args) {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  if (positionals.length > 1) throw new UsageError(`One folder is expected, not ${positionals.length}`);
  return {
    folder: positionals.length > 0 ? requireFolder(positionals[0]) : undefined,
    sample: path.resolve(DATA_FOLDER, 'media'),
    database: readPath('--database', values.database, 'ledger.db'),
    destination: readPath('--destination', values.destination, 'uploaded'),
    failRate: readNumber('--fail-rate', values['fail-rate'] ?? '0', DECIMAL, 0, 1),
    seed: readNumber('--seed', values.seed ?? '1', WHOLE_NUMBER, 0, 2 ** 32 - 1),
    delayMs: readNumber('--delay-ms', values['delay-ms'] ?? '0', WHOLE_NUMBER, 0, MAX_DELAY_MS),
    attempts: readNumber('--attempts', values.attempts ?? '3', WHOLE_NUMBER, 1, 1000),
  };
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        attempts: { type: 'string' },
        database: { type: 'string' },
        'delay-ms': { type: 'string' },
        destination: { type: 'string' },
        'fail-rate': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        seed: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(/** @type {Error} */ (error).message);
  }
}

/** @param {string} folder */
function requireFolder(folder) {
  const found = statSync(folder || '.', { throwIfNoEntry: false });
  if (!folder || !found) throw new UsageError(`There is no folder '${folder}'`);
  if (!found.isDirectory()) throw new UsageError(`'${folder}' is not a folder`);
  return path.resolve(folder);
}

/**
 * @param {string} option
 * @param {string | undefined} value
 * @param {string} name the default's, in the data folder
 */
function readPath(option, value, name) {
  if (value === '') throw new UsageError(`${option} needs a path`);
  return path.resolve(value ?? path.join(DATA_FOLDER, name));
}

/**
 * @param {string} option
 * @param {string} text
 * @param {RegExp} form
 * @param {number} min
 * @param {number} max
 */
function readNumber(option, text, form, min, max) {
  const value = form.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const kind = form === WHOLE_NUMBER ? 'whole number' : 'number';
  throw new UsageError(`${option} needs a ${kind} from ${min} to ${max}, not '${text}'`);
}

module.exports = { USAGE, UsageError, readOptions };
