// @ts-check
'use strict';

const assert = require('node:assert/strict');

/**
 * Owns what makes a media file's bytes valid. It reads them by the formats' rules and shares
 * nothing with the encoders, so that the tests can hold it against them.
 */

/**
 * @param {string} extension
 * @param {Buffer} bytes
 */
function checkMedia(extension, bytes) {
  const check = CHECKS[extension];
  assert.ok(check, `there is no check for ${extension}`);
  check(bytes);
}

/** @type {Record<string, (bytes: Buffer) => void>} */
const CHECKS = { '.jpg': checkJpeg, '.mp4': checkMp4, '.opus': checkOpus, '.pdf': checkPdf };

/** @param {Buffer} bytes */
function checkJpeg(bytes) {
  assert.equal(bytes.toString('hex', 0, 2), 'ffd8');
  assert.equal(bytes.toString('hex', bytes.length - 2), 'ffd9');
  /** @type {Map<number, Buffer>} */
  const segments = new Map();
  let at = 2;
  while (!segments.has(0xda)) {
    assert.equal(bytes[at], 0xff, `a segment begins at ${at}`);
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    segments.set(bytes[at + 1], bytes.subarray(at + 4, end));
    at = end;
  }
  assert.deepEqual([...segments.keys()], [0xe0, 0xfe, 0xdb, 0xc0, 0xc4, 0xda]);
  const frame = segments.get(0xc0) ?? Buffer.alloc(5);
  const blocks = (frame.readUInt16BE(1) / 8) * (frame.readUInt16BE(3) / 8);
  assert.equal(countBlocks(bytes.subarray(at, -2)), blocks, 'as many blocks as the picture has');
}

/** @param {Buffer} scan */
function countBlocks(scan) {
  const stuffed = scan.toString('latin1');
  assert.doesNotMatch(stuffed, /\xff[^\0]/, 'no marker inside the scan');
  const bytes = Buffer.from(stuffed.replaceAll('\xff\0', '\xff'), 'latin1');
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  let blocks = 0;
  // Less than a byte is left over: it is filled with ones.
  for (let at = 0; bits.length - at >= 8; blocks += 1) {
    // The mean has its length in a code of 4 bits; each coefficient in one of 3, until one says 0.
    at += 4 + Number.parseInt(bits.slice(at, at + 4), 2);
    for (let size = -1; size !== 0; at += 3 + size) size = Number.parseInt(bits.slice(at, at + 3), 2);
    assert.ok(at <= bits.length, 'the scan ends with a block');
  }
  return blocks;
}

/** @param {Buffer} bytes */
function checkMp4(bytes) {
  const types = [];
  let at = 0;
  while (at < bytes.length) {
    types.push(bytes.toString('latin1', at + 4, at + 8));
    at += bytes.readUInt32BE(at);
  }
  assert.deepEqual(types, ['ftyp', 'moov', 'mdat']);
  assert.equal(at, bytes.length, 'the last box ends where the file does');
}

/** @param {Buffer} bytes */
function checkOpus(bytes) {
  let pages = 0;
  for (let at = 0; at < bytes.length; pages += 1) {
    const bodyAt = at + 27 + bytes[at + 26];
    const end = bytes.subarray(at + 27, bodyAt).reduce((sum, length) => sum + length, bodyAt);
    const page = Buffer.from(bytes.subarray(at, end));
    assert.equal(page.toString('latin1', 0, 4), 'OggS');
    assert.equal(page[5], (pages === 0 ? 2 : 0) | (end === bytes.length ? 4 : 0), 'first and last page say so');
    assert.equal(page.readUInt32LE(18), pages);
    const checksum = page.readUInt32LE(22);
    page.fill(0, 22, 26);
    assert.equal(oggChecksum(page), checksum, `the checksum of page ${pages}`);
    at = end;
  }
  assert.ok(pages > 2 && bytes.includes('OpusHead') && bytes.includes('OpusTags'));
}

/**
 * Divides bit by bit, as the format's description says.
 *
 * @param {Buffer} bytes
 */
function oggChecksum(bytes) {
  let remainder = 0;
  for (const byte of bytes) {
    remainder ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1) remainder = (remainder << 1) ^ (remainder < 0 ? 0x04c11db7 : 0);
  }
  return remainder >>> 0;
}

/** @param {Buffer} bytes */
function checkPdf(bytes) {
  const text = bytes.toString('latin1');
  const end = text.match(/\nstartxref\n(\d+)\n%%EOF\n$/);
  assert.ok(text.startsWith('%PDF-1.4\n') && end, 'it begins and ends as a PDF does');
  const table = text
    .slice(Number(end[1]))
    .match(/^xref\n0 (\d+)\n0000000000 65535 f \n((?:\d{10} 00000 n \n)*)trailer\n/);
  assert.ok(table, 'the table of offsets is where it is said to be');
  const offsets = (table[2].match(/^\d{10}/gm) ?? []).map(Number);
  assert.equal(offsets.length, Number(table[1]) - 1);
  offsets.forEach((offset, index) => {
    assert.ok(text.startsWith(`${index + 1} 0 obj\n`, offset), `object ${index + 1} is at ${offset}`);
  });
  for (const [, length, content] of text.matchAll(/\/Length (\d+) >>\nstream\n(.*?)\nendstream/gs)) {
    assert.equal(content.length, Number(length));
  }
}

module.exports = { checkMedia };
