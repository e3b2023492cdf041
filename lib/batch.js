// @ts-check
'use strict';

const { invalidArgument, kindOf } = require('./error.js');
const { Packer } = require('./packer.js');
const { FIELDS, readFields } = require('./record.js');

/**
 * Owns calls with many records: they are read and packed when the call is made, written a chunk
 * at a time, and each has an outcome of its own.
 *
 * @typedef {import('./packer.js').PackedValues} PackedValues
 * @typedef {[numbers: Float64Array, errors: unknown[]]} ChunkOutcome a number for each record, NaN
 *   for one that failed, and the errors of those
 */

/** How much goes into one chunk: so much that its own cost is nothing, and far less than a slice. */
const CHUNK_RECORDS = 256;
const CHUNK_UNITS = 256 * 1024;

/** So many hashes are looked up in one read, and so many answered at once: a millisecond or two. */
const CHUNK_HASHES = 2048;
const CHUNK_ANSWERS = 8192;

/** A string longer than this costs V8 pages of memory of its own. */
const PIECE_HASHES = 1024;

/**
 * Records on their way to the addon, and what became of them.
 *
 * @template T
 */
class Batch {
  /** @type {PromiseSettledResult<T>[]} in the order of the records, as far as it has come */
  #outcomes = [];
  #written = 0;
  #chunks;
  #failures;
  #meaningOf;

  /**
   * @param {PackedValues[]} chunks
   * @param {Map<number, unknown>} failures of records that could not be packed, by their index
   * @param {(number: number) => T} meaningOf what the addon's number says
   */
  constructor(chunks, failures, meaningOf) {
    this.#chunks = chunks;
    this.#failures = failures;
    this.#meaningOf = meaningOf;
  }

  /** Whether there is nothing to write, or nothing more. */
  get isDone() {
    return this.#written === this.#chunks.length;
  }

  /** Whether one call of the addon's writes all of it. */
  get isShort() {
    return this.#chunks.length <= 1;
  }

  /**
   * Writes the next chunk.
   *
   * @param {(...packed: PackedValues) => ChunkOutcome} write
   */
  writeNext(write) {
    const [numbers, errors] = write(...this.#chunks[this.#written]);
    this.#written += 1;
    const outcomes = this.#outcomes;
    let nextError = 0;
    for (const number of numbers) {
      this.#settleFailures();
      outcomes.push(
        Number.isNaN(number)
          ? { status: 'rejected', reason: errors[nextError++] }
          : { status: 'fulfilled', value: this.#meaningOf(number) },
      );
    }
  }

  /** What became of each record, once all are written. */
  finish() {
    this.#settleFailures();
    return this.#outcomes;
  }

  #settleFailures() {
    if (this.#failures.size === 0) return;
    const outcomes = this.#outcomes;
    while (this.#failures.has(outcomes.length)) {
      outcomes.push({ status: 'rejected', reason: this.#failures.get(outcomes.length) });
    }
  }
}

/**
 * @template T
 * @param {string} operation the public method
 * @param {unknown} records
 * @param {(record: unknown, name: string) => unknown[]} read gives a record's values
 * @param {(number: number) => T} meaningOf
 */
function packRecords(operation, records, read, meaningOf) {
  requireArray(operation, 'records', records);
  /** @type {PackedValues[]} */
  const chunks = [];
  /** @type {Map<number, unknown>} */
  const failures = new Map();
  const packer = new Packer();
  let packed = 0;
  // A getter of the caller's may change the list: as long as it was is as long as it is.
  const { length } = records;
  for (let index = 0; index < length; index += 1) {
    let values;
    try {
      values = read(records[index], `records[${index}]`);
    } catch (error) {
      failures.set(index, error);
      continue;
    }
    packer.push(index);
    for (const value of values) packer.push(value);
    packed += 1;
    if (packed === CHUNK_RECORDS || packer.text.length >= CHUNK_UNITS) {
      chunks.push(packer.finish());
      packed = 0;
    }
  }
  // One at least: the addon looks at the other arguments, too.
  if (packed > 0 || chunks.length === 0) chunks.push(packer.finish());
  return new Batch(chunks, failures, meaningOf);
}

/** @param {unknown} records the argument of `addFileHashes` */
function packFileHashes(records) {
  const operation = 'addFileHashes';
  return packRecords(
    operation,
    records,
    (record, name) => readFields(operation, name, record, FIELDS.newFileHash),
    (number) => /** @type {'added' | 'ignored'} */ (number === 1 ? 'added' : 'ignored'),
  );
}

/** @param {unknown} records the argument of `logErrors` */
function packErrors(records) {
  const operation = 'logErrors';
  return packRecords(
    operation,
    records,
    (record, name) => readFields(operation, name, record, FIELDS.newUploadError),
    (id) => id,
  );
}

/** @param {unknown} records the argument of `updateSessions` */
function packSessionUpdates(records) {
  const operation = 'updateSessions';
  return packRecords(
    operation,
    records,
    (record, name) => {
      const [id, changes] = readFields(operation, name, record, FIELDS.sessionUpdate);
      return [id, ...readFields(operation, `${name}.changes`, changes, FIELDS.sessionChanges)];
    },
    () => undefined,
  );
}

/**
 * Hashes on their way to the addon, and which of them are recorded: looked up in about the order of the index,
 * so that those of one chunk are on few pages, and answered in the order asked.
 */
class HashLookup {
  /** @type {Map<string, boolean>} */
  #answers = new Map();
  #answered = 0;
  #lookedUp = 0;
  #hashes;
  #order;
  #areRecorded;

  /** @param {string[]} hashes */
  constructor(hashes) {
    this.#hashes = hashes;
    this.#order = hashes.length > CHUNK_HASHES ? orderByStart(hashes) : undefined;
    this.#areRecorded = new Uint8Array(hashes.length);
  }

  get isDone() {
    return this.#answered === this.#hashes.length;
  }

  /**
   * Looks up the next chunk; when all are looked up, answers the next.
   *
   * @param {(pieces: (string | Int32Array)[]) => string} find
   */
  findNext(find) {
    const { length } = this.#hashes;
    if (this.#lookedUp < length || length === 0) this.#lookUpNext(find);
    if (this.#lookedUp < length) return;
    this.#answerNext();
  }

  /** @param {(pieces: (string | Int32Array)[]) => string} find */
  #lookUpNext(find) {
    const hashes = this.#hashes;
    const order = this.#order;
    const start = this.#lookedUp;
    const end = Math.min(start + CHUNK_HASHES, hashes.length);
    /** @type {(string | Int32Array)[]} */
    const pieces = [];
    for (let next = start; next < end; ) {
      const length = Math.min(PIECE_HASHES, end - next);
      const codes = new Int32Array(length);
      let text = '';
      for (let at = 0; at < length; at += 1, next += 1) {
        text += hashes[order ? order[next] : next];
        codes[at] = text.length;
      }
      pieces.push(text, codes);
    }
    const flags = this.#blame(() => find(pieces));
    const areRecorded = this.#areRecorded;
    for (let next = start; next < end; next += 1) {
      if (flags.charCodeAt(next - start) === 49) areRecorded[order ? order[next] : next] = 1;
    }
    this.#lookedUp = end;
  }

  /**
   * Names the hash that the addon refuses, which sees them in another order: one that is not well-formed. To ask each
   * beforehand would take a twentieth of the whole.
   *
   * @param {() => string} find
   */
  #blame(find) {
    try {
      return find();
    } catch (error) {
      const { code, message } = /** @type {{ code?: unknown, message: string }} */ (error);
      if (code !== 'DB_INVALID_ARGUMENT') throw error;
      const index = this.#hashes.findIndex((hash) => !hash.isWellFormed());
      throw invalidArgument('findUploaded', `hashes[${index}]`, message.slice('findUploaded: hashes '.length));
    }
  }

  #answerNext() {
    const hashes = this.#hashes;
    const answers = this.#answers;
    const areRecorded = this.#areRecorded;
    const end = Math.min(this.#answered + CHUNK_ANSWERS, hashes.length);
    for (let index = this.#answered; index < end; index += 1) answers.set(hashes[index], areRecorded[index] === 1);
    this.#answered = end;
  }

  /** Each hash in the order asked, once all are answered. */
  finish() {
    return this.#answers;
  }
}

/**
 * Orders texts by their first two units: enough for those that follow each other to be near each other in the
 * index, in time that grows with their number alone (a counting sort).
 *
 * @param {string[]} texts
 */
function orderByStart(texts) {
  const { length } = texts;
  const starts = new Uint16Array(length);
  const places = new Uint32Array(0x1_0000);
  for (let index = 0; index < length; index += 1) {
    const text = texts[index];
    const start = ((text.charCodeAt(0) & 0xff) << 8) | (text.charCodeAt(1) & 0xff);
    starts[index] = start;
    places[start] += 1;
  }
  let place = 0;
  for (let start = 0; start < places.length; start += 1) {
    const count = places[start];
    places[start] = place;
    place += count;
  }
  const order = new Uint32Array(length);
  for (let index = 0; index < length; index += 1) {
    order[places[starts[index]]] = index;
    places[starts[index]] += 1;
  }
  return order;
}

/** @param {unknown} hashes the argument of `findUploaded` */
function packHashes(hashes) {
  const operation = 'findUploaded';
  requireArray(operation, 'hashes', hashes);
  const { length } = hashes;
  const copy = new Array(length);
  for (let index = 0; index < length; index += 1) {
    const hash = hashes[index];
    if (typeof hash !== 'string') {
      throw invalidArgument(operation, `hashes[${index}]`, `must be a string, not ${kindOf(hash)}`);
    }
    if (hash === '') throw invalidArgument(operation, `hashes[${index}]`, 'is an empty string; give a text');
    copy[index] = hash;
  }
  return new HashLookup(copy);
}

/**
 * @param {string} operation
 * @param {string} name
 * @param {unknown} list
 * @returns {asserts list is unknown[]}
 */
function requireArray(operation, name, list) {
  if (!Array.isArray(list)) throw invalidArgument(operation, name, `must be an array, not ${kindOf(list)}`);
}

module.exports = { Batch, HashLookup, packErrors, packFileHashes, packHashes, packSessionUpdates };
