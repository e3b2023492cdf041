// @ts-check
'use strict';

// `npm run prove`: the proofs that nothing is lost, campaign by campaign, each with a negative
// control that must fail. It writes what it found into docs/proofs.md.
//
//   npm run prove                        the whole; a campaign that is there already with the same
//                                        commit, seed and count is not run again
//   npm run prove -- --only power        one campaign
//   npm run prove -- --share             the share that the gate runs: nothing is written
//   npm run prove -- --seed 7 --percent 10

const { execFileSync, spawnSync } = require('node:child_process');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { ROOT, build, install, run } = require('./prepare.js');

/**
 * @typedef {object} Campaign
 * @property {string} what what is done, and what must hold
 * @property {number} count as many as must be shown
 * @property {number} share as many as the gate plays
 * @property {boolean} hasControl
 * @property {'rust' | 'node'} in
 *
 * @typedef {object} Result
 * @property {string} commit
 * @property {number} seed
 * @property {number} count
 * @property {number} faults
 * @property {number} seconds
 * @property {Record<string, unknown>} figures
 * @property {string} [control] what the negative control was caught at
 */

/** @type {Record<string, Campaign>} */
const CAMPAIGNS = {
  power: {
    what: 'the power goes at any write: the file is sound, holds a prefix of the commits, and all that was synced',
    count: 200_000,
    share: 4000,
    hasControl: true,
    in: 'rust',
  },
  io: {
    what: 'the k-th operation on the file fails: a typed error, nothing acknowledged is lost, the manager usable',
    count: 50_000,
    share: 3000,
    hasControl: true,
    in: 'rust',
  },
  memory: {
    what: 'the n-th allocation fails, or the heap has a hard limit: an error, never an abort',
    count: 20_000,
    share: 2000,
    hasControl: true,
    in: 'rust',
  },
  corruption: {
    what: 'bits, runs and pages of the file and its log are damaged: no crash, none over 2 s, structural damage told of',
    count: 200_000,
    share: 3000,
    hasControl: true,
    in: 'rust',
  },
  wal: {
    what: 'one bit of a live log flips: the check tells of 99 % at least',
    count: 20_000,
    share: 1000,
    hasControl: true,
    in: 'rust',
  },
  repair: {
    what: 'pages are lost: what a repair gets back, and no row that never was',
    count: 5000,
    share: 200,
    hasControl: true,
    in: 'rust',
  },
  kill: {
    what: 'a writer is killed at any moment: no acknowledged row is lost, counters equal rows',
    count: 1000,
    share: 0,
    hasControl: false,
    in: 'node',
  },
};

const STATE = path.join(ROOT, '.proof');
const REPORT = path.join(ROOT, 'docs', 'proofs.md');

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string', default: '20260131' },
    percent: { type: 'string', default: '100' },
    share: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const percent = Number(values.percent);
const names = Object.keys(CAMPAIGNS).filter((name) => values.only === undefined || values.only === name);
if (names.length === 0 || !Number.isSafeInteger(seed) || !(percent > 0 && percent <= 100)) {
  console.error(
    `usage: npm run prove -- [--only ${Object.keys(CAMPAIGNS).join('|')}] [--seed N] [--percent N] [--share]`,
  );
  process.exit(2);
}

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
install();
run('cargo', ['build', '--quiet', '--release', '--no-default-features', '--example', 'proof']);
mkdirSync(STATE, { recursive: true });

const failures = [];
for (const name of names) {
  const campaign = CAMPAIGNS[name];
  const count = values.share ? campaign.share : Math.ceil((campaign.count * percent) / 100);
  if (count === 0) continue;
  const known = read(name);
  if (!values.share && known?.commit === commit && known.seed === seed && known.count >= count) {
    console.log(`${name}: proven already, ${known.count} with seed ${known.seed}`);
    continue;
  }
  const result = campaign.in === 'rust' ? runRust(name, count) : runNode(name, count);
  console.log(`${name}: ${result.count}, ${result.faults} faults, ${result.seconds} s, seed ${seed}`);
  if (result.faults > 0) failures.push(`${name}: ${result.faults} faults`);
  if (campaign.hasControl) {
    const { passed, told } = runControl(name, Math.min(count, 2000));
    console.log(`${name}, negative control: ${passed ? 'NOTHING WAS NOTICED' : `caught: ${told}`}`);
    if (passed) failures.push(`${name}: its negative control passed`);
    result.control = told;
  }
  if (!values.share) writeFileSync(path.join(STATE, `${name}.json`), JSON.stringify(result, null, 1));
}
if (!values.share) writeFileSync(REPORT, describeAll());
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;

/**
 * @param {string} name
 * @returns {Result | undefined}
 */
function read(name) {
  try {
    return JSON.parse(readFileSync(path.join(STATE, `${name}.json`), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name
 * @param {number} count
 * @param {string[]} more
 */
function spawnProof(name, count, ...more) {
  const program = path.join(
    ROOT,
    'target',
    'release',
    'examples',
    `proof${process.platform === 'win32' ? '.exe' : ''}`,
  );
  const parameters = [name, '--count', String(count), '--seed', String(seed), ...more];
  return spawnSync(program, parameters, { encoding: 'utf8', maxBuffer: 1 << 28 });
}

/**
 * @param {string} name
 * @param {number} count
 * @returns {Result}
 */
function runRust(name, count) {
  const { status, stdout, stderr } = spawnProof(name, count);
  const line = stdout.trim().split('\n').pop() ?? '';
  if (!line.startsWith('{')) throw new Error(`${name} gave no figures (exit ${status}): ${stderr.slice(-2000)}`);
  const { faults, figures, seconds, count: made } = JSON.parse(line);
  if (faults > 0) console.error(stderr.slice(-2000));
  return { commit, seed, count: made, faults, seconds, figures };
}

/**
 * @param {string} name
 * @param {number} count
 */
function runControl(name, count) {
  const { status, stderr } = spawnProof(name, count, '--control');
  const told = stderr.split('\n').find((line) => line.startsWith('control: '));
  return { passed: status !== 0 || told === undefined, told: told?.slice('control: '.length).slice(0, 160) };
}

/**
 * @param {string} name
 * @param {number} count
 * @returns {Result}
 */
function runNode(name, count) {
  build();
  const begun = performance.now();
  const script = path.join(__dirname, 'campaign.js');
  const parameters = [script, name, '--seed', String(seed), '--count', String(count)];
  const { status, stdout, stderr } = spawnSync(process.execPath, parameters, { encoding: 'utf8', cwd: ROOT });
  if (status !== 0) console.error(stderr.slice(-2000));
  const figures = JSON.parse(/^\{[\s\S]*?^\}/m.exec(stdout)?.[0] ?? '{}');
  const seconds = Math.round((performance.now() - begun) / 1000);
  return { commit, seed, count, faults: status === 0 ? 0 : 1, seconds, figures };
}

/** @returns {string} the report, of whatever is proven */
function describeAll() {
  const parts = Object.entries(CAMPAIGNS).map(([name, campaign]) => {
    const result = read(name);
    if (!result) return `## ${name}\n\n${campaign.what}.\n\nNot run.\n`;
    const partial = result.count < campaign.count ? ` Partial: ${campaign.count} must be shown.` : '';
    const control = result.control ? `\nNegative control, caught at: ${result.control}\n` : '';
    const rows = Object.entries(result.figures).map(([figure, value]) => `| ${figure} | ${value} |`);
    return [
      `## ${name}\n\n${campaign.what}.\n`,
      `${result.count} cases, **${result.faults} faults**; commit ${result.commit}, seed ${result.seed}, ${result.seconds} s.${partial}`,
      control,
      rows.length > 0 ? `| figure | |\n|---|---|\n${rows.join('\n')}\n` : '',
    ].join('\n');
  });
  const head =
    '# Proofs\n\nWritten by `npm run prove`. What each campaign does stands in [tests/proof](../tests/proof) and';
  return `${head}\n[\\_\\_test\\_\\_/support](../__test__/support). \`_per_10000\` is a share in ten thousand.\n\n${parts.join('\n')}`;
}
