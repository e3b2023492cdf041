// @ts-check
'use strict';

const { copyFileSync, mkdirSync, mkdtempSync, rmSync } = require('node:fs');
const path = require('node:path');
const { DatabaseManager, createConnection } = require('..');
const dataset = require('./dataset.js');

/** Owns a run's folder: the original file, made from the seed, and its copies. */

/** On the checkout's own disk, not in a temporary folder that may be memory. */
const RESULTS = path.join(__dirname, 'results');

/**
 * Gives `work` a folder with the original in it, and removes it afterwards.
 *
 * @template T
 * @param {number} seed
 * @param {(original: string) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withOriginal(seed, work) {
  mkdirSync(RESULTS, { recursive: true });
  const folder = mkdtempSync(path.join(RESULTS, 'data-'));
  try {
    const original = path.join(folder, 'original.db');
    await createOriginal(original, seed);
    return await work(original);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} file
 * @param {number} seed
 */
async function createOriginal(file, seed) {
  const manager = new DatabaseManager({ path: file });
  await manager.connect();
  await manager.initializeSchema();
  await manager.disconnect();
  changeFile(file, (connection) => dataset.fill(connection, seed));
}

/**
 * Changes a file that nobody has open, and leaves all in the one file: a copy of it is complete.
 *
 * @param {string} file
 * @param {(connection: import('../index').SqliteConnection) => void} change
 */
function changeFile(file, change) {
  const connection = createConnection({ path: file });
  change(connection);
  connection.getDatabase().pragma('wal_checkpoint(TRUNCATE)');
  connection.close();
}

/**
 * Copies the original. Nobody has it open, and nobody has the copy open yet: closing a descriptor
 * of an open database would drop SQLite's locks.
 *
 * @param {string} original
 * @param {string} name
 */
function copy(original, name) {
  const file = path.join(path.dirname(original), `${name}.db`);
  copyFileSync(original, file);
  return file;
}

module.exports = { changeFile, copy, withOriginal };
