// @ts-check
'use strict';

const { types } = require('node:util');

/**
 * Owns packing many values for one crossing into the addon: all texts as one string, and Int32
 * codes that say where each text ends or what else a value is. `src/packed_value.rs` says
 * which codes there are and reads them; whether a value is right is for Rust to say.
 *
 * @typedef {[text: string, codes: Int32Array, blobs: Uint8Array | undefined]} PackedValues
 */

const NULL = -1;
const REAL = -3;
const BIGINT = -4;
const BLOB = -5;
const OTHER = -6;
const UNDEFINED = -7;
const SMALL = -8;

/** The largest integer that one code holds. */
const MAX_SMALL = 0x7fff_ffff + SMALL;

/** What a value is that nothing can store; the number is its index here. */
const OTHER_KINDS = ['boolean', 'symbol', 'function', 'object', 'bigint'];

const NO_BYTES = new Uint8Array(0);

/** A view's own length, whatever property of that name its owner has put on it. */
const readLength = /** @type {(this: Uint8Array) => number} */ (
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length')?.get
);

const halves = new Int32Array(2);
const double = new Float64Array(halves.buffer);
const bigint = new BigInt64Array(halves.buffer);

/** Packs values; make one for each crossing, since a getter of the caller's may begin another. */
class Packer {
  text = '';
  codes = new Int32Array(1024);
  /** How many codes there are. */
  length = 0;
  blobs = NO_BYTES;
  blobLength = 0;

  /** @param {unknown} value */
  push(value) {
    if (this.length + 3 > this.codes.length) this.#grow();
    if (typeof value === 'string') {
      this.text += value;
      this.codes[this.length++] = this.text.length;
    } else if (typeof value === 'number') {
      if (value >= 0 && value <= MAX_SMALL && Number.isInteger(value)) this.codes[this.length++] = SMALL - value;
      else this.#pushReal(value);
    } else if (value === undefined) {
      this.codes[this.length++] = UNDEFINED;
    } else if (value === null) {
      this.codes[this.length++] = NULL;
    } else {
      this.#pushRare(value);
    }
  }

  /** Gives what was packed, as the addon takes it, and begins anew. @returns {PackedValues} */
  finish() {
    const { text, codes, length, blobs, blobLength } = this;
    this.text = '';
    this.codes = new Int32Array(codes.length);
    this.length = 0;
    this.blobs = NO_BYTES;
    this.blobLength = 0;
    return [text, codes.subarray(0, length), blobLength === 0 ? undefined : blobs.subarray(0, blobLength)];
  }

  #grow() {
    const codes = new Int32Array(2 * this.codes.length);
    codes.set(this.codes);
    this.codes = codes;
  }

  /** @param {number} value */
  #pushReal(value) {
    double[0] = value;
    this.#pushWide(REAL, halves[0], halves[1]);
  }

  /** @param {{}} value */
  #pushRare(value) {
    if (typeof value === 'bigint') {
      bigint[0] = value;
      if (bigint[0] === value) this.#pushWide(BIGINT, halves[0], halves[1]);
      else this.#pushOther('bigint');
    } else if (types.isUint8Array(value)) {
      this.#pushBytes(value);
    } else {
      this.#pushOther(typeof value);
    }
  }

  /** @param {string} kind */
  #pushOther(kind) {
    this.#pushWide(OTHER, OTHER_KINDS.indexOf(kind), 0);
  }

  /** @param {Uint8Array} bytes */
  #pushBytes(bytes) {
    const length = readLength.call(bytes);
    // Bytes whose memory was handed away are none; `set` would throw at them.
    if (length === 0) return this.#pushWide(BLOB, 0, 0);
    const start = this.blobLength;
    if (start + length > this.blobs.length) {
      const blobs = new Uint8Array(Math.max(start + length, 2 * this.blobs.length));
      blobs.set(this.blobs.subarray(0, start));
      this.blobs = blobs;
    }
    this.blobs.set(bytes, start);
    this.blobLength = start + length;
    this.#pushWide(BLOB, start, length);
  }

  /**
   * @param {number} marker
   * @param {number} low
   * @param {number} high
   */
  #pushWide(marker, low, high) {
    this.codes[this.length] = marker;
    this.codes[this.length + 1] = low;
    this.codes[this.length + 2] = high;
    this.length += 3;
  }
}

module.exports = { Packer };
