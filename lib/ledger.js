// @ts-check
'use strict';

const { buildErrors, buildFileHashes, buildSessions, buildSettings, decodeFirst, decodeRows } = require('./rows.js');

/**
 * Owns the records' way between the addon's ledger and its callers: what crosses packed is decoded
 * here, before anything else can call the addon.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('./rows.js').Packed} Packed
 * @typedef {import('./rows.js').Builder} Builder
 * @typedef {import('./batch.js').ChunkOutcome} ChunkOutcome
 * @typedef {import('./packer.js').PackedValues} PackedValues
 * @typedef {InstanceType<typeof import('./batch.js').HashLookup>} HashLookup
 *
 * @typedef {Packed | Packed[] | null} PackedList in chunks; `null` when it is longer than asked for
 * @typedef {[rows: Packed, rowid?: string, sort?: string]} PackedPage with the place of its end
 *
 * @typedef {object} Cursor where a page begins: `place` is for a page to give, and the addon to read
 * @property {string | number | undefined} after the hash or id of the record before
 * @property {[rowid: string, sort: string] | undefined} [place]
 */

/**
 * @template T
 * @typedef {object} Page
 * @property {T[]} records
 * @property {Cursor | undefined} next absent once the list has ended
 */

/**
 * The addon's functions (`src/node/ledger/function.rs`).
 *
 * @typedef {object} LedgerFunctions
 * @property {(hash: unknown) => boolean} isFileUploaded
 * @property {(hash: unknown) => Packed | undefined} getFileHash
 * @property {(chatId: unknown, limit?: number) => PackedList} findFileHashes
 * @property {(hash: unknown, filePath: unknown, fileName: unknown, fileSize: unknown,
 *   mimeType: unknown, uploadService: unknown, uploadId: unknown, chatId: unknown,
 *   uploadedAt: unknown, onConflict: unknown) => void} addFileHash
 * @property {(id: unknown) => Packed | undefined} getSession
 * @property {(status: unknown, limit?: number) => PackedList} listSessions
 * @property {(sessionId: unknown, limit?: number) => PackedList} getErrors
 * @property {(sessionId: unknown, filePath: unknown, errorType: unknown, errorMessage: unknown,
 *   retryCount: unknown) => number} logError
 * @property {(limit?: number) => PackedList} listConfig
 * @property {PageFunction} fileHashPage
 * @property {PageFunction} sessionPage
 * @property {PageFunction} errorPage
 * @property {(pieces: (string | Int32Array)[]) => string} findUploaded
 * @property {(text: string, codes: Int32Array, blobs: Uint8Array | undefined,
 *   onConflict: unknown) => ChunkOutcome} addFileHashes
 * @property {(...packed: PackedValues) => ChunkOutcome} logErrors
 * @property {(...packed: PackedValues) => ChunkOutcome} updateSessions
 */

/**
 * @typedef {(filter: unknown, after: unknown, rowid: string | undefined, sort: string | undefined,
 *   limit: number | undefined) => PackedPage} PageFunction
 */

/**
 * Makes a ledger's calls on records out of the addon's functions.
 *
 * @param {LedgerFunctions} functions
 */
function makeRecordCalls(functions) {
  return {
    isFileUploaded: functions.isFileUploaded,

    addFileHash: functions.addFileHash,

    logError: functions.logError,

    /** @param {unknown} hash @returns {import('../index').FileHash | undefined} */
    getFileHash(hash) {
      const packed = functions.getFileHash(hash);
      return packed === undefined ? undefined : decodeFirst(packed, buildFileHashes);
    },

    /** @param {unknown} id @returns {import('../index').UploadSession | undefined} */
    getSession(id) {
      const packed = functions.getSession(id);
      return packed === undefined ? undefined : decodeFirst(packed, buildSessions);
    },

    /** @param {unknown} chatId @returns {import('../index').FileHash[]} */
    findFileHashes(chatId) {
      return decodeList(functions.findFileHashes(chatId), buildFileHashes);
    },

    /** @param {unknown} [status] @returns {import('../index').UploadSession[]} */
    listSessions(status) {
      return decodeList(functions.listSessions(status), buildSessions);
    },

    /** @param {unknown} sessionId @returns {import('../index').UploadError[]} */
    getErrors(sessionId) {
      return decodeList(functions.getErrors(sessionId), buildErrors);
    },

    /** @returns {import('../index').ConfigRecord[]} */
    listConfig() {
      return decodeList(functions.listConfig(), buildSettings);
    },

    /**
     * As the lists, but for one that is longer than `limit`: that is `undefined`, and nothing of it
     * was built.
     */
    upTo: {
      /** @param {number} limit @param {unknown} chatId @returns {import('../index').FileHash[] | undefined} */
      findFileHashes(limit, chatId) {
        return decodeShortList(functions.findFileHashes(chatId, limit), buildFileHashes);
      },

      /** @param {number} limit @param {unknown} [status] @returns {import('../index').UploadSession[] | undefined} */
      listSessions(limit, status) {
        return decodeShortList(functions.listSessions(status, limit), buildSessions);
      },

      /** @param {number} limit @param {unknown} sessionId @returns {import('../index').UploadError[] | undefined} */
      getErrors(limit, sessionId) {
        return decodeShortList(functions.getErrors(sessionId, limit), buildErrors);
      },
    },

    /**
     * @param {unknown} chatId
     * @param {Cursor | undefined} cursor
     * @param {number} [limit]
     * @returns {Page<import('../index').FileHash>}
     */
    fileHashPage(chatId, cursor, limit) {
      return decodePage(callPage(functions.fileHashPage, chatId, cursor, limit), buildFileHashes, hashOf);
    },

    /**
     * @param {unknown} status
     * @param {Cursor | undefined} cursor
     * @param {number} [limit]
     * @returns {Page<import('../index').UploadSession>}
     */
    sessionPage(status, cursor, limit) {
      return decodePage(callPage(functions.sessionPage, status, cursor, limit), buildSessions, idOf);
    },

    /**
     * @param {unknown} sessionId
     * @param {Cursor | undefined} cursor
     * @param {number} [limit]
     * @returns {Page<import('../index').UploadError>}
     */
    errorPage(sessionId, cursor, limit) {
      return decodePage(callPage(functions.errorPage, sessionId, cursor, limit), buildErrors, idOf);
    },

    /** Looks up the next chunk of hashes. @param {HashLookup} lookup */
    findNext(lookup) {
      lookup.findNext(functions.findUploaded);
    },

    /**
     * Writes the next chunk of a batch of files; the caller begins and ends the transaction.
     *
     * @param {ReturnType<typeof import('./batch.js').packFileHashes>} batch
     * @param {unknown} onConflict
     */
    addNextFileHashes(batch, onConflict) {
      batch.writeNext((text, codes, blobs) => functions.addFileHashes(text, codes, blobs, onConflict));
    },

    /** As `addNextFileHashes`. @param {ReturnType<typeof import('./batch.js').packErrors>} batch */
    logNextErrors(batch) {
      batch.writeNext(functions.logErrors);
    },

    /** As `addNextFileHashes`. @param {ReturnType<typeof import('./batch.js').packSessionUpdates>} batch */
    updateNextSessions(batch) {
      batch.writeNext(functions.updateSessions);
    },
  };
}

/** @typedef {ReturnType<typeof makeRecordCalls>} RecordCalls */

/**
 * @template T
 * @param {PackedList} packed
 * @param {Builder} build
 * @returns {T[]}
 */
function decodeList(packed, build) {
  return decodeShortList(packed, build) ?? [];
}

/**
 * @template T
 * @param {PackedList} packed
 * @param {Builder} build
 * @returns {T[] | undefined}
 */
function decodeShortList(packed, build) {
  if (packed === null) return undefined;
  if (!isChunkList(packed)) return decodeRows(packed, build);
  /** @type {T[]} */
  const rows = [];
  for (const chunk of packed) decodeRows(chunk, build, rows);
  return rows;
}

/**
 * Tells chunks from a chunk, whose first part is its text.
 *
 * @param {Packed | Packed[]} packed
 * @returns {packed is Packed[]}
 */
function isChunkList(packed) {
  return typeof packed !== 'string' && typeof packed[0] !== 'string';
}

/**
 * @param {PageFunction} page
 * @param {unknown} filter
 * @param {Cursor | undefined} cursor
 * @param {number | undefined} limit
 */
function callPage(page, filter, cursor, limit) {
  return page(filter, cursor?.after, cursor?.place?.[0], cursor?.place?.[1], limit);
}

/**
 * @template T
 * @param {PackedPage} page
 * @param {Builder} build
 * @param {(record: T) => string | number} keyOf
 * @returns {Page<T>}
 */
function decodePage([packed, rowid, sort], build, keyOf) {
  /** @type {T[]} */
  const records = decodeRows(packed, build);
  const last = records[records.length - 1];
  if (rowid === undefined || last === undefined) return { records, next: undefined };
  return { records, next: { after: keyOf(last), place: [rowid, sort ?? ''] } };
}

/** @param {import('../index').FileHash} record */
const hashOf = (record) => record.hash;

/** @template {string | number} K @param {{ id: K }} record */
const idOf = (record) => record.id;

/**
 * Gives a ledger of the addon's its calls on records.
 *
 * @param {Ledger} ledger
 * @returns {Ledger}
 */
function withRecordCalls(ledger) {
  const functions = /** @type {LedgerFunctions} */ (ledger.functions());
  return Object.assign(ledger, makeRecordCalls(functions));
}

module.exports = { withRecordCalls };
