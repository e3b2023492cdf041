// @ts-check
'use strict';

const { onAbort } = require('./call_options.js');
const { aborted, isInterrupted } = require('./error.js');

/**
 * Owns what a call is while it waits for its turn, and what its signal may do to it.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 *
 * @typedef {object} Entry
 * @property {'read' | 'write' | 'transaction' | 'job' | 'upkeep'} kind a job has the writing side until its
 *   promise settles; so has upkeep, which changes nothing that a read could see
 * @property {string} operation the public method
 * @property {(ledger: Ledger) => any} run
 * @property {(() => void) | undefined} interrupt stops a job half-way; absent when nothing may
 * @property {number} queuedAt when the call was made; 0 for a read, which does not wait for the writers' lock
 * @property {(value: any) => void} resolve
 * @property {(error: unknown) => void} reject
 */

/**
 * Says whether reads made after a call must see what it did.
 *
 * @param {Entry} entry
 */
function isWrite(entry) {
  return entry.kind === 'write' || entry.kind === 'job';
}

/**
 * Says whether a call can share the commit of the writes before it. A read can: it sees them, and
 * its promise settles when they are committed.
 *
 * @param {Entry} entry
 */
function fitsSlice(entry) {
  return entry.kind === 'write' || entry.kind === 'read';
}

/**
 * Lets a signal reach a call for as long as it has not settled.
 *
 * @param {Entry} entry
 * @param {AbortSignal} signal
 * @param {(error: unknown) => void} abort
 */
function watchSignal(entry, signal, abort) {
  const { operation, resolve, reject } = entry;
  const stop = onAbort(signal, () => abort(aborted(operation, signal.reason)));
  entry.resolve = (value) => {
    stop();
    resolve(value);
  };
  entry.reject = (error) => {
    stop();
    reject(signal.aborted && isInterrupted(error) ? aborted(operation, signal.reason) : error);
  };
}

module.exports = { fitsSlice, isWrite, watchSignal };
