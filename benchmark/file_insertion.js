// @ts-check
'use strict';

const { NEW_FILES, FILES, fileRecord } = require('./dataset.js');
const { inTransaction, statement } = require('./statement.js');

/**
 * Owns what the operations that add files share: their records, and the peers' two ways of
 * adding one.
 *
 * @typedef {import('./dataset.js').FileRecord} FileRecord
 */

/** Where the rows of these operations are, to be counted and deleted after each round. */
const ADDED = { table: 'file_hashes', key: 'rowid', above: FILES };

/** @param {{ seed: number, count: number }} round */
function newFiles({ seed, count }) {
  return Array.from({ length: count }, (_, index) => fileRecord(seed, NEW_FILES + index));
}

/**
 * Makes the peer's `addFileHash`: it takes the record, as a wrapper's method would.
 *
 * @param {any} database
 */
function createAddFileHash(database) {
  const add = statement(database, 'addFileNamed');
  return async (/** @type {FileRecord} */ file) => {
    add.run(file);
  };
}

/**
 * Adds one with positional parameters, which is the faster way.
 *
 * @param {any} add
 * @param {FileRecord} file
 */
function addFile(add, file) {
  add.run(
    file.hash,
    file.file_path,
    file.file_name,
    file.file_size,
    file.mime_type,
    file.upload_service,
    file.upload_id,
    file.chat_id,
    file.uploaded_at,
  );
}

/**
 * Adds all without promises.
 *
 * @param {any} database
 * @param {FileRecord[]} files
 */
function addAll(database, files) {
  const add = statement(database, 'addFile');
  for (const file of files) addFile(add, file);
  return files.length;
}

/**
 * @param {any} database
 * @param {FileRecord[]} files
 */
function addAllInOneTransaction(database, files) {
  return inTransaction(database, 'BEGIN IMMEDIATE', () => addAll(database, files));
}

module.exports = { ADDED, addAll, addFile, addAllInOneTransaction, createAddFileHash, newFiles };
