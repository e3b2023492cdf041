// @ts-check
'use strict';

const { invalidArgument } = require('./error.js');

/** Owns writing a setting as JSON without losing or changing anything silently. */

/**
 * @param {string} operation the public method
 * @param {unknown} value
 * @returns {string}
 */
function toJson(operation, value) {
  /** @param {string} problem */
  const refuse = (problem) => invalidArgument(operation, 'value', `cannot be stored as JSON: ${problem}`);
  /** @type {object[]} the objects around the one that is being written */
  const ancestors = [];
  /**
   * @this {object} the object that holds `item`
   * @param {string} _key
   * @param {unknown} given
   */
  function check(_key, given) {
    const item = unbox(given);
    if (Array.isArray(this) && (item === undefined || typeof item === 'function' || typeof item === 'symbol')) {
      throw refuse('an array in it holds undefined, a function or a symbol, which JSON would turn into null');
    }
    if (typeof item === 'number' && !Number.isFinite(item)) {
      throw refuse('it holds NaN or an infinity, which JSON would turn into null');
    }
    if (typeof item === 'bigint') {
      throw refuse('it holds a bigint; give a number or a string');
    }
    if (typeof item === 'object' && item !== null) {
      while (ancestors.length > 0 && ancestors.at(-1) !== this) ancestors.pop();
      if (ancestors.includes(item)) {
        throw refuse('it refers to itself');
      }
      if (ancestors.length > MAX_DEPTH) {
        throw refuse(`it is nested more than ${MAX_DEPTH} deep`);
      }
      ancestors.push(item);
    }
    return item;
  }
  const json = JSON.stringify(value, check);
  if (json === undefined) {
    throw refuse('it is undefined, a function or a symbol; use deleteConfig() to remove a setting');
  }
  return json;
}

/**
 * Takes a primitive out of its object: JSON writes the primitive, checked or not.
 *
 * @param {unknown} item
 */
function unbox(item) {
  const isBox = item instanceof Number || item instanceof BigInt || item instanceof String || item instanceof Boolean;
  return isBox ? item.valueOf() : item;
}

/** Rust reads JSON back to this depth. */
const MAX_DEPTH = 126;

module.exports = { toJson };
