// @ts-check
'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');
const { rmSync, statSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { describeRun, writeSection } = require('../results.js');
const { copy, withOriginal } = require('../workspace.js');
const { createOriginals } = require('./file.js');
const { formatLoop } = require('./report.js');
const { SCENARIOS } = require('./scenario.js');

/**
 * Owns one run of the event loop's measurements: every driver does every work in a process of its
 * own, on a file of its own; what another process has to do meanwhile is started here, and the log is
 * looked at from here.
 *
 * @typedef {import('../database.js').DriverName} DriverName
 *
 * @typedef {object} Measured
 * @property {string} scenario
 * @property {DriverName} driver
 * @property {number} fileSize bytes
 * @property {number | undefined} largestLog bytes
 * @property {import('./child.js').Seen} seen
 *
 * @typedef {object} Options
 * @property {string} only
 * @property {boolean} ours
 * @property {boolean} quick
 * @property {number} seed
 * @property {string} [json]
 * @property {string} [results]
 */

const LOG_INTERVAL_MS = 10;

/** @param {Options} options */
async function run(options) {
  const { only, ours, quick, seed } = options;
  const scenarios = SCENARIOS.filter(({ name }) => name.includes(only));
  if (scenarios.length === 0) {
    throw new Error(`no work's name contains ${only}; there are: ${SCENARIOS.map(({ name }) => name).join('; ')}`);
  }
  const drivers = /** @type {DriverName[]} */ (ours ? ['ours'] : ['ours', 'betterSqlite3']);
  const description = describeRun(options);
  console.log(description);
  /** @type {Measured[]} */
  const measured = [];
  await withOriginal(seed, async (original) => {
    const originalOf = createOriginals(original, quick);
    for (const scenario of scenarios) {
      for (const driver of drivers) {
        const file = copy(originalOf(scenario.file), 'watched');
        measured.push(await measure(scenario, { scenario: scenario.name, driver, file, seed, isQuick: quick }));
        console.log(`measured: ${scenario.name}, ${driver}`);
        for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
      }
    }
  });
  const text = formatLoop(measured);
  console.log(`\n${text}`);
  if (options.results) writeSection(options.results, 'loop', `${description}.\n\n${text}`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ description, ...options, measured }, null, 2)}\n`);
}

/**
 * @param {import('./scenario.js').Scenario} scenario
 * @param {import('./child.js').Request} request
 * @returns {Promise<Measured>}
 */
async function measure(scenario, request) {
  const fileSize = statSync(request.file).size;
  const child = start('child.js', [JSON.stringify(request)]);
  await child.next();
  const other = scenario.foreign && start('foreign.js', [scenario.foreign, request.file]);
  await other?.next();
  const log = scenario.isLogWatched ? watchSize(`${request.file}-wal`) : undefined;
  child.process.send('begin');
  const seen = await child.next();
  const largestLog = log?.stop();
  if (other?.process.connected) other.process.disconnect();
  await Promise.all([child.exited, other?.exited]);
  return { scenario: request.scenario, driver: request.driver, fileSize, largestLog, seen };
}

/**
 * @param {string} script
 * @param {string[]} args
 */
function start(script, args) {
  const child = fork(path.join(__dirname, script), args);
  const exited = once(child, 'exit');
  return {
    process: child,
    exited,
    /** The next message; a process that ends instead stops the run. */
    async next() {
      const message = once(child, 'message');
      const first = await Promise.race([message, exited.then(() => undefined)]);
      if (!first) throw new Error(`${script} ${args.join(' ')}: the process ended with ${child.exitCode}`);
      return first[0];
    },
  };
}

/**
 * Looks at a file's size now and then, by `stat` alone: to open and close it would drop the locks that
 * this process has on it.
 *
 * @param {string} file
 */
function watchSize(file) {
  let largest = 0;
  const look = () => {
    largest = Math.max(largest, statSync(file, { throwIfNoEntry: false })?.size ?? 0);
  };
  const timer = setInterval(look, LOG_INTERVAL_MS);
  return {
    stop() {
      clearInterval(timer);
      look();
      return largest;
    },
  };
}

module.exports = { run };
