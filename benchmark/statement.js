// @ts-check
'use strict';

/**
 * Owns the SQL of the benchmark and its prepared statements: each is prepared once per connection,
 * as the peers' own documentation advises. The SQL is what our package runs.
 */

const FILE_COLUMNS = [
  'hash',
  'file_path',
  'file_name',
  'file_size',
  'mime_type',
  'upload_service',
  'upload_id',
  'chat_id',
  'uploaded_at',
];

const SQL = {
  fileExists: 'SELECT 1 FROM file_hashes WHERE hash = ?',
  getFile: `SELECT ${FILE_COLUMNS.join(', ')} FROM file_hashes WHERE hash = ?`,
  getFileName: 'SELECT file_name FROM file_hashes WHERE hash = ?',
  findFiles: `SELECT ${FILE_COLUMNS.join(', ')} FROM file_hashes WHERE chat_id = ? ORDER BY rowid`,
  listFiles: `SELECT ${FILE_COLUMNS.join(', ')} FROM file_hashes WHERE rowid > ? ORDER BY rowid LIMIT ?`,
  addFile: `INSERT INTO file_hashes (${FILE_COLUMNS.join(', ')}) VALUES (${FILE_COLUMNS.map(() => '?').join(', ')})`,
  addFileNamed: `INSERT INTO file_hashes (${FILE_COLUMNS.join(', ')})
    VALUES (${FILE_COLUMNS.map((column) => `@${column}`).join(', ')})`,
  updateSession: `UPDATE upload_sessions SET last_update = ?, processed_files = ?, success_count = ?,
    last_processed_file = ? WHERE id = ?`,
  updateSessionNamed: `UPDATE upload_sessions SET last_update = @last_update, processed_files = @processed_files,
    success_count = @success_count, last_processed_file = @last_processed_file WHERE id = @id`,
  incrementSession: `UPDATE upload_sessions SET processed_files = coalesce(processed_files, 0) + ?,
    success_count = coalesce(success_count, 0) + ?, error_count = coalesce(error_count, 0) + ?, last_update = ?
    WHERE id = ?`,
  incrementSessionNamed: `UPDATE upload_sessions SET
    processed_files = coalesce(processed_files, 0) + @processed_files,
    success_count = coalesce(success_count, 0) + @success_count,
    error_count = coalesce(error_count, 0) + @error_count, last_update = @last_update WHERE id = @id`,
  logError: `INSERT INTO upload_errors (session_id, file_path, error_type, error_message, retry_count, timestamp)
    VALUES (?, ?, ?, ?, ?, ?)`,
  logErrorNamed: `INSERT INTO upload_errors (session_id, file_path, error_type, error_message, retry_count, timestamp)
    VALUES (@session_id, @file_path, @error_type, @error_message, @retry_count, @timestamp)`,
};

/** @typedef {'objects' | 'arrays'} RowForm how a statement gives its rows */

/** @type {WeakMap<object, Map<string, any>>} */
const statementsOf = new WeakMap();

/**
 * @param {any} database ours or a peer's
 * @param {keyof typeof SQL} name
 * @param {RowForm} [form] arrays are cheaper than objects with peers
 */
function statement(database, name, form = 'objects') {
  let statements = statementsOf.get(database);
  if (!statements) {
    statements = new Map();
    statementsOf.set(database, statements);
  }
  const key = `${name} ${form}`;
  let found = statements.get(key);
  if (!found) {
    found = database.prepare(SQL[name]);
    if (form === 'arrays') returnArrays(found);
    statements.set(key, found);
  }
  return found;
}

/** @param {any} prepared a peer's statement */
function returnArrays(prepared) {
  if (prepared.raw) prepared.raw();
  else prepared.setReturnArrays(true);
}

/**
 * Makes the record of a row that came as an array: with peers faster than asking for an object.
 *
 * @param {any[]} cells in the order of `FILE_COLUMNS`
 */
function toFile(cells) {
  return {
    hash: cells[0],
    file_path: cells[1],
    file_name: cells[2],
    file_size: cells[3],
    mime_type: cells[4],
    upload_service: cells[5],
    upload_id: cells[6],
    chat_id: cells[7],
    uploaded_at: cells[8],
  };
}

/**
 * Runs `work` in one explicit transaction.
 *
 * @template T
 * @param {any} database
 * @param {'BEGIN' | 'BEGIN IMMEDIATE'} begin
 * @param {() => T} work
 * @returns {T}
 */
function inTransaction(database, begin, work) {
  database.exec(begin);
  const value = work();
  database.exec('COMMIT');
  return value;
}

/**
 * Makes a function that runs `work` in a transaction: with better-sqlite3's own wrapper, or with
 * statements prepared once where there is none.
 *
 * @template Argument
 * @param {any} database
 * @param {(argument: Argument) => void} work
 * @returns {(argument: Argument) => void}
 */
function createTransaction(database, work) {
  if (database.transaction) return database.transaction(work).immediate;
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  return (argument) => {
    begin.run();
    work(argument);
    commit.run();
  };
}

/**
 * The peers' part of an operation that both do alike.
 *
 * @template Way, FastestWay
 * @param {Way} way with our promises and commits
 * @param {FastestWay} fastestWay
 */
function bothPeers(way, fastestWay) {
  return {
    betterSqlite3: way,
    nodeSqlite: way,
    betterSqlite3Fastest: fastestWay,
    nodeSqliteFastest: fastestWay,
  };
}

module.exports = { bothPeers, createTransaction, inTransaction, statement, toFile };
