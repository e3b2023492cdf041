// @ts-check
'use strict';

const { DatabaseError, createConnection } = require('../../index.js');

/**
 * Owns the claim on a ledger: one run at a time works on it, or two would count the same files.
 *
 * The claim is a lock on a file beside the ledger. The system takes it back when a process ends,
 * by `kill -9` too, so it never outlives its run.
 */

/** The shortest that a connection can be told to wait. */
const WAIT_MS = 1000;

/**
 * @param {string} database
 * @returns {() => void} gives the claim up
 */
function claimLedger(database) {
  try {
    const lock = createConnection({ path: `${database}.lock`, enableWAL: false, timeout: WAIT_MS });
    lock.run('BEGIN EXCLUSIVE');
    return () => lock.close();
  } catch (error) {
    if (error instanceof DatabaseError && error.retryable) throw new ClaimError(database, error);
    throw error;
  }
}

/** Another run has the ledger. */
class ClaimError extends Error {
  /**
   * @param {string} database
   * @param {unknown} cause
   */
  constructor(database, cause) {
    super(`Another run is working with the ledger ${database}; wait for its end, or stop it`, { cause });
    this.name = 'ClaimError';
  }
}

module.exports = { ClaimError, claimLedger };
