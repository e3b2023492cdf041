// @ts-check
'use strict';

/**
 * Owns the peers' SQL and their prepared statements: each is prepared once per connection, as
 * their own documentation advises. The SQL is what our package runs.
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
  fileExistsBare: 'SELECT 1 FROM file_hashes WHERE hash = ?',
  getFile: `SELECT ${FILE_COLUMNS.join(', ')} FROM file_hashes WHERE hash = ?`,
  findFiles: `SELECT ${FILE_COLUMNS.join(', ')} FROM file_hashes WHERE chat_id = ? ORDER BY rowid`,
  addFile: `INSERT INTO file_hashes (${FILE_COLUMNS.join(', ')}) VALUES (${FILE_COLUMNS.map(() => '?').join(', ')})`,
  addFileNamed: `INSERT INTO file_hashes (${FILE_COLUMNS.join(', ')})
    VALUES (${FILE_COLUMNS.map((column) => `@${column}`).join(', ')})`,
  updateSession: `UPDATE upload_sessions SET last_update = ?, processed_files = ?, success_count = ?,
    last_processed_file = ? WHERE id = ?`,
  updateSessionNamed: `UPDATE upload_sessions SET last_update = @last_update, processed_files = @processed_files,
    success_count = @success_count, last_processed_file = @last_processed_file WHERE id = @id`,
  logError: `INSERT INTO upload_errors (session_id, file_path, error_type, error_message, retry_count, timestamp)
    VALUES (?, ?, ?, ?, ?, ?)`,
  logErrorNamed: `INSERT INTO upload_errors (session_id, file_path, error_type, error_message, retry_count, timestamp)
    VALUES (@session_id, @file_path, @error_type, @error_message, @retry_count, @timestamp)`,
};

/** @type {WeakMap<object, Map<keyof typeof SQL, any>>} */
const statementsOf = new WeakMap();

/**
 * @param {any} database
 * @param {keyof typeof SQL} name
 */
function statement(database, name) {
  let statements = statementsOf.get(database);
  if (!statements) {
    statements = new Map();
    statementsOf.set(database, statements);
  }
  let found = statements.get(name);
  if (!found) {
    found = database.prepare(SQL[name]);
    if (name === 'fileExistsBare') returnNoObjects(found);
    statements.set(name, found);
  }
  return found;
}

/**
 * Lets a row come as its one value or as an array, whichever the peer has: cheaper than an object.
 *
 * @param {any} prepared
 */
function returnNoObjects(prepared) {
  if (prepared.pluck) prepared.pluck();
  else prepared.setReturnArrays(true);
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

module.exports = { inTransaction, statement };
