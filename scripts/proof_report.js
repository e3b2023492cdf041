// @ts-check
'use strict';

/**
 * Owns what the proofs have found: kept in `.proof`, and told in docs/proofs.md.
 *
 * @typedef {object} Outcome
 * @property {number} count
 * @property {number} faults
 * @property {number} seconds
 * @property {Record<string, unknown>} figures
 *
 * @typedef {Outcome & { commit: string, seed?: number, control?: string, peer?: Outcome & { name: string } }} Result
 *   `control` is what the negative control was caught at
 *
 * @typedef {{ what: string, count?: number }} Campaign `count`: as many as must be shown
 */

const { execFileSync } = require('node:child_process');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { ROOT } = require('./prepare.js');

const STATE = path.join(ROOT, '.proof');
const REPORT = path.join(ROOT, 'docs', 'proofs.md');

const HEAD = `# Proofs

Written by \`npm run prove\` and \`npm run prove:memory\`. What each campaign does stands in
[tests/proof](../tests/proof) and [\\_\\_test\\_\\_/campaign](../__test__/campaign). \`_per_10000\` is a share in ten
thousand. better-sqlite3's figures, where there are any, are of a program in that library's usual idiom (\`*-peer.js\`): when it
writes a row and its counter in two commits, a kill between them is a fault of that program's, not of the library's.
`;

/** @returns {string} the commit that is proven */
function readCommit() {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
}

/**
 * @param {string} name
 * @returns {Result | undefined}
 */
function readResult(name) {
  try {
    return JSON.parse(readFileSync(path.join(STATE, `${name}.json`), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name
 * @param {Result} result
 */
function keepResult(name, result) {
  mkdirSync(STATE, { recursive: true });
  writeFileSync(path.join(STATE, `${name}.json`), JSON.stringify(result, null, 1));
}

/**
 * Our figures, and beside them the peer's where there are any.
 *
 * @param {Result} result
 */
function describeFigures({ figures, peer, count, faults }) {
  const names = [...new Set([...Object.keys(figures), ...Object.keys(peer?.figures ?? {})])];
  if (names.length === 0) return '';
  if (!peer) {
    const rows = names.map((name) => `| ${name} | ${figures[name]} |`);
    return `| figure | |\n|---|---|\n${rows.join('\n')}\n`;
  }
  const rows = names.map((name) => `| ${name} | ${figures[name] ?? ''} | ${peer.figures[name] ?? ''} |`);
  rows.unshift(`| cases | ${count} | ${peer.count} |`, `| faults | ${faults} | ${peer.faults} |`);
  return `| figure | ours | ${peer.name} |\n|---|---|---|\n${rows.join('\n')}\n`;
}

/**
 * Gives a campaign's section.
 *
 * @param {string} name
 * @param {Campaign} campaign
 * @param {Result} result
 */
function describe(name, { what, count = 0 }, result) {
  const partial = result.count < count ? ` Partial: ${count} must be shown.` : '';
  const seed = result.seed === undefined ? '' : `, seed ${result.seed}`;
  return [
    `## ${name}\n\n${what}.\n`,
    `${result.count} cases, **${result.faults} faults**; commit ${result.commit}${seed}, ${result.seconds} s.${partial}`,
    result.control ? `\nNegative control, caught at: ${result.control}\n` : '',
    describeFigures(result),
  ].join('\n');
}

/**
 * Puts campaigns into the report; what was proven in another checkout stays.
 *
 * @param {Record<string, Campaign>} campaigns
 */
function writeReport(campaigns) {
  const [, ...known] = readFileSync(REPORT, 'utf8').split(/^## /m);
  const sections = new Map(known.map((section) => [section.split('\n')[0], `## ${section}`]));
  for (const [name, campaign] of Object.entries(campaigns)) {
    const result = readResult(name);
    if (result) sections.set(name, describe(name, campaign, result));
    else if (!sections.has(name)) sections.set(name, `## ${name}\n\n${campaign.what}.\n\nNot run.`);
  }
  const parts = [...sections.values()].map((section) => section.trimEnd());
  writeFileSync(REPORT, `${HEAD}\n${parts.join('\n\n')}\n`);
}

module.exports = { keepResult, readCommit, readResult, writeReport };
