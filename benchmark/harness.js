// @ts-check
'use strict';

const { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { DatabaseManager, createConnection } = require('..');
const dataset = require('./dataset.js');
const { OPENERS, buildFloor, startFloor } = require('./driver.js');
const { formatLatencies, measureLatencies } = require('./latency.js');
const { measure } = require('./measurement.js');
const { evaluate, formatRatios, formatTimes } = require('./report.js');

/**
 * Owns one run of the benchmark: a folder of files that are copies of each other, the drivers on
 * them, and what is printed.
 *
 * @typedef {object} Options
 * @property {string} [only]
 * @property {boolean} latency
 * @property {boolean} quick
 * @property {number} rounds
 * @property {number} seed
 * @property {string} [json]
 */

/** On the checkout's own disk, not in a temporary folder that may be memory. */
const RESULTS = path.join(__dirname, 'results');

/** The bulk insert is the last: the first transaction of a process makes later promises slower. */
const OPERATIONS = [
  require('./operation/is_file_uploaded.js'),
  require('./operation/get_file_hash.js'),
  require('./operation/find_file_hashes.js'),
  require('./operation/add_file_hash.js'),
  require('./operation/add_file_hash_at_once.js'),
  require('./operation/update_session.js'),
  require('./operation/log_error.js'),
  require('./operation/add_file_hash_bulk.js'),
];

/** @param {Options} options */
async function run(options) {
  const operations = options.latency ? [] : chooseOperations(options.only);
  mkdirSync(RESULTS, { recursive: true });
  const folder = mkdtempSync(path.join(RESULTS, 'data-'));
  try {
    const original = path.join(folder, 'original.db');
    await createOriginal(original, options.seed);
    const report = {
      date: new Date().toISOString(),
      seed: options.seed,
      rounds: options.rounds,
      machine: {
        system: `${os.platform()} ${os.release()} ${os.arch()}`,
        cores: os.availableParallelism(),
        node: process.versions.node,
        loadAtStart: os.loadavg()[0],
      },
      /** @type {Record<string, string>} */
      sqlite: {},
      /** @type {import('./report.js').Result[]} */
      operations: [],
      /** @type {import('./latency.js').Latency[]} */
      latencies: [],
    };
    const { machine } = report;
    console.log(`seed ${options.seed}, ${options.rounds} rounds${options.quick ? ', quick' : ''}`);
    console.log(
      `${machine.cores} cores, ${machine.system}, Node ${machine.node}, load ${machine.loadAtStart.toFixed(2)}`,
    );
    if (operations.length > 0) await compare(operations, original, options, report);
    if (options.latency || options.only === undefined) {
      report.latencies = await measureLatencies(copy(original, 'latency'), options);
      console.log(`\n${formatLatencies(report.latencies)}`);
    }
    if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} [only] */
function chooseOperations(only = '') {
  const chosen = OPERATIONS.filter(({ name }) => name.toLowerCase().includes(only.toLowerCase()));
  if (chosen.length === 0) {
    throw new Error(
      `no operation's name contains ${only}; there are: ${OPERATIONS.map(({ name }) => name).join('; ')}`,
    );
  }
  return chosen;
}

/**
 * @param {string} file
 * @param {number} seed
 */
async function createOriginal(file, seed) {
  const manager = new DatabaseManager({ path: file });
  await manager.connect();
  await manager.initializeSchema();
  await manager.disconnect();
  const connection = createConnection({ path: file });
  dataset.fill(connection, seed);
  // All into the one file, so that a copy of it is complete.
  connection.getDatabase().pragma('wal_checkpoint(TRUNCATE)');
  connection.close();
}

/**
 * Copies the original. Nobody has it open, and nobody has the copy open yet: closing a descriptor
 * of an open database would drop SQLite's locks.
 *
 * @param {string} original
 * @param {string} name
 */
function copy(original, name) {
  const file = path.join(path.dirname(original), `${name}.db`);
  copyFileSync(original, file);
  return file;
}

/**
 * @param {typeof OPERATIONS} operations
 * @param {string} original
 * @param {Options} options
 * @param {{ sqlite: Record<string, string>, operations: import('./report.js').Result[] }} report
 */
async function compare(operations, original, options, report) {
  const { quick, rounds, seed } = options;
  buildFloor();
  // Each its own file: two SQLite libraries in one process must never open the same.
  const floor = startFloor(copy(original, 'floor'));
  /** @type {import('./driver.js').Driver[]} */
  const open = [];
  try {
    for (const name of /** @type {(keyof typeof OPENERS)[]} */ (Object.keys(OPENERS))) {
      const driver = await OPENERS[name](copy(original, name));
      open.push(driver);
      report.sqlite[name] = driver.sqlite;
    }
    const [ours, betterSqlite3, nodeSqlite] = open;
    const versions = Object.entries(report.sqlite).map(([name, version]) => `${name} ${version}`);
    console.log(`SQLite: ${versions.join(', ')}; the floor is built with ours\n`);
    for (const operation of operations) {
      const count = quick ? operation.quickCount : operation.count;
      const times = await measure(operation, { ours, betterSqlite3, nodeSqlite, floor }, { rounds, count, seed });
      report.operations.push(evaluate(operation.name, count, times));
      console.log(`measured: ${operation.name}`);
    }
  } finally {
    floor.close();
    for (const driver of open) await driver.close();
  }
  console.log(`\n${formatTimes(report.operations)}\n\n${formatRatios(report.operations)}`);
}

module.exports = { run };
