// @ts-check
'use strict';

const { writeFileSync } = require('node:fs');
const { DRIVERS, LABELS } = require('./database.js');
const { buildFloor, openDriver, startFloor } = require('./driver.js');
const { formatLatencies, measureLatencies } = require('./latency.js');
const { measure } = require('./measurement.js');
const { formatMemory, measureMemory } = require('./memory.js');
const { chooseOperations } = require('./operations.js');
const { evaluate, formatOperations } = require('./report.js');
const { describeRun, writeSection } = require('./results.js');
const { copy, withOriginal } = require('./workspace.js');

/**
 * Owns one run of the benchmark: which parts are measured, the drivers on their files, and what is
 * printed.
 *
 * @typedef {object} Options
 * @property {string} [only]
 * @property {boolean} latency
 * @property {boolean} memory
 * @property {boolean} quick
 * @property {number} rounds
 * @property {number} seed
 * @property {string} [json]
 * @property {string} [results]
 */

/** @param {Options} options */
async function run(options) {
  const isEverything = options.only === undefined && !options.latency && !options.memory;
  const operations = options.latency || options.memory ? [] : chooseOperations(options.only);
  const description = describeRun(options, `${options.rounds} rounds`);
  console.log(description);
  await withOriginal(options.seed, async (original) => {
    /** @type {Record<string, unknown>} */
    const report = { description, ...options };
    const publish = (/** @type {string} */ section, /** @type {unknown} */ figures, /** @type {string} */ text) => {
      report[section] = figures;
      console.log(`\n${text}`);
      if (options.results) writeSection(options.results, section, `${description}.\n\n${text}`);
    };
    if (operations.length > 0) {
      const compared = await compare(operations, original, options);
      publish('operations', compared, `${compared.sqlite}.\n\n${formatOperations(compared.results)}`);
    }
    if (isEverything || options.latency) {
      const latencies = await measureLatencies(copy(original, 'latency'), options);
      publish('latencies', latencies, formatLatencies(latencies));
    }
    if (isEverything || options.memory) {
      const memory = measureMemory(original, options);
      publish('memory', memory, formatMemory(memory));
    }
    if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  });
}

/**
 * @param {ReturnType<typeof chooseOperations>} operations
 * @param {string} original
 * @param {Options} options
 */
async function compare(operations, original, { quick, rounds, seed }) {
  buildFloor();
  // Each its own file: two SQLite libraries in one process must never open the same.
  const floor = startFloor(copy(original, 'floor'));
  /** @type {import('./driver.js').Driver[]} */
  const open = [];
  const versions = [];
  /** @type {import('./report.js').Result[]} */
  const results = [];
  try {
    for (const name of DRIVERS) {
      const driver = await openDriver(name, copy(original, name));
      open.push(driver);
      versions.push(`${driver.sqlite} in ${LABELS[name]}`);
    }
    const [ours, betterSqlite3, nodeSqlite] = open;
    for (const operation of operations) {
      const count = quick ? operation.quickCount : operation.count;
      const times = await measure(operation, { ours, betterSqlite3, nodeSqlite, floor }, { rounds, count, seed });
      results.push(evaluate(operation, count, times));
      console.log(`measured: ${operation.name}`);
    }
  } finally {
    floor.close();
    for (const driver of open) await driver.close();
  }
  return { sqlite: `SQLite ${versions.join(', ')}; the floor is built with ours`, results };
}

module.exports = { run };
