// @ts-check
'use strict';

/** Owns reading what a 64-bit Mach-O library says about itself. */

const { readText } = require('./elf.js');

const MACHINES = new Map([
  [0x01000007, 'x64'],
  [0x0100000c, 'arm64'],
]);

const LC_SYMTAB = 0x2;
const LC_LOAD_DYLIB = 0xc;
const LC_LOAD_WEAK_DYLIB = 0x80000018;
const LC_BUILD_VERSION = 0x32;
const LC_VERSION_MIN_MACOSX = 0x24;

/** Bits of a symbol's type: debugging entry, external, section it lies in. */
const N_STAB = 0xe0;
const N_EXT = 0x01;
const N_TYPE = 0x0e;
const N_WEAK_REF = 0x40;

/**
 * @param {Buffer} file
 * @returns {import('./report.js').BinaryReport}
 */
function readMachO(file) {
  const needed = [];
  const exported = [];
  const imported = [];
  let isStripped = true;
  let minimumOs;
  let at = 32;
  for (let left = file.readUInt32LE(16); left > 0; left -= 1) {
    const command = file.readUInt32LE(at);
    if (command === LC_LOAD_DYLIB || command === LC_LOAD_WEAK_DYLIB) {
      needed.push(readText(file, at + file.readUInt32LE(at + 8)));
    } else if (command === LC_BUILD_VERSION) minimumOs = readVersion(file.readUInt32LE(at + 12));
    else if (command === LC_VERSION_MIN_MACOSX) minimumOs = readVersion(file.readUInt32LE(at + 8));
    else if (command === LC_SYMTAB) {
      const symbols = file.readUInt32LE(at + 8);
      const names = file.readUInt32LE(at + 16);
      for (let index = 0; index < file.readUInt32LE(at + 12); index += 1) {
        const entry = symbols + 16 * index;
        const type = file[entry + 4];
        const name = readText(file, names + file.readUInt32LE(entry)).replace(/^_/, '');
        if (type & N_STAB || !(type & N_EXT)) isStripped &&= name === 'radr://5614542' || name === '';
        else if (type & N_TYPE) exported.push(name);
        else imported.push({ name, isWeak: (file.readUInt16LE(entry + 6) & N_WEAK_REF) !== 0 });
      }
    }
    at += file.readUInt32LE(at + 4);
  }
  return {
    format: 'macho',
    cpu: MACHINES.get(file.readUInt32LE(4)) ?? 'unknown',
    needed,
    exported,
    imported,
    isStripped,
    ...(minimumOs ? { minimumOs } : {}),
  };
}

/** @param {number} packed */
function readVersion(packed) {
  return `${packed >> 16}.${(packed >> 8) & 0xff}`;
}

module.exports = { readMachO };
