// @ts-check
'use strict';

/**
 * Owns making row objects of what the addon packs: `src/packed_row.rs` says how.
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
const SAME = -6;
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
  let code = 0;
  let id = '';
  let chat_id = '';
  let chat_name = '';
  let start_time = '';
  let last_update = '';
  let status = '';
  /** @type {string | undefined} */
  let last_processed_file;
  let created_at = '';
  for (let left = codes[0]; left > 0; left -= 1) {
    code = codes[at++];
    if (code >= 0) {
      id = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      chat_id = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      chat_name = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      start_time = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      last_update = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    const total_files = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const processed_files = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const success_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const error_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    const duplicate_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    if (code >= 0) {
      status = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      last_processed_file = text.slice(start, code);
      start = code;
    } else if (code === NULL) last_processed_file = undefined;
    code = codes[at++];
    if (code >= 0) {
      created_at = text.slice(start, code);
      start = code;
    }
    if (last_processed_file === undefined) {
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
  }
}

/** @type {Builder} */
function buildFileHashes(text, codes, blobs, rows) {
  let at = 1;
  let start = 0;
  let code = 0;
  let hash = '';
  let file_path = '';
  let file_name = '';
  let mime_type = '';
  let upload_service = '';
  /** @type {string | undefined} */
  let upload_id;
  let chat_id = '';
  let uploaded_at = '';
  for (let left = codes[0]; left > 0; left -= 1) {
    code = codes[at++];
    if (code >= 0) {
      hash = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      file_path = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      file_name = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    const file_size = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    if (code >= 0) {
      mime_type = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      upload_service = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      upload_id = text.slice(start, code);
      start = code;
    } else if (code === NULL) upload_id = undefined;
    code = codes[at++];
    if (code >= 0) {
      chat_id = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      uploaded_at = text.slice(start, code);
      start = code;
    }
    if (upload_id === undefined) {
      rows.push({ hash, file_path, file_name, file_size, mime_type, upload_service, chat_id, uploaded_at });
    } else {
      rows.push({ hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, chat_id, uploaded_at });
    }
  }
}

/** @type {Builder} */
function buildErrors(text, codes, blobs, rows) {
  let at = 1;
  let start = 0;
  let code = 0;
  let session_id = '';
  let file_path = '';
  let error_type = '';
  let error_message = '';
  let timestamp = '';
  for (let left = codes[0]; left > 0; left -= 1) {
    code = codes[at++];
    const id = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    if (code >= 0) {
      session_id = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      file_path = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      error_type = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      error_message = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    const retry_count = code <= SMALL ? SMALL - code : readWide(code, codes[at++], codes[at++], blobs);
    code = codes[at++];
    if (code >= 0) {
      timestamp = text.slice(start, code);
      start = code;
    }
    rows.push({ id, session_id, file_path, error_type, error_message, retry_count, timestamp });
  }
}

/** @type {Builder} */
function buildSettings(text, codes, _blobs, rows) {
  let at = 1;
  let start = 0;
  let code = 0;
  let key = '';
  let value = '';
  let updated_at = '';
  for (let left = codes[0]; left > 0; left -= 1) {
    code = codes[at++];
    if (code >= 0) {
      key = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      value = text.slice(start, code);
      start = code;
    }
    code = codes[at++];
    if (code >= 0) {
      updated_at = text.slice(start, code);
      start = code;
    }
    rows.push({ key, value, updated_at });
  }
}

module.exports = {
  NULL,
  SAME,
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
