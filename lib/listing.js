// @ts-check
'use strict';

const { checkSignal } = require('./call_options.js');
const { invalidArgument } = require('./error.js');
const { readFields } = require('./record.js');
const { decodeRows } = require('./rows.js');

/**
 * Owns what takes many records out of the ledger without keeping the loop: short lists at once,
 * long ones read on another thread and built in slices, iterators page by page.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('../binding.js').PackedList} PackedList
 * @typedef {import('./ledger.js').Cursor} Cursor
 * @typedef {import('./rows.js').Builder} Builder
 */

/** A list of at most so many records is read and built at once: about a millisecond. */
const SHORT_LIST = 1000;

/** An iterator's page: little enough to be quick, enough that its own cost is nothing. */
const PAGE_RECORDS = 500;

/**
 * Builds the records of a list that was read on another thread, in as many turns as it takes.
 *
 * @template T
 * @param {PackedList} packed
 * @param {Builder} build
 * @param {() => Promise<void> | undefined} pause
 * @param {() => void} checkSignal throws when the list is not wanted any more
 * @returns {Promise<T[]>}
 */
async function buildList(packed, build, pause, checkSignal) {
  checkSignal();
  /** @type {T[]} */
  const records = [];
  for (let chunk = packed.take(); chunk !== undefined; chunk = packed.take()) {
    decodeRows(chunk, build, records);
    const paused = pause();
    if (!paused) continue;
    await paused;
    checkSignal();
  }
  return records;
}

/**
 * Reads all pages of a list.
 *
 * @template T
 * @param {(cursor: Cursor | undefined) => Promise<import('./ledger.js').Page<T>>} readPage
 */
async function collectPages(readPage) {
  /** @type {T[]} */
  const records = [];
  /** @type {Cursor | undefined} */
  let cursor;
  do {
    const page = await readPage(cursor);
    for (const record of page.records) records.push(record);
    cursor = page.next;
  } while (cursor);
  return records;
}

/**
 * Iterates over a list. Each page is a read of its own, so nothing is held between them: what is
 * written meanwhile behind the present record is met, what is deleted is not.
 *
 * @template T
 * @param {(cursor: Cursor | undefined, limit: number) => Promise<import('./ledger.js').Page<T>>} readPage
 * @param {string | number | undefined} after
 * @param {number} limit how many records in all
 * @returns {AsyncGenerator<T, void, undefined>}
 */
async function* iteratePages(readPage, after, limit) {
  /** @type {Cursor | undefined} */
  let cursor = after === undefined || after === null ? undefined : { after };
  let left = limit;
  while (left > 0) {
    const page = await readPage(cursor, Math.min(left, PAGE_RECORDS));
    left -= page.records.length;
    yield* page.records;
    cursor = page.next;
    if (cursor === undefined) return;
  }
}

/**
 * Reads an iterator's options: `filter`, `after`, `limit`, `signal`.
 *
 * @param {string} operation the public method
 * @param {string} filter the name of the option that narrows the list
 * @param {unknown} options
 */
function readIteration(operation, filter, options) {
  const [only, after, limit, signal] = readFields(operation, 'options', options ?? {}, [
    filter,
    'after',
    'limit',
    'signal',
  ]);
  if (limit !== undefined && limit !== null && !(Number.isSafeInteger(limit) && Number(limit) >= 0)) {
    throw invalidArgument(operation, 'limit', 'must be a whole number, 0 or more');
  }
  return {
    only,
    after: /** @type {string | number | undefined} */ (after),
    limit: limit === undefined || limit === null ? Number.POSITIVE_INFINITY : Number(limit),
    signal: checkSignal(operation, signal),
  };
}

module.exports = { SHORT_LIST, buildList, collectPages, iteratePages, readIteration };
