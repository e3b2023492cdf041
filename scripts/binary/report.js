// @ts-check
'use strict';

/** Owns what is known of an addon's file, whatever its format. */

const { readFileSync } = require('node:fs');
const { readElf } = require('./elf.js');
const { readMachO } = require('./macho.js');
const { readPe } = require('./pe.js');

/**
 * @typedef {object} ImportedSymbol
 * @property {string} name
 * @property {boolean} isWeak whether the library also loads without it
 * @property {string} [version] such as `GLIBC_2.17`
 *
 * @typedef {object} BinaryReport
 * @property {'elf' | 'macho' | 'pe'} format
 * @property {string} cpu as Node calls it
 * @property {string[]} needed libraries
 * @property {string[]} exported
 * @property {ImportedSymbol[]} imported of Windows none: each is looked up in a named library
 * @property {boolean} isStripped
 * @property {boolean} [hasThreadLocals] of ELF
 * @property {number[]} [loadAlignments] of ELF
 * @property {string} [minimumOs] of Mach-O
 */

/**
 * @param {string} file
 * @returns {BinaryReport}
 */
function readBinary(file) {
  const bytes = readFileSync(file);
  if (bytes.toString('latin1', 0, 4) === '\x7fELF') return readElf(bytes);
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return readMachO(bytes);
  if (bytes.toString('latin1', 0, 2) === 'MZ') return readPe(bytes);
  throw new Error(`${file} is no library of a kind that is known here`);
}

module.exports = { readBinary };
