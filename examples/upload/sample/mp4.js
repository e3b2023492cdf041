// @ts-check
'use strict';

/** Owns the making of MP4 files: the boxes of one, in their right form, around made-up data. */

const TICKS_PER_SECOND = 1000;
const UNITY_MATRIX = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000];

/**
 * @param {import('../random.js').Random} random
 * @param {{ bytes: number, seconds: number }} video
 */
function encodeMp4(random, { bytes, seconds }) {
  const movieHeader = box(
    'mvhd',
    // Version and flags, created, modified.
    uint32(0, 0, 0),
    uint32(TICKS_PER_SECOND, seconds * TICKS_PER_SECOND),
    // Normal speed, full volume, ten reserved bytes.
    uint32(0x10000),
    Buffer.from([1, 0, ...Array(10).fill(0)]),
    uint32(...UNITY_MATRIX),
    // Six unused words, and the number of the next track.
    uint32(0, 0, 0, 0, 0, 0, 1),
  );
  return Buffer.concat([
    box('ftyp', Buffer.from('mp42'), uint32(0), Buffer.from('mp42isom')),
    box('moov', movieHeader),
    box('mdat', random.bytes(bytes)),
  ]);
}

/**
 * @param {string} type
 * @param {...Buffer} parts
 */
function box(type, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([uint32(body.length + 8), Buffer.from(type), body]);
}

/** @param {...number} values */
function uint32(...values) {
  const buffer = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    buffer.writeUInt32BE(value, index * 4);
  });
  return buffer;
}

module.exports = { encodeMp4 };
