// @ts-check
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { DRIVERS, LABELS } = require('./database.js');
const { formatRatio } = require('./report.js');
const { formatTable, median } = require('./statistic.js');
const { copy } = require('./workspace.js');

/**
 * Owns the measurements of memory: each in a process of its own, `memory_child.js`, on a file of
 * its own, some times over.
 *
 * @typedef {import('./memory_child.js').Scenario} Scenario
 * @typedef {import('./memory_child.js').Figures} Figures
 *
 * @typedef {object} Measured
 * @property {Scenario} scenario
 * @property {string} subject a driver, or a preset of ours
 * @property {Figures} figures medians
 */

const RUNS = 3;
const MEBIBYTE = 1024 * 1024;

/** @type {Record<Scenario, readonly string[]>} */
const SUBJECTS = {
  'kept names': DRIVERS,
  growth: DRIVERS,
  resident: ['default', 'phone'],
};

const STATEMENTS = 1_000_000;
const QUICK_STATEMENTS = 100_000;

/** The goals: of the kept names beside better-sqlite3's, and of the growth of our process. */
const KEPT_RATIO = 2;
const GROWTH_MEBIBYTES = 1;

/**
 * @param {string} original
 * @param {{ quick: boolean, seed: number }} options
 * @returns {Measured[]}
 */
function measureMemory(original, { quick, seed }) {
  const measured = [];
  for (const scenario of /** @type {Scenario[]} */ (Object.keys(SUBJECTS))) {
    for (const subject of SUBJECTS[scenario]) {
      const file = copy(original, `memory-${scenario.replace(' ', '-')}-${subject}`);
      const runs = Array.from({ length: quick || scenario === 'growth' ? 1 : RUNS }, () =>
        runChild({ scenario, subject, file, seed, statements: quick ? QUICK_STATEMENTS : STATEMENTS }),
      );
      const names = Object.keys(runs[0]);
      const figures = Object.fromEntries(names.map((name) => [name, median(runs.map((run) => run[name]))]));
      measured.push({ scenario, subject, figures });
      console.log(`measured: memory, ${scenario}, ${subject}`);
    }
  }
  return measured;
}

/** V8 would let its new space grow to many times that of what lives, later for whoever allocates less. */
const NODE_FLAGS = ['--min-semi-space-size=4', '--max-semi-space-size=4'];

/**
 * @param {import('./memory_child.js').Request} request
 * @returns {Figures}
 */
function runChild(request) {
  const script = path.join(__dirname, 'memory_child.js');
  const { status, stdout, error } = spawnSync(process.execPath, [...NODE_FLAGS, script, JSON.stringify(request)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`memory, ${request.scenario}, ${request.subject}: the process failed`);
  return JSON.parse(stdout);
}

/** @param {number} bytes */
function formatBytes(bytes) {
  return `${(bytes / MEBIBYTE).toFixed(2)} MiB`;
}

/**
 * @param {readonly Measured[]} measured
 * @param {Scenario} scenario
 * @param {string} title
 * @param {Record<string, (figures: Figures) => string>} columns
 */
function formatScenario(measured, scenario, title, columns) {
  const some = measured.filter((one) => one.scenario === scenario);
  return formatTable(
    [title, ...Object.keys(columns)],
    some.map(({ subject, figures }) => [
      LABELS[/** @type {keyof typeof LABELS} */ (subject)] ?? subject,
      ...Object.values(columns).map((format) => format(figures)),
    ]),
  );
}

/** @param {readonly Measured[]} measured */
function formatMemory(measured) {
  const find = (/** @type {Scenario} */ scenario, /** @type {string} */ subject) => {
    const found = measured.find((one) => one.scenario === scenario && one.subject === subject);
    if (!found) throw new Error(`no figures of ${scenario}, ${subject}`);
    return found.figures;
  };
  const [ours, theirs] = [find('kept names', 'ours'), find('kept names', 'betterSqlite3')];
  const ratio = (/** @type {string} */ name) => formatRatio(ours[name] / theirs[name]);
  const { growthPerMillion, statements } = find('growth', 'ours');
  const isFlat = growthPerMillion < GROWTH_MEBIBYTES * MEBIBYTE;
  const growthVerdict = statements < STATEMENTS ? 'too few statements to tell' : isFlat ? 'shown' : 'not shown';
  return [
    formatScenario(measured, 'kept names', '100 of 100,000 names kept', {
      'heap + external, grown by': ({ keptHeap }) => formatBytes(keptHeap),
      'resident, grown by': ({ keptResident }) => formatBytes(keptResident),
      'heap + external': ({ heap }) => formatBytes(heap),
      'heap + external + resident': ({ total }) => formatBytes(total),
    }),
    `Ours to better-sqlite3's, at most ${formatRatio(KEPT_RATIO)}: ${ratio('total')} of heap, external and resident together ` +
      `(${ours.total <= KEPT_RATIO * theirs.total ? 'shown' : 'not shown'}); ${ratio('heap')} of heap and external; ` +
      `${ratio('keptResident')} of what the resident size has grown by; ${ratio('keptHeap')} of what heap and external have.`,
    formatScenario(measured, 'growth', 'prepare, get and all, forgotten', {
      statements: ({ statements }) => String(statements),
      'resident before': ({ before }) => formatBytes(before),
      'resident after': ({ after }) => formatBytes(after),
      'slope per million': ({ growthPerMillion }) => formatBytes(growthPerMillion),
    }),
    `Ours, below ${GROWTH_MEBIBYTES} MiB per million: ${growthVerdict}.`,
    formatScenario(measured, 'resident', 'everything read by the manager', {
      'resident when loaded': ({ loaded }) => formatBytes(loaded),
      'resident at the end': ({ resident }) => formatBytes(resident),
      'of it mapped files': ({ mapped }) => formatBytes(mapped),
      'largest resident': ({ largest }) => formatBytes(largest),
    }),
  ].join('\n\n');
}

module.exports = { formatMemory, measureMemory };
