// @ts-check
'use strict';

// Checks that a file can be a platform's addon, without running it:
//
//   node scripts/check-binary.js database.linux-x64-gnu.node ...
//
// The platform is the one in the file's name; `--platform NAME` says it for a file called otherwise.
// `--no-size` leaves the budget out. Exits with 1 when anything is wrong.

const { readFileSync, statSync } = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { gzipSync } = require('node:zlib');
const { readBinary } = require('./binary/report.js');
const { MAX_PACKED, MAX_UNPACKED, findFaults, glibcFloor } = require('./binary/rule.js');
const { PLATFORMS } = require('./platform.js');

/**
 * @typedef {object} Check
 * @property {string} platform
 * @property {string[]} faults
 * @property {number} unpacked bytes
 * @property {number} packed bytes
 * @property {string} [glibc] the oldest that it loads with
 */

/**
 * @param {string} file
 * @param {{ platform?: string, hasBudget?: boolean }} [options]
 * @returns {Check}
 */
function checkBinary(file, { platform = nameIn(file), hasBudget = true } = {}) {
  const report = readBinary(file);
  const faults = findFaults(platform, report);
  const unpacked = statSync(file).size;
  const packed = gzipSync(readFileSync(file), { level: 9 }).length;
  if (hasBudget && unpacked > MAX_UNPACKED) faults.push(`${unpacked} bytes, beyond ${MAX_UNPACKED}`);
  if (hasBudget && packed > MAX_PACKED) faults.push(`${packed} bytes packed, beyond ${MAX_PACKED}`);
  const glibc = glibcFloor(report);
  return { platform, faults, unpacked, packed, ...(glibc ? { glibc } : {}) };
}

/** @param {string} file */
function nameIn(file) {
  const found = PLATFORMS.find(({ name }) => path.basename(file).includes(`.${name}.`));
  if (!found) throw new Error(`${file}: no platform in its name; say --platform`);
  return found.name;
}

if (require.main === module) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { platform: { type: 'string' }, 'no-size': { type: 'boolean' } },
  });
  if (positionals.length === 0) throw new Error('name the files to check');
  for (const file of positionals) {
    const options = { hasBudget: !values['no-size'], ...(values.platform ? { platform: values.platform } : {}) };
    const { platform, faults, unpacked, packed, glibc } = checkBinary(file, options);
    const size = `${unpacked} bytes, ${packed} packed${glibc ? `, glibc ${glibc}` : ''}`;
    console.log(`${faults.length === 0 ? 'ok' : 'WRONG'} ${file} (${platform}; ${size})`);
    for (const fault of faults) console.log(`  ${fault}`);
    if (faults.length > 0) process.exitCode = 1;
  }
}

module.exports = { checkBinary };
