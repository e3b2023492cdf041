// @ts-check
'use strict';

const { aborted, invalidArgument } = require('./error.js');
const { readFields } = require('./record.js');

/**
 * Owns reading the options that every asynchronous method takes last.
 */

const SIGNAL = ['signal'];

/**
 * Reads the signal of a call, now.
 *
 * @param {string} operation the public method
 * @param {import("../index").CallOptions | undefined | null} options
 * @returns {AbortSignal | undefined} one that is not aborted
 */
function readSignal(operation, options) {
  if (options === undefined || options === null) return undefined;
  const [signal] = readFields(operation, 'options', options, SIGNAL);
  return checkSignal(operation, signal);
}

/**
 * @param {string} operation
 * @param {unknown} signal
 * @returns {AbortSignal | undefined}
 */
function checkSignal(operation, signal) {
  if (signal === undefined || signal === null) return undefined;
  // Not by its class: one of another realm, or of a polyfill, will do.
  const given = /** @type {AbortSignal} */ (signal);
  const canListen = typeof given.addEventListener === 'function' && typeof given.removeEventListener === 'function';
  if (typeof given.aborted !== 'boolean' || !canListen) {
    throw invalidArgument(operation, 'options.signal', 'must be an AbortSignal');
  }
  if (given.aborted) throw aborted(operation, given.reason);
  return given;
}

module.exports = { checkSignal, readSignal };
