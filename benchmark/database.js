// @ts-check
'use strict';

const { loadBetterSqlite3 } = require('./peer.js');

/**
 * Owns opening a file by each driver's synchronous API, and what makes the peers comparable: the
 * same pragmas, and parameters given in their manner. A driver is loaded when it is first opened,
 * so that a process holds only what it measures.
 *
 * @typedef {'ours' | 'betterSqlite3' | 'nodeSqlite'} DriverName
 */

/** @type {readonly DriverName[]} */
const DRIVERS = ['ours', 'betterSqlite3', 'nodeSqlite'];

/** @type {Record<DriverName, string>} */
const LABELS = { ours: 'ours', betterSqlite3: 'better-sqlite3', nodeSqlite: 'node:sqlite' };

/** The specification's default pragmas. */
const PRAGMAS = [
  'journal_mode = WAL',
  'foreign_keys = ON',
  'synchronous = NORMAL',
  'temp_store = MEMORY',
  'mmap_size = 268435456',
  'cache_size = -64000',
];

const TIMEOUT_MS = 5_000;

/**
 * @param {DriverName} driver
 * @param {string} file
 * @returns {any}
 */
function openDatabase(driver, file) {
  if (driver === 'ours') return require('..').createConnection({ path: file });
  const database = driver === 'betterSqlite3' ? openBetterSqlite3(file) : openNodeSqlite(file);
  for (const pragma of PRAGMAS) database.exec(`PRAGMA ${pragma}`);
  return database;
}

/** @param {string} file */
function openBetterSqlite3(file) {
  const Database = loadBetterSqlite3();
  return new Database(file, { timeout: TIMEOUT_MS });
}

/** @param {string} file */
function openNodeSqlite(file) {
  // @ts-expect-error the installed types are those of Node 20, which has no such module
  const { DatabaseSync } = require('node:sqlite');
  return new DatabaseSync(file, { timeout: TIMEOUT_MS });
}

/**
 * Puts positional parameters as the driver takes them: ours in one array, the peers one by one.
 *
 * @param {DriverName} driver
 * @param {readonly unknown[]} values
 * @returns {readonly unknown[]} the arguments of `get` or `all`
 */
function toArguments(driver, values) {
  return driver === 'ours' ? [values] : values;
}

module.exports = { DRIVERS, LABELS, openDatabase, toArguments };
