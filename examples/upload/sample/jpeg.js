// @ts-check
'use strict';

/**
 * Owns the making of JPEG pictures: grey, baseline, in 8 x 8 blocks, with Huffman tables of its
 * own in which every code of a table has the same length.
 */

/** With a step of 8 the mean of a block is `DC + 128`; the other coefficients are taken as they are. */
const DC_STEP = 8;
const AC_STEP = 1;

/** Differences of means reach 255, which takes 8 bits; code n of the table says "n bits follow". */
const DC_SYMBOLS = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const DC_CODE_LENGTH = 4;

/** Code 0 ends a block; code n says "no zeros are skipped, n bits follow". */
const AC_SYMBOLS = [0, 1, 2, 3, 4, 5, 6];
const AC_CODE_LENGTH = 3;
const END_OF_BLOCK = 0;
const MAX_AC = 63;

/**
 * Makes a picture of soft shades with some grain.
 *
 * @param {import('../random.js').Random} random
 * @param {{ columns: number, rows: number, grain: number, comment: string }} picture
 *   `columns` and `rows` count blocks, `grain` the coefficients of each
 */
function encodeJpeg(random, { columns, rows, grain, comment }) {
  const scan = new BitWriter();
  const slopeX = random.integer(40, 120) / columns;
  const slopeY = random.integer(40, 120) / rows;
  let previous = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const mean = Math.round(column * slopeX + row * slopeY) - 120 + random.integer(0, 7);
      writeCoefficient(scan, mean - previous, DC_CODE_LENGTH);
      previous = mean;
      for (let index = 0; index < grain; index += 1) {
        const size = random.integer(1, MAX_AC);
        writeCoefficient(scan, random.fraction() < 0.5 ? -size : size, AC_CODE_LENGTH);
      }
      scan.write(END_OF_BLOCK, AC_CODE_LENGTH);
    }
  }
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xe0, Buffer.from('JFIF\0'), [1, 1, 0, 0, 1, 0, 1, 0, 0]),
    segment(0xfe, Buffer.from(comment)),
    segment(0xdb, [0, DC_STEP], Array(63).fill(AC_STEP)),
    segment(0xc0, [8], uint16(rows * 8), uint16(columns * 8), [1, 1, 0x11, 0]),
    segment(0xc4, [0x00], codeLengths(DC_CODE_LENGTH, DC_SYMBOLS.length), DC_SYMBOLS),
    segment(0xc4, [0x10], codeLengths(AC_CODE_LENGTH, AC_SYMBOLS.length), AC_SYMBOLS),
    segment(0xda, [1, 1, 0x00, 0, 63, 0]),
    scan.end(),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/**
 * Writes how many bits a value takes, then the value; a negative one is written less one, so that
 * its first bit is 0.
 *
 * @param {BitWriter} scan
 * @param {number} value
 * @param {number} codeLength
 */
function writeCoefficient(scan, value, codeLength) {
  const size = 32 - Math.clz32(Math.abs(value));
  scan.write(size, codeLength);
  scan.write(value < 0 ? value + (1 << size) - 1 : value, size);
}

/**
 * @param {number} marker
 * @param {...(Buffer | number[])} parts
 */
function segment(marker, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([0xff, marker, ...uint16(body.length + 2)]), body]);
}

/**
 * Tells a Huffman table how many codes there are of each length from 1 to 16.
 *
 * @param {number} length
 * @param {number} count
 */
function codeLengths(length, count) {
  return Array.from({ length: 16 }, (_, index) => (index + 1 === length ? count : 0));
}

/** @param {number} value */
function uint16(value) {
  return [value >> 8, value & 0xff];
}

/** Packs bits into the bytes of a scan. */
class BitWriter {
  /** @type {number[]} */
  #bytes = [];
  #pending = 0;
  #pendingLength = 0;

  /**
   * @param {number} value
   * @param {number} length
   */
  write(value, length) {
    this.#pending = (this.#pending << length) | value;
    this.#pendingLength += length;
    while (this.#pendingLength >= 8) {
      this.#pendingLength -= 8;
      const byte = (this.#pending >> this.#pendingLength) & 0xff;
      this.#bytes.push(byte);
      // Without the zero, a decoder would take the byte for a marker's first.
      if (byte === 0xff) this.#bytes.push(0);
    }
    this.#pending &= (1 << this.#pendingLength) - 1;
  }

  /** Fills the last byte with ones and gives all bytes. */
  end() {
    const missing = (8 - this.#pendingLength) % 8;
    this.write((1 << missing) - 1, missing);
    return Buffer.from(this.#bytes);
  }
}

module.exports = { encodeJpeg };
