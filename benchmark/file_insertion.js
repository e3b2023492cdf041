// @ts-check
'use strict';

const { NEW_FILES, FILES, fileRecord } = require('./dataset.js');
const { bothPeers, createTransaction, inTransaction, statement } = require('./statement.js');

/**
 * Owns what the operations that add files share: their records, how their calls are made, and the
 * peers' two ways of adding one.
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
 * Makes an operation of `addFileHash` calls from how the calls are made and waited for.
 *
 * @param {(files: FileRecord[], addFileHash: (file: FileRecord) => Promise<void>) => Promise<unknown>} run
 * @param {object} traits
 * @param {string} traits.name
 * @param {number} traits.count
 * @param {number} traits.quickCount
 * @param {string} traits.floor
 * @param {import('./measurement.js').Goal} [traits.goal]
 * @param {number} [traits.checkpointPages]
 * @param {(database: any, files: FileRecord[]) => number} fastest
 * @param {boolean} [isInTransaction] whether one transaction is around all calls
 * @returns {import('./measurement.js').Operation<FileRecord[]>}
 */
function createAddition(run, traits, fastest, isInTransaction = false) {
  return {
    ...traits,
    group: 'manager',
    added: [ADDED],
    prepare: newFiles,
    expected: (count) => count,
    async ours(manager, files) {
      const work = () => run(files, (file) => manager.addFileHash(file));
      await (isInTransaction ? manager.transaction(work) : work());
      return files.length;
    },
    ...bothPeers(async (/** @type {any} */ database, /** @type {FileRecord[]} */ files) => {
      const add = statement(database, 'addFileNamed');
      if (isInTransaction) database.exec('BEGIN IMMEDIATE');
      await run(files, async (file) => {
        // It takes the record, as a wrapper's method would.
        add.run(file);
      });
      if (isInTransaction) database.exec('COMMIT');
      return files.length;
    }, fastest),
  };
}

/**
 * Awaits one call after the other.
 *
 * @param {FileRecord[]} files
 * @param {(file: FileRecord) => Promise<void>} addFileHash
 */
async function addOneByOne(files, addFileHash) {
  for (const file of files) await addFileHash(file);
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

/**
 * Adds all by name in one transaction: what a wrapper's method for many would do.
 *
 * @param {any} database
 * @param {FileRecord[]} files
 */
function addAllNamed(database, files) {
  const add = statement(database, 'addFileNamed');
  createTransaction(database, () => {
    for (const file of files) add.run(file);
  })(undefined);
  return files.length;
}

module.exports = {
  ADDED,
  addAll,
  addAllInOneTransaction,
  addAllNamed,
  addFile,
  addOneByOne,
  createAddition,
  newFiles,
};
