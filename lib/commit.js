// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');
const { aborted, isLocked, locked } = require('./error.js');
const { fitsSlice } = require('./entry.js');
const { pauseAfter } = require('./lock_wait.js');

/**
 * Owns what shares one commit, or one sync: neighbours in the queue, the steps of a batch, a transaction's calls.
 * It says how that ended; whose turn is next, and who is told, is the turn's business.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 * @typedef {import('./entry.js').Entry} Entry
 *
 * @typedef {object} Slice
 * @property {Entry[]} done calls that ran
 * @property {unknown[]} values what they gave
 * @property {{ entry: Entry, error: unknown }[]} failed calls whose statement failed, which undid itself alone
 * @property {unknown} [lostTo] why nothing of `done` was kept
 */

/** So many calls share a commit at most. */
const SLICE_CALLS = 64;

/**
 * Runs neighbours in one transaction, from `start` on, as long as there is time. Throws, with
 * nothing kept, when a lock is in the way: of its beginning, or, without a log, of its commit.
 *
 * @param {Entry[]} queue
 * @param {number} start
 * @param {Ledger} writer
 * @param {() => boolean} hasTime
 * @returns {Slice}
 */
function runSlice(queue, start, writer, hasTime) {
  writer.begin();
  /** @type {Slice} */
  const slice = { done: [], values: [], failed: [] };
  const { done, values, failed } = slice;
  let index = start;
  try {
    do {
      const entry = queue[index];
      index += 1;
      try {
        values.push(entry.run(writer));
        done.push(entry);
      } catch (error) {
        failed.push({ entry, error });
        // After some errors (a full disk, I/O) SQLite has undone what came before, too.
        if (!writer.inTransaction) throw error;
      }
    } while (index < queue.length && index - start < SLICE_CALLS && fitsSlice(queue[index]) && hasTime());
    writer.commit();
  } catch (error) {
    writer.rollBack();
    if (isLocked(error)) throw error;
    slice.lostTo = error;
  }
  return slice;
}

/**
 * @template T
 * @typedef {object} Steps work that is done a piece at a time
 * @property {boolean} isDone
 * @property {(ledger: Ledger) => void} next
 * @property {() => T} finish says what came of it
 */

/**
 * Runs steps in the open transaction, in as many turns of the loop as they need, and commits.
 *
 * @template T
 * @param {Ledger} writer
 * @param {string} operation
 * @param {Steps<T>} steps
 * @param {{
 *   pause: () => Promise<void> | undefined,
 *   acknowledge: () => Promise<void> | undefined,
 *   fail: (error: unknown) => void,
 *   signal: AbortSignal | undefined,
 *   timeoutMs: number,
 * }} options `acknowledge` says what the commit waits for; `fail` is told why there was none
 * @returns {Promise<T>}
 */
async function runSteps(writer, operation, steps, { pause, acknowledge, fail, signal, timeoutMs }) {
  try {
    while (!steps.isDone) {
      await pause();
      if (signal?.aborted) throw aborted(operation, signal.reason);
      steps.next(writer);
    }
    await commitTransaction(writer, timeoutMs);
  } catch (error) {
    writer.rollBack();
    fail(error);
    throw isLocked(error) ? locked(operation, error) : error;
  }
  await acknowledge();
  return steps.finish();
}

/**
 * Resolves calls whose commit is done, or rejects them when the disk refuses it.
 *
 * @param {Entry[]} entries
 * @param {unknown[]} values
 * @param {Promise<void> | undefined} synced what they wait for, if anything
 */
function settleSlice(entries, values, synced) {
  const resolve = () => {
    for (let index = 0; index < entries.length; index += 1) entries[index].resolve(values[index]);
  };
  if (!synced) {
    resolve();
    return;
  }
  synced.then(resolve, (error) => {
    for (const entry of entries) entry.reject(error);
  });
}

/**
 * Lets upkeep that was asked for together be served by the first one's work: nothing was written between.
 *
 * @param {Entry[]} queue
 * @param {number} start
 * @param {Promise<unknown>} work
 * @returns {number} how many calls it serves
 */
function joinUpkeep(queue, start, work) {
  let end = start;
  for (; queue[end]?.kind === 'upkeep'; end += 1) work.then(queue[end].resolve, queue[end].reject);
  return end - start;
}

/**
 * Commits the open transaction, or rolls it back.
 *
 * @param {Ledger} writer
 * @param {number} timeoutMs
 * @returns {Promise<void> | undefined} when it is committed, if that was not done at once: a long one is the log's
 *   thread's; and without a log, readers of other processes can be in the way for a while
 */
function commitTransaction(writer, timeoutMs) {
  if (writer.hasMuchToCommit) return commitAside(writer);
  try {
    writer.commit();
    return undefined;
  } catch (error) {
    if (isLocked(error)) return commitBehindLock(writer, performance.now() + timeoutMs);
    writer.rollBack();
    throw error;
  }
}

/** @param {Ledger} writer */
async function commitAside(writer) {
  try {
    await writer.commitAside();
  } catch (error) {
    writer.rollBack();
    throw error;
  }
}

/**
 * @param {Ledger} writer
 * @param {number} deadline
 */
async function commitBehindLock(writer, deadline) {
  for (let attempts = 0; ; attempts += 1) {
    await new Promise((resolve) => setTimeout(resolve, pauseAfter(attempts)));
    try {
      writer.commit();
      return;
    } catch (error) {
      if (!isLocked(error) || performance.now() >= deadline) {
        writer.rollBack();
        throw error;
      }
    }
  }
}

module.exports = { commitTransaction, joinUpkeep, runSlice, runSteps, settleSlice };
