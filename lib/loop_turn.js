// @ts-check
'use strict';

const { performance } = require('node:perf_hooks');

/**
 * Owns one thing that the loop's present turn has: a beginning. From it follow how long calls may
 * run before the loop goes on, and which reads see one snapshot.
 *
 * A chain of awaits on promises that are settled already never leaves the microtask queue: without
 * an end of our own making, timers and sockets would wait for all of it.
 *
 * @typedef {import('../binding.js').Ledger} Ledger
 */

/**
 * How long calls run before the loop goes on. One turn of the loop can have room for it twice: for
 * calls of its timers or sockets, and, behind them, for what had to wait.
 */
const TURN_MS = 3;

/** A transaction that is open may go on for so long: most end soon, and cost more when spread over two turns. */
const TRANSACTION_TURN_MS = 3.5;

/** So many calls go by between two looks at the clock, which costs as much as a tenth of a read, */
const UNTIMED_CALLS = 3;

/** while as many, with all that the caller did between them, took no longer than this. */
const QUICK_MS = 0.1;

class LoopTurn {
  /** Tells turns apart. */
  number = 0;
  /** When the present turn began, as far as we know; 0 before its first call. */
  #startedAt = 0;
  #lookedAt = 0;
  /** How many calls need no look at the clock. */
  #untimedCalls = 0;
  /** How many reads the turn has made since its last write. */
  #reads = 0;
  /** @type {Ledger | undefined} the handle that holds a snapshot until the turn ends */
  #holder;
  #holdsSnapshots;
  #onBegin;
  #onEnd;

  /**
   * @param {boolean} holdsSnapshots whether a snapshot spares locks: not in memory
   * @param {() => void} onBegin called before the first call of a turn
   * @param {() => void} onEnd called when the loop goes on
   */
  constructor(holdsSnapshots, onBegin, onEnd) {
    this.#holdsSnapshots = holdsSnapshots;
    this.#onBegin = onBegin;
    this.#onEnd = onEnd;
  }

  /** Says whether more may run in this turn; the first call of a turn begins it. */
  hasTime(limitMs = TURN_MS) {
    this.#lookedAt = performance.now();
    if (this.#startedAt !== 0) return this.#lookedAt - this.#startedAt < limitMs;
    this.#startedAt = this.#lookedAt;
    setImmediate(this.#end);
    this.#onBegin();
    return true;
  }

  /** As {@link LoopTurn.hasTime}, for one of many calls that are quick. */
  hasTimeForOne(limitMs = TURN_MS) {
    if (this.#untimedCalls > 0) {
      this.#untimedCalls -= 1;
      return true;
    }
    const lookedAt = this.#lookedAt;
    const hasTime = this.hasTime(limitMs);
    if (hasTime && this.#lookedAt - lookedAt < QUICK_MS) this.#untimedCalls = UNTIMED_CALLS;
    return hasTime;
  }

  /** As {@link LoopTurn.hasTimeForOne}, inside a transaction. */
  hasTimeInside() {
    return this.hasTimeForOne(TRANSACTION_TURN_MS);
  }

  /**
   * Waits for the loop's next turn when this one has lasted long enough: for work in pieces.
   *
   * @returns {Promise<void> | undefined}
   */
  pause() {
    return this.hasTime() ? undefined : new Promise((resolve) => setImmediate(resolve));
  }

  #end = () => {
    this.#startedAt = 0;
    this.#untimedCalls = 0;
    this.number += 1;
    this.releaseSnapshot();
    this.#onEnd();
  };

  /**
   * Reads. A small read outside a transaction is mostly file locking: from the second read of a
   * turn on, all see one snapshot, for which the locks are taken once.
   *
   * @template T
   * @param {Ledger} ledger
   * @param {(ledger: Ledger) => T} run
   */
  read(ledger, run) {
    this.#reads += 1;
    if (this.#reads === 2 && this.#holdsSnapshots) {
      this.#holder?.releaseSnapshot();
      this.#holder = ledger;
      ledger.holdSnapshot();
    }
    return run(ledger);
  }

  /** Lets reads see what is written from here on; the addon lets go of its own writer's snapshot. */
  releaseSnapshot() {
    const holder = this.#holder;
    this.#holder = undefined;
    this.#reads = 0;
    holder?.releaseSnapshot();
  }

  /** Forgets the snapshot of a handle that is gone. */
  forgetSnapshot() {
    this.#holder = undefined;
    this.#reads = 0;
  }
}

module.exports = { LoopTurn };
