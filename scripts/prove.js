// @ts-check
'use strict';

// `npm run prove`: the proofs that nothing is lost, campaign by campaign, each with a negative
// control that must fail. It writes what it found into docs/proofs.md.
//
//   npm run prove                        the whole; a campaign that is there already with the same
//                                        commit, seed and count is not run again
//   npm run prove -- --only power        one campaign
//   npm run prove -- --share             the share that the gate runs: nothing is written, no peer
//   npm run prove -- --seed 7 --percent 10

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { parseArgs } = require('node:util');
const peers = require('../benchmark/peer.js');
const { ROOT, build, install, run } = require('./prepare.js');
const { keepResult, readCommit, readResult, writeReport } = require('./proof_report.js');

/**
 * @typedef {object} Campaign
 * @property {string} what what is done, and what must hold
 * @property {number} count as many as must be shown
 * @property {number} share as many as the gate plays
 * @property {number} [control] how many cases its negative control may take at most to be caught
 * @property {string[]} [script] a campaign on the addon: its file in `__test__/campaign`, and arguments;
 *   without it, one of the Rust program `examples/proof`
 * @property {number} [peer] as many as are played with better-sqlite3 too, for comparison
 *
 * @typedef {import('./proof_report.js').Outcome} Outcome
 * @typedef {import('./proof_report.js').Result} Result
 */

/** @type {Record<string, Campaign>} */
const CAMPAIGNS = {
  power: {
    what: 'the power goes at any write: the file is sound, holds a prefix of the commits, and all that was synced',
    count: 200_000,
    share: 4000,
  },
  io: {
    what: 'the k-th operation on the file fails: a typed error, nothing acknowledged is lost, the manager usable',
    count: 50_000,
    share: 3000,
  },
  memory: {
    what: 'the n-th allocation fails, or the heap has a hard limit: an error, never an abort',
    count: 20_000,
    share: 2000,
  },
  corruption: {
    what: 'bits, runs and pages of the file and its log are damaged: no crash, none over 2 s, structural damage told of',
    count: 200_000,
    share: 3000,
  },
  wal: {
    what: 'one bit of a live log flips: the check tells of 99 % at least',
    count: 20_000,
    share: 1000,
  },
  repair: {
    what: 'pages are lost: 99.9 % at least of the rows on intact pages come back, all when only page 1 is lost, and no row that never was',
    count: 5000,
    share: 200,
  },
  fuzz: {
    what: 'pages, logs, journals, options, packed values and rows are mutated: no parser panics, takes over a second or much memory, or gives an answer that cannot be',
    count: 8_000_000,
    share: 50_000,
    control: 20_000,
  },
  kill: {
    what: 'a writer is killed at any moment: no acknowledged row is lost, counters equal rows',
    count: 8000,
    share: 60,
    script: ['kill.js', '--job', 'writer'],
    control: 60,
    peer: 1000,
  },
  'kill-migrate': {
    what: 'a migration is killed at any moment: each version is whole or not there, and the next run completes it',
    count: 500,
    share: 30,
    script: ['kill.js', '--job', 'migrate'],
    control: 60,
  },
  'kill-backup': {
    what: 'a backup beside a writer is killed at any moment: the target is the old one or whole, nothing acknowledged is lost',
    count: 500,
    share: 30,
    script: ['kill.js', '--job', 'backup'],
    control: 60,
  },
  'kill-restore': {
    what: 'a restore is killed at any moment: the ledger is the old one or the restored one, and the old one is kept',
    count: 500,
    share: 30,
    script: ['kill.js', '--job', 'restore'],
    control: 60,
  },
  'kill-repair': {
    what: 'a repair is killed at any moment: the damaged file and its log are kept, and the new one is whole',
    count: 500,
    share: 30,
    script: ['kill.js', '--job', 'repair'],
    control: 60,
  },
  'kill-vacuum': {
    what: 'a vacuum is killed at any moment: the rows are the same, nothing acknowledged is lost',
    count: 500,
    share: 30,
    script: ['kill.js', '--job', 'vacuum'],
    control: 60,
  },
  'addon-io': {
    what: "on the addon, one operation on a ledger's files fails, or all from one on: a typed error, nothing acknowledged is lost, the manager usable",
    count: 1000,
    share: 60,
    script: ['addon-io.js'],
    control: 200,
    peer: 1000,
  },
  hostile: {
    what: 'hostile values and calls from inside getters, iterators and transactions: no process dies, no call hangs, no silent change, each error has a code',
    count: 300_000,
    share: 20_000,
    script: ['hostile.js'],
  },
  secrets: {
    what: 'every method fails in every known way around a random text: it stands in no error, report, statistic, event, warning or stream',
    count: 5000,
    share: 300,
    script: ['secrets.js'],
    control: 200,
  },
  leak: {
    what: 'the resident size over operations of every kind: at most 1 MB a million after the warm-up',
    count: 20_000_000,
    share: 500_000,
    script: ['leak.js'],
    control: 200_000,
  },
};

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
/** Enough cases for any negative control that does not say how many it takes. */
const CONTROL_CASES = 2000;
const PEER = 'better-sqlite3';
const names = Object.keys(CAMPAIGNS).filter((name) => values.only === undefined || values.only === name);
if (names.length === 0 || !Number.isSafeInteger(seed) || !(percent > 0 && percent <= 100)) {
  console.error(
    `usage: npm run prove -- [--only ${Object.keys(CAMPAIGNS).join('|')}] [--seed N] [--percent N] [--share]`,
  );
  process.exit(2);
}

const commit = readCommit();
install();
if (names.some((name) => !CAMPAIGNS[name].script)) {
  run('cargo', ['build', '--quiet', '--release', '--no-default-features', '--example', 'proof']);
}
if (names.some((name) => CAMPAIGNS[name].script)) build();
if (!values.share && names.some((name) => CAMPAIGNS[name].peer)) peers.bring();

const failures = [];
for (const name of names) {
  const campaign = CAMPAIGNS[name];
  const count = values.share ? campaign.share : Math.ceil((campaign.count * percent) / 100);
  if (count === 0) continue;
  const known = readResult(name);
  if (!values.share && known?.commit === commit && known.seed === seed && known.count >= count) {
    console.log(`${name}: proven already, ${known.count} with seed ${known.seed}`);
    continue;
  }
  /** @type {Result} */
  const result = { commit, seed, ...play(name, count) };
  console.log(`${name}: ${result.count}, ${result.faults} faults, ${result.seconds} s, seed ${seed}`);
  if (result.faults > 0) failures.push(`${name}: ${result.faults} faults`);
  const { passed, told } = playControl(name, Math.min(count, campaign.control ?? CONTROL_CASES));
  console.log(`${name}, negative control: ${passed ? 'NOTHING WAS NOTICED' : `caught: ${told}`}`);
  if (passed) failures.push(`${name}: its negative control passed`);
  else result.control = told;
  if (campaign.peer && !values.share) {
    result.peer = { name: PEER, ...play(name, Math.min(count, campaign.peer), '--peer', PEER) };
    console.log(`${name}, ${PEER}: ${result.peer.count}, ${result.peer.faults} faults, ${result.peer.seconds} s`);
  }
  if (!values.share) keepResult(name, result);
}
if (!values.share) writeReport(CAMPAIGNS);
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;

/**
 * @param {string} name
 * @param {number} count
 * @param {string[]} more
 */
function spawnCampaign(name, count, ...more) {
  const { script } = CAMPAIGNS[name];
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const [program, parameters] = script
    ? [process.execPath, [path.join(ROOT, '__test__', 'campaign', script[0]), ...script.slice(1)]]
    : [path.join(ROOT, 'target', 'release', 'examples', `proof${suffix}`), [name]];
  parameters.push('--count', String(count), '--seed', String(seed), ...more);
  return spawnSync(program, parameters, { encoding: 'utf8', cwd: ROOT, maxBuffer: 1 << 28 });
}

/**
 * Plays a campaign; its last line says what came of it.
 *
 * @param {string} name
 * @param {number} count
 * @param {string[]} more
 * @returns {Outcome}
 */
function play(name, count, ...more) {
  const begun = performance.now();
  const { status, stdout, stderr } = spawnCampaign(name, count, ...more);
  const line = stdout.trim().split('\n').pop() ?? '';
  if (!line.startsWith('{')) throw new Error(`${name} gave no figures (exit ${status}): ${stderr.slice(-2000)}`);
  const { faults, figures, count: made } = JSON.parse(line);
  if (faults > 0) console.error(stderr.slice(-2000));
  return { count: made, faults, seconds: Math.round((performance.now() - begun) / 100) / 10, figures };
}

/**
 * Plays a campaign's negative control, which must find something wrong.
 *
 * @param {string} name
 * @param {number} count
 */
function playControl(name, count) {
  const { status, stdout, stderr } = spawnCampaign(name, count, '--control');
  const start = CAMPAIGNS[name].script ? 'fault: ' : 'control: ';
  const told = stderr.split('\n').find((line) => line.startsWith(start));
  const isCaught = CAMPAIGNS[name].script ? JSON.parse(stdout.trim().split('\n').pop() || '{}').faults > 0 : told;
  return { passed: status !== 0 || !isCaught, told: told?.slice(start.length).slice(0, 160) ?? '' };
}
