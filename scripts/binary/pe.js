// @ts-check
'use strict';

/** Owns reading what a 64-bit Windows library says about itself. */

const { readText } = require('./elf.js');

const MACHINES = new Map([
  [0x8664, 'x64'],
  [0xaa64, 'arm64'],
]);

/** Indexes of the directories in the optional header. */
const EXPORTS = 0;
const IMPORTS = 1;
const DELAYED_IMPORTS = 13;

/**
 * @param {Buffer} file
 * @returns {import('./report.js').BinaryReport}
 */
function readPe(file) {
  const header = file.readUInt32LE(0x3c);
  const optional = header + 24;
  if (file.readUInt16LE(optional) !== 0x20b) throw new Error('a 32-bit Windows file');
  const sections = Array.from({ length: file.readUInt16LE(header + 6) }, (_, index) => {
    const at = optional + file.readUInt16LE(header + 20) + 40 * index;
    return {
      address: file.readUInt32LE(at + 12),
      size: Math.max(file.readUInt32LE(at + 8), file.readUInt32LE(at + 16)),
      offset: file.readUInt32LE(at + 20),
    };
  });
  const toOffset = (/** @type {number} */ address) => {
    const found = sections.find(({ address: start, size }) => address >= start && address < start + size);
    if (!found) throw new Error('an address outside of every section');
    return address - found.address + found.offset;
  };
  const directory = (/** @type {number} */ index) => {
    const address = file.readUInt32LE(optional + 112 + 8 * index);
    return address === 0 ? undefined : toOffset(address);
  };

  const exported = [];
  const exports = directory(EXPORTS);
  if (exports !== undefined) {
    const names = toOffset(file.readUInt32LE(exports + 32));
    for (let index = 0; index < file.readUInt32LE(exports + 24); index += 1) {
      exported.push(readText(file, toOffset(file.readUInt32LE(names + 4 * index))));
    }
  }

  /** @type {string[]} */
  const needed = [];
  for (const [index, size, name] of [
    [IMPORTS, 20, 12],
    [DELAYED_IMPORTS, 32, 4],
  ]) {
    const start = directory(index);
    for (let at = start; at !== undefined && file.readUInt32LE(at + name) !== 0; at += size) {
      needed.push(readText(file, toOffset(file.readUInt32LE(at + name))));
    }
  }
  return {
    format: 'pe',
    cpu: MACHINES.get(file.readUInt16LE(header + 4)) ?? 'unknown',
    needed,
    exported,
    imported: [],
    isStripped: file.readUInt32LE(header + 12) === 0,
  };
}

module.exports = { readPe };
