// @ts-check
'use strict';

/**
 * Owns making row objects of what the addon packs: `src/node/row_codec.rs` says how.
 *
 * A builder knows one shape of rows. It takes a chunk, cuts the string, and adds an object to a
 * list for each row: a literal, so that V8 gives all rows of a statement one hidden class.
 *
 * @typedef {Record<string, any>} Row
 * @typedef {[text: string, codes: Int32Array, blobs?: Uint8Array]} PackedRows a chunk of its own
 * @typedef {string | PackedRows} Packed the text alone, while its codes are in the shared array
 * @typedef {(text: string, codes: Int32Array, blobs: Uint8Array | undefined, rows: any[]) => void} Builder
 */

const NULL = -1;
const INTEGER = -2;
const REAL = -3;
const BIGINT = -4;
const SMALL = -8;

const halves = new Int32Array(2);
const double = new Float64Array(halves.buffer);
const bigint = new BigInt64Array(halves.buffer);

/**
 * Reads a cell that takes three codes.
 *
 * @param {number} marker
 * @param {number} low
 * @param {number} high
 * @param {Uint8Array | undefined} blobs
 */
function readWide(marker, low, high, blobs) {
  if (marker === INTEGER) return low;
  if (marker === REAL || marker === BIGINT) {
    halves[0] = low;
    halves[1] = high;
    return marker === REAL ? double[0] : bigint[0];
  }
  // Memory of its own: a slice of a shared pool could not be transferred to a worker.
  const bytes = Buffer.allocUnsafeSlow(high);
  if (blobs !== undefined) bytes.set(blobs.subarray(low, low + high));
  return bytes;
}

/**
 * Where the addon puts the codes of a result whose decoder runs at once. Nobody else may have it,
 * or its buffer: the addon writes to its memory without asking.
 */
const sharedCodes = new Int32Array(16_384);

/** The place that says whether more rows are to come. */
const MORE = sharedCodes.length - 1;

/** What `run` leaves there. */
const sharedDoubles = new Float64Array(sharedCodes.buffer, 0, 2);
const sharedBigints = new BigInt64Array(sharedCodes.buffer, 0, 2);

/**
 * @template T
 * @param {Packed} packed
 * @param {Builder} build
 * @param {T[]} [rows] where the rows go
 * @returns {T[]}
 */
function decodeRows(packed, build, rows = []) {
  if (typeof packed === 'string') build(packed, sharedCodes, undefined, rows);
  else build(packed[0], packed[1], packed[2], rows);
  return rows;
}

/**
 * @template T
 * @param {Packed} packed
 * @param {Builder} build
 * @returns {T | undefined}
 */
function decodeFirst(packed, build) {
  return /** @type {T | undefined} */ (decodeRows(packed, build)[0]);
}

/** Says whether the result that was handed over last has more rows. */
function hasMore() {
  return sharedCodes[MORE] === 1;
}

/**
 * Reads what a statement has changed.
 *
 * @param {boolean} bigints
 * @returns {{ changes: number, lastInsertRowid: any }}
 */
function readChanges(bigints) {
  return { changes: sharedDoubles[0], lastInsertRowid: bigints ? sharedBigints[1] : sharedDoubles[1] };
}

/** @type {Builder} */
function buildSessions(text, codes, blobs, rows) {
  let at = 1;
  let start = 0;
  for (let left = codes[0]; left > 0; left -= 1) {
    const id = text.slice(start, codes[at]);
    const chat_id = text.slice(codes[at], codes[at + 1]);
    const chat_name = text.slice(codes[at + 1], codes[at + 2]);
    const start_time = text.slice(codes[at + 2], codes[at + 3]);
    const last_update = text.slice(codes[at + 3], codes[at + 4]);
    start = codes[at + 4];
    at += 5;
    let code = codes[at++];
    const total_files = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const processed_files = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const success_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const error_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const duplicate_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    const status = text.slice(start, codes[at]);
    start = codes[at];
    code = codes[at + 1];
    if (code === NULL) {
      const created_at = text.slice(start, codes[at + 2]);
      rows.push({
        id,
        chat_id,
        chat_name,
        start_time,
        last_update,
        total_files,
        processed_files,
        success_count,
        error_count,
        duplicate_count,
        status,
        created_at,
      });
    } else {
      const last_processed_file = text.slice(start, code);
      const created_at = text.slice(code, codes[at + 2]);
      rows.push({
        id,
        chat_id,
        chat_name,
        start_time,
        last_update,
        total_files,
        processed_files,
        success_count,
        error_count,
        duplicate_count,
        status,
        last_processed_file,
        created_at,
      });
    }
    start = codes[at + 2];
    at += 3;
  }
}

/** @type {Builder} */
function buildFileHashes(text, codes, blobs, rows) {
  let at = 1;
  let start = 0;
  for (let left = codes[0]; left > 0; left -= 1) {
    const hash = text.slice(start, codes[at]);
    const file_path = text.slice(codes[at], codes[at + 1]);
    const file_name = text.slice(codes[at + 1], codes[at + 2]);
    start = codes[at + 2];
    const size = codes[at + 3];
    at += 4;
    const file_size = size <= SMALL ? SMALL - size : readWide(size, codes[at++], codes[at++], blobs);
    const mime_type = text.slice(start, codes[at]);
    const upload_service = text.slice(codes[at], codes[at + 1]);
    start = codes[at + 1];
    const end = codes[at + 2];
    if (end === NULL) {
      const chat_id = text.slice(start, codes[at + 3]);
      const uploaded_at = text.slice(codes[at + 3], codes[at + 4]);
      rows.push({ hash, file_path, file_name, file_size, mime_type, upload_service, chat_id, uploaded_at });
    } else {
      const upload_id = text.slice(start, end);
      const chat_id = text.slice(end, codes[at + 3]);
      const uploaded_at = text.slice(codes[at + 3], codes[at + 4]);
      rows.push({ hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, chat_id, uploaded_at });
    }
    start = codes[at + 4];
    at += 5;
  }
}

/** @type {Builder} */
function buildErrors(text, codes, blobs, rows) {
  let at = 1;
  let start = 0;
  for (let left = codes[0]; left > 0; left -= 1) {
    let code = codes[at++];
    const id = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    const session_id = text.slice(start, codes[at]);
    const file_path = text.slice(codes[at], codes[at + 1]);
    const error_type = text.slice(codes[at + 1], codes[at + 2]);
    const error_message = text.slice(codes[at + 2], codes[at + 3]);
    start = codes[at + 3];
    code = codes[at + 4];
    at += 5;
    const retry_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    const timestamp = text.slice(start, codes[at]);
    rows.push({ id, session_id, file_path, error_type, error_message, retry_count, timestamp });
    start = codes[at];
    at += 1;
  }
}

/** @type {Builder} */
function buildSettings(text, codes, _blobs, rows) {
  let start = 0;
  for (let at = 1, end = 3 * codes[0]; at <= end; at += 3) {
    const key = text.slice(start, codes[at]);
    const value = text.slice(codes[at], codes[at + 1]);
    const updated_at = text.slice(codes[at + 1], codes[at + 2]);
    rows.push({ key, value, updated_at });
    start = codes[at + 2];
  }
}

module.exports = {
  NULL,
  SMALL,
  buildErrors,
  buildFileHashes,
  buildSessions,
  buildSettings,
  decodeFirst,
  decodeRows,
  hasMore,
  readChanges,
  readWide,
  sharedCodes,
};
