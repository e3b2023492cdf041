// @ts-check
'use strict';

/**
 * Owns the class of every error that this package makes.
 *
 * Codes, retryability and wording of what SQLite or the ledger refuses come from Rust; the few
 * errors made here are about what only the event loop's side knows: queues and transactions.
 */

/** SQLite's primary result codes that decide what happens to a call. */
const SQLITE_INTERRUPT = 9;
const SQLITE_IOERR = 10;
const SQLITE_READONLY = 8;

/** @typedef {{ code: string, operation: string, retryable?: boolean, errno?: number, cause?: unknown }} ErrorDetails */

/** An error of this package. */
class DatabaseError extends Error {
  /**
   * @param {string} message what was attempted, what is wrong and what to do
   * @param {ErrorDetails} details
   */
  constructor(message, details) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'DatabaseError';
    this.code = details.code;
    this.operation = details.operation;
    this.retryable = details.retryable === true;
    if (details.errno !== undefined) {
      this.errno = details.errno;
    }
  }
}

/**
 * @param {string} operation the public method
 * @param {string} field
 * @param {string} problem
 */
function invalidArgument(operation, field, problem) {
  return new DatabaseError(`${operation}: ${field} ${problem}`, { code: 'DB_INVALID_ARGUMENT', operation });
}

/**
 * @param {string} operation
 * @param {unknown} [cause] why the last attempt to connect failed
 */
function notConnected(operation, cause) {
  const details = { code: 'DB_NOT_CONNECTED', operation };
  return new DatabaseError(
    `${operation}: the manager is not connected; call connect() first`,
    cause === undefined ? details : { ...details, cause },
  );
}

/** @param {string} operation */
function inUse(operation) {
  return new DatabaseError(
    `${operation}: this manager has the file open, and nothing was changed; disconnect() first, and stop the other processes that use it`,
    { code: 'DB_IN_USE', operation },
  );
}

/**
 * @param {string} operation
 * @param {number} ageMs how long the transaction in the way has been open
 */
function behindTransaction(operation, ageMs) {
  return new DatabaseError(
    `${operation}: gave up waiting behind a transaction that has been open for ${Math.round(ageMs)} ms; ` +
      'keep slow work such as uploads out of transactions, or try again later',
    { code: 'DB_BUSY', operation, retryable: true },
  );
}

/**
 * @param {string} operation
 * @param {unknown} reason what the signal was aborted with
 */
function aborted(operation, reason) {
  return new DatabaseError(`${operation}: aborted by its signal, as the cause says`, {
    code: 'DB_ABORTED',
    operation,
    cause: reason,
  });
}

/**
 * @param {string} operation
 * @param {unknown} error the lock that was met last
 */
function locked(operation, error) {
  const { code, errno } = /** @type {DatabaseError} */ (error);
  return new DatabaseError(
    `${operation}: database is locked; another connection held the lock for the whole timeout, try again`,
    { code, errno, operation, retryable: true },
  );
}

/** @param {string} operation */
function transactionFinished(operation) {
  return new DatabaseError(
    `${operation}: called from a transaction that is over already; ` +
      'await every call inside a transaction before its function returns',
    { code: 'DB_TRANSACTION_FINISHED', operation },
  );
}

/**
 * @param {string} operation
 * @param {unknown} cause what ended it
 */
function transactionAborted(operation, cause) {
  return new DatabaseError(
    `${operation}: the transaction was rolled back before it could be committed; nothing of it was kept. See the cause`,
    { code: 'DB_TRANSACTION_ABORTED', operation, cause },
  );
}

/**
 * @param {string} operation
 * @param {string} problem
 */
function transactionState(operation, problem) {
  return new DatabaseError(`${operation}: ${problem}`, { code: 'DB_TRANSACTION_STATE', operation });
}

/**
 * Says whether a lock of another connection was met.
 *
 * @param {unknown} error
 */
function isLocked(error) {
  return error instanceof DatabaseError && error.retryable && error.errno !== undefined;
}

/**
 * Says whether the disk or the file system failed underneath a handle. SQLite opens what it may not open for
 * writing for reading alone, and leaves it so: a handle that cannot write is one that failed, unless it is not to.
 *
 * @param {unknown} error
 * @param {boolean} isReadonly
 */
function isIoFailure(error, isReadonly) {
  if (!(error instanceof DatabaseError) || error.errno === undefined) return false;
  const code = error.errno & 0xff;
  return code === SQLITE_IOERR || (code === SQLITE_READONLY && !isReadonly);
}

/**
 * Says whether work was stopped half-way on request.
 *
 * @param {unknown} error
 */
function isInterrupted(error) {
  return error instanceof DatabaseError && error.errno === SQLITE_INTERRUPT;
}

/**
 * Names the kind of a value for people, never the value.
 *
 * @param {unknown} value
 */
function kindOf(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  const kind = typeof value;
  return kind === 'object' ? 'an object' : `a ${kind}`;
}

module.exports = {
  DatabaseError,
  aborted,
  behindTransaction,
  inUse,
  invalidArgument,
  isInterrupted,
  isIoFailure,
  isLocked,
  kindOf,
  locked,
  notConnected,
  transactionAborted,
  transactionFinished,
  transactionState,
};
