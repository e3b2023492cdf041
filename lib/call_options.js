// @ts-check
'use strict';

const { aborted, invalidArgument, kindOf } = require('./error.js');
const { readFields } = require('./record.js');

/**
 * Owns the options that every asynchronous method takes last: reading them, and hearing the signal.
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

/**
 * Reads a switch that is off unless it is given.
 *
 * @param {string} operation
 * @param {string} name
 * @param {unknown} value
 */
function readFlag(operation, name, value) {
  if (value === undefined || value === null) return false;
  if (typeof value === 'boolean') return value;
  throw invalidArgument(operation, name, `must be a boolean, not ${kindOf(value)}`);
}

/**
 * Reads a time that may be left out.
 *
 * @param {string} operation
 * @param {string} name
 * @param {unknown} value
 * @returns {number | undefined}
 */
function readMilliseconds(operation, name, value) {
  if (value === undefined || value === null) return undefined;
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
  throw invalidArgument(operation, name, 'must be a whole number of milliseconds, 0 or more');
}

/**
 * What is to happen when a signal is aborted: one listener for all calls that have it, since Node
 * takes more than ten for a leak.
 *
 * @type {WeakMap<AbortSignal, { reactions: Set<() => void>, listener: () => void }>}
 */
const watched = new WeakMap();

/**
 * Reacts once to a signal: at once when it is aborted already.
 *
 * @param {AbortSignal | undefined} signal
 * @param {() => void} react
 * @returns {() => void} stops listening
 */
function onAbort(signal, react) {
  if (!signal) return () => {};
  if (signal.aborted) {
    react();
    return () => {};
  }
  let watch = watched.get(signal);
  if (!watch) {
    /** @type {Set<() => void>} */
    const reactions = new Set();
    const listener = () => {
      watched.delete(signal);
      for (const reaction of reactions) reaction();
    };
    watch = { reactions, listener };
    // First: a polyfill's that throws must not leave behind a watch that hears nothing.
    signal.addEventListener('abort', listener, { once: true });
    watched.set(signal, watch);
  }
  const { reactions, listener } = watch;
  reactions.add(react);
  return () => {
    reactions.delete(react);
    if (reactions.size > 0 || watched.get(signal)?.reactions !== reactions) return;
    watched.delete(signal);
    try {
      signal.removeEventListener('abort', listener);
    } catch {
      // A polyfill's that throws: the call has ended, and its outcome is to be told all the same.
    }
  };
}

module.exports = { checkSignal, onAbort, readFlag, readMilliseconds, readSignal };
