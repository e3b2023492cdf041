// @ts-check
'use strict';

const { isWrite } = require('./entry.js');

/**
 * Owns the calls that wait for their turn, in the order in which they were made, and the count of
 * writes that have not ended, waiting or running: reads made after them wait for them.
 *
 * @typedef {import('./entry.js').Entry} Entry
 */

class CallQueue {
  /** @type {Entry[]} */
  #waiting = [];
  #pendingWrites = 0;

  get length() {
    return this.#waiting.length;
  }

  get pendingWrites() {
    return this.#pendingWrites;
  }

  /** Whether anything waits for the writing side. */
  get hasWriters() {
    return this.#waiting.some((entry) => entry.kind !== 'read');
  }

  /** Whether a read waits before every write: it may pass what waits for the writing side. */
  get hasFreeRead() {
    const first = this.#waiting.find((entry) => entry.kind === 'read' || isWrite(entry));
    return first?.kind === 'read';
  }

  /** @param {Entry} entry */
  push(entry) {
    if (isWrite(entry)) this.#pendingWrites += 1;
    this.#waiting.push(entry);
  }

  /** Puts a call back to where it came from. @param {Entry} entry */
  unshift(entry) {
    this.#waiting.unshift(entry);
  }

  /** Takes all waiting calls; those that must wait on are put back by {@link restore}. */
  take() {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  /** @param {Entry[]} entries in their order */
  restore(entries) {
    this.#waiting = this.#waiting.length > 0 ? entries.concat(this.#waiting) : entries;
  }

  /** @param {Entry} entry */
  includes(entry) {
    return this.#waiting.includes(entry);
  }

  /**
   * Notes that a call has ended, however it did.
   *
   * @param {Entry} entry
   */
  end(entry) {
    if (isWrite(entry)) this.#pendingWrites -= 1;
  }

  /**
   * Rejects a call, which may wait no longer.
   *
   * @param {Entry} entry
   * @param {unknown} error
   */
  giveUp(entry, error) {
    const index = this.#waiting.indexOf(entry);
    if (index >= 0) this.#waiting.splice(index, 1);
    this.end(entry);
    entry.reject(error);
  }

  /**
   * Rejects waiting calls.
   *
   * @param {(entry: Entry) => unknown} reason
   * @param {(entry: Entry) => boolean} [which] all unless told
   */
  rejectWaiting(reason, which = () => true) {
    for (const entry of this.take()) {
      if (which(entry)) this.giveUp(entry, reason(entry));
      else this.#waiting.push(entry);
    }
  }
}

module.exports = { CallQueue };
