// @ts-check
'use strict';

const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const os = require('node:os');

/**
 * Owns the file of results, RESULTS.md: each command of the benchmark writes its own sections, and
 * leaves those of others as they are.
 */

/**
 * Replaces what stands between a section's two comments; a section that is not there yet comes last.
 *
 * @param {string} file
 * @param {string} name
 * @param {string} text
 */
function writeSection(file, name, text) {
  const begin = `<!-- ${name}: begin -->`;
  const end = `<!-- ${name}: end -->`;
  const old = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const section = `${begin}\n\n${text}\n\n${end}`;
  const from = old.indexOf(begin);
  const to = old.indexOf(end);
  const isThere = from !== -1 && to > from;
  const updated = isThere ? old.slice(0, from) + section + old.slice(to + end.length) : `${old}\n${section}\n`;
  writeFileSync(file, updated);
}

/**
 * Says on what a run was made.
 *
 * @param {{ seed: number, quick: boolean }} options
 * @param {string} [more]
 */
function describeRun({ seed, quick }, more) {
  const parts = [
    new Date().toISOString().slice(0, 10),
    `seed ${seed}${quick ? ', quick' : ''}`,
    ...(more ? [more] : []),
    `${os.availableParallelism()} cores`,
    `${os.platform()} ${os.release()} ${os.arch()}`,
    `Node ${process.versions.node}`,
    `load ${os.loadavg()[0].toFixed(2)} at the start`,
  ];
  return parts.join(', ');
}

module.exports = { describeRun, writeSection };
