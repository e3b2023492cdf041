// @ts-check
'use strict';

/** Owns reading what a little-endian ELF library says about itself. */

const MACHINES = new Map([
  [0x3e, 'x64'],
  [0xb7, 'arm64'],
  [0x28, 'arm'],
]);

const PT_LOAD = 1;
const PT_TLS = 7;
const DT_NEEDED = 1;
const SHT_SYMTAB = 2;
const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const SHT_VERNEED = 0x6ffffffe;
const SHT_VERSYM = 0x6fffffff;
const STB_WEAK = 2;

/** @typedef {import('./report.js').BinaryReport} BinaryReport */

/**
 * @param {Buffer} file
 * @returns {BinaryReport}
 */
function readElf(file) {
  if (file[5] !== 1) throw new Error('a big-endian ELF file');
  const wide = file[4] === 2;
  const word = (/** @type {number} */ at) => (wide ? Number(file.readBigUInt64LE(at)) : file.readUInt32LE(at));
  const size = wide ? 8 : 4;
  const programs = table(word(wide ? 32 : 28), file.readUInt16LE(wide ? 54 : 42), file.readUInt16LE(wide ? 56 : 44));
  const headers = table(word(wide ? 40 : 32), file.readUInt16LE(wide ? 58 : 46), file.readUInt16LE(wide ? 60 : 48));
  const sections = headers.map((at) => ({
    type: file.readUInt32LE(at + 4),
    offset: word(at + 8 + 2 * size),
    size: word(at + 8 + 3 * size),
    link: file.readUInt32LE(at + 8 + 4 * size),
    entry: word(at + 16 + 5 * size),
  }));
  const find = (/** @type {number} */ type) => sections.find((section) => section.type === type);
  const text = (/** @type {number} */ link, /** @type {number} */ at) => readText(file, sections[link].offset + at);

  const needed = [];
  const dynamic = find(SHT_DYNAMIC);
  for (const at of dynamic ? table(dynamic.offset, 2 * size, dynamic.size / (2 * size)) : []) {
    if (word(at) === DT_NEEDED && dynamic) needed.push(text(dynamic.link, word(at + size)));
  }

  /** @type {Map<number, string>} */
  const versions = new Map();
  const verneed = find(SHT_VERNEED);
  for (let at = verneed?.offset ?? 0, last = !verneed; !last && verneed; ) {
    const count = file.readUInt16LE(at + 2);
    for (let index = 0, inner = at + file.readUInt32LE(at + 8); index < count; index += 1) {
      versions.set(file.readUInt16LE(inner + 6), text(verneed.link, file.readUInt32LE(inner + 8)));
      inner += file.readUInt32LE(inner + 12);
    }
    const next = file.readUInt32LE(at + 12);
    last = next === 0;
    at += next;
  }

  const exported = [];
  const imported = [];
  const symbols = find(SHT_DYNSYM);
  const versym = find(SHT_VERSYM);
  const all = symbols ? table(symbols.offset, symbols.entry, symbols.size / symbols.entry) : [];
  for (const [index, at] of all.entries()) {
    const name = symbols ? text(symbols.link, file.readUInt32LE(at)) : '';
    if (name === '') continue;
    const info = file[at + (wide ? 4 : 12)];
    const isUndefined = file.readUInt16LE(at + (wide ? 6 : 14)) === 0;
    if (!isUndefined) exported.push(name);
    else {
      const version = versym ? versions.get(file.readUInt16LE(versym.offset + 2 * index) & 0x7fff) : undefined;
      imported.push({ name, isWeak: info >> 4 === STB_WEAK, ...(version ? { version } : {}) });
    }
  }

  const kinds = programs.map((at) => ({ type: file.readUInt32LE(at), align: word(at + (wide ? 48 : 28)) }));
  return {
    format: 'elf',
    cpu: MACHINES.get(file.readUInt16LE(18)) ?? 'unknown',
    needed,
    exported,
    imported,
    isStripped: !find(SHT_SYMTAB),
    hasThreadLocals: kinds.some(({ type }) => type === PT_TLS),
    loadAlignments: kinds.filter(({ type }) => type === PT_LOAD).map(({ align }) => align),
  };
}

/**
 * @param {number} offset
 * @param {number} size
 * @param {number} count
 */
function table(offset, size, count) {
  return Array.from({ length: count }, (_, index) => offset + index * size);
}

/**
 * @param {Buffer} file
 * @param {number} at
 */
function readText(file, at) {
  return file.toString('latin1', at, file.indexOf(0, at));
}

module.exports = { readElf, readText };
