// @ts-check
'use strict';

/**
 * Owns making row objects of what the addon packs: `src/node/row_codec.rs` says how.
 *
 * A builder knows one shape of rows. It takes a chunk, cuts the string, and adds an object to a
 * list for each row: a literal, so that V8 gives all rows of a statement one hidden class.
 *
 * @typedef {Record<string, any>} Row
 * @typedef {[text: string, codes: Int32Array, blobs?: Uint8Array]} PackedRows
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
 * @template T
 * @param {PackedRows} packed
 * @param {Builder} build
 * @param {T[]} [rows] where the rows go
 * @returns {T[]}
 */
function decodeRows([text, codes, blobs], build, rows = []) {
  build(text, codes, blobs, rows);
  return rows;
}

/**
 * @template T
 * @param {PackedRows} packed
 * @param {Builder} build
 * @returns {T | undefined}
 */
function decodeFirst(packed, build) {
  return /** @type {T | undefined} */ (decodeRows(packed, build)[0]);
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

/**
 * @param {readonly string[]} columns
 * @param {readonly unknown[]} cells
 * @param {number} start the index of the row's first cell
 * @returns {Row}
 */
function buildRow(columns, cells, start) {
  /** @type {Row} */
  const row = {};
  for (let index = 0; index < columns.length; index += 1) {
    const name = columns[index];
    if (name === '__proto__') {
      // Assigning would set the row's prototype instead of a property.
      Object.defineProperty(row, name, {
        value: cells[start + index],
        configurable: true,
        enumerable: true,
        writable: true,
      });
    } else {
      row[name] = cells[start + index];
    }
  }
  return row;
}

/**
 * @param {[string[], unknown[]]} result
 * @returns {Row | undefined}
 */
function firstRow([columns, cells]) {
  return cells.length === 0 ? undefined : buildRow(columns, cells, 0);
}

/**
 * @param {[string[], unknown[]]} result
 * @returns {Row[]}
 */
function allRows([columns, cells]) {
  const rows = [];
  for (let start = 0; start < cells.length; start += columns.length) {
    rows.push(buildRow(columns, cells, start));
  }
  return rows;
}

module.exports = {
  allRows,
  buildErrors,
  buildFileHashes,
  buildSessions,
  buildSettings,
  decodeFirst,
  decodeRows,
  firstRow,
};
