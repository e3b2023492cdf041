// @ts-check
'use strict';

/**
 * Owns which operations are measured, and in which order: those that open transactions are the
 * last of the manager's, since the first one of a process makes later promises slower.
 */

const GROUPS = /** @type {const} */ ({
  statement: 'Synchronous statements',
  manager: 'Asynchronous manager',
});

/** @type {import('./measurement.js').Operation<any, any>[]} */
const OPERATIONS = [
  require('./operation/is_file_uploaded.js'),
  require('./operation/get_file_hash.js'),
  require('./operation/find_uploaded.js'),
  require('./operation/find_file_hashes.js'),
  require('./operation/add_file_hash.js'),
  require('./operation/add_file_hash_at_once.js'),
  require('./operation/add_file_hashes.js'),
  require('./operation/update_session.js'),
  require('./operation/log_error.js'),
  require('./operation/statement_rows.js'),
  require('./operation/statement_get.js'),
  require('./operation/statement_insert.js'),
  require('./operation/mixed.js'),
  require('./operation/add_file_hash_bulk.js'),
].flat();

/** @param {string} [only] part of a name */
function chooseOperations(only = '') {
  const chosen = OPERATIONS.filter(({ name }) => name.toLowerCase().includes(only.toLowerCase()));
  if (chosen.length === 0) {
    const names = OPERATIONS.map(({ name }) => name).join('; ');
    throw new Error(`no operation's name contains ${only}; there are: ${names}`);
  }
  return chosen;
}

/** @param {string} name the whole of it */
function findOperation(name) {
  const operation = OPERATIONS.find((one) => one.name === name);
  if (!operation) throw new Error(`no operation's name is ${name}`);
  return operation;
}

module.exports = { GROUPS, chooseOperations, findOperation };
