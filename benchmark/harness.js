// @ts-check
'use strict';

const { writeFileSync } = require('node:fs');
const { LABELS } = require('./database.js');
const { buildFloor, startDriver, startFloor } = require('./driver.js');
const { formatLatencies, measureLatencies } = require('./latency.js');
const { NODE_VARIANTS, measure } = require('./measurement.js');
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

/** @type {Record<import('./measurement.js').NodeVariant, import('./database.js').DriverName>} */
const DRIVER_OF = {
  ours: 'ours',
  betterSqlite3: 'betterSqlite3',
  nodeSqlite: 'nodeSqlite',
  betterSqlite3Fastest: 'betterSqlite3',
  nodeSqliteFastest: 'nodeSqlite',
};

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
  // Each its own file: two SQLite libraries in one process must never open the same, and no variant
  // may find what another has left.
  const floor = startFloor(copy(original, 'floor'));
  const runners = /** @type {Record<import('./measurement.js').Variant, any>} */ ({ floor });
  /** @type {Set<string>} */
  const versions = new Set();
  /** @type {import('./report.js').Result[]} */
  const results = [];
  try {
    for (const variant of NODE_VARIANTS) {
      const name = DRIVER_OF[variant];
      runners[variant] = await startDriver(name, variant, copy(original, variant));
      versions.add(`${runners[variant].sqlite} in ${LABELS[name]}`);
    }
    for (const operation of operations) {
      const count = quick ? operation.quickCount : operation.count;
      const times = await measure(operation, runners, { rounds, count, seed });
      results.push(evaluate(operation, count, times));
      console.log(`measured: ${operation.name}`);
    }
  } finally {
    for (const runner of Object.values(runners)) await runner.close();
  }
  return { sqlite: `SQLite ${[...versions].join(', ')}; the floor is built with ours`, results };
}

module.exports = { run };
