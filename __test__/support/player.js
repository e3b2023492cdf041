'use strict';

/**
 * Owns the playing of a random program on a manager, and the history that comes of it: when each
 * call was made, when it settled and with what, when each transaction's function began and ended.
 * It judges nothing.
 *
 * @typedef {object} Call one call in the history
 * @property {string} method
 * @property {unknown[]} args
 * @property {string} [of] the manager whose rows are read, when it is another one
 * @property {number} called moments are counted, by one clock for all managers
 * @property {number} settled when the caller's promise was seen to settle
 * @property {unknown} value
 * @property {any} error
 * @property {boolean} failed
 * @property {string} [abort] when its signal is aborted, if it has one
 * @property {Error} [reason] what the signal is aborted with
 * @property {boolean} isLate made from a transaction's context after its end
 * @property {Call[]} [inside] a transaction's own calls, in order
 * @property {number} [entered] when its function began
 * @property {number} [left] when its function ended
 * @property {{ error: unknown }} [thrown] what its function threw
 */

const { AsyncResource } = require('node:async_hooks');
const { setImmediate: nextTurn, setTimeout: sleep } = require('node:timers/promises');

/** Counts moments. */
class Clock {
  #now = 0;

  tick() {
    this.#now += 1;
    return this.#now;
  }
}

class Player {
  /** @type {Call[]} calls made outside any transaction, in the order in which they were made */
  outside = [];
  /** When the connection was ended, if it was. */
  disconnectedAt = Number.POSITIVE_INFINITY;
  /** @type {unknown} */
  #failure;
  #db;
  #clock;
  #isOnFile;
  #firstError;
  #latches = new Map();
  /** Whatever must have ended before the history is complete, forgotten functions too. */
  #open = new Set();

  /** @param {{ db: object, clock: Clock, isOnFile: boolean, firstError: number }} scene */
  constructor({ db, clock, isOnFile, firstError }) {
    this.#db = db;
    this.#clock = clock;
    this.#isOnFile = isOnFile;
    this.#firstError = firstError;
  }

  async play(program) {
    for (const steps of program.strands) this.#prepareLatches(steps);
    // Outside calls never reject out of a strand: each is in the history with its outcome.
    await Promise.all(program.strands.map((steps) => this.#playSteps(steps, this.outside)));
    while (this.#open.size > 0) await Promise.all(this.#open);
    if (this.#failure) throw new Error('disconnect() rejected', { cause: this.#failure });
  }

  /** A latch that nobody releases, as in a program that was cut, holds nothing. */
  #prepareLatches(steps) {
    for (const { latch, do: kind } of steps) {
      if (kind !== 'transaction' || latch === undefined) continue;
      const isReleased = steps.some((step) => step.do === 'release' && step.latch === latch);
      const [entered, released] = [makeSignal(), makeSignal()];
      if (!isReleased) released.give();
      this.#latches.set(latch, { entered, released });
    }
  }

  /**
   * @param {object[]} steps
   * @param {Call[]} calls where the steps' calls are noted
   * @param {Call} [transaction] the one that the steps are the function of
   */
  async #playSteps(steps, calls, transaction) {
    const made = [];
    for (const step of steps) {
      const latch = this.#latches.get(step.latch);
      if (step.do === 'pause') await pause(step.for);
      else if (step.do === 'settle') await Promise.all(made);
      else if (step.do === 'enter') await latch?.entered.given;
      else if (step.do === 'release') latch?.released.give();
      else if (step.do === 'disconnect') this.#disconnect();
      else if (step.do === 'hold') {
        latch?.entered.give();
        await latch?.released.given;
      } else if (step.do === 'late') this.#callLate(step, /** @type {Call} */ (transaction));
      else {
        const call = this.#note(step, calls);
        const done = this.#settle(call, () =>
          step.do === 'transaction' ? this.#transact(call, step) : this.#call(call),
        );
        made.push(done);
        if (step.awaited === true || (step.awaited === 'on a file' && this.#isOnFile)) await done;
        if (step.passes && call.failed) throw call.error;
      }
    }
  }

  /** @returns {Call} */
  #note({ method = 'transaction', args = [], of, abort }, calls) {
    const call = {
      method,
      args,
      of,
      abort,
      called: 0,
      settled: 0,
      value: undefined,
      error: undefined,
      failed: false,
      isLate: false,
    };
    calls.push(call);
    return call;
  }

  /** Makes a call and notes what it comes to; the promise that is given never rejects. */
  #settle(call, make) {
    call.called = this.#clock.tick();
    const done = attempt(make).then(
      (value) => {
        call.settled = this.#clock.tick();
        call.value = value;
      },
      (error) => {
        call.settled = this.#clock.tick();
        call.error = error;
        call.failed = true;
      },
    );
    this.#keep(done);
    return done;
  }

  #keep(promise) {
    this.#open.add(promise);
    promise.then(() => this.#open.delete(promise));
  }

  #disconnect() {
    this.disconnectedAt = this.#clock.tick();
    this.#keep(
      this.#db.disconnect().catch((error) => {
        this.#failure = error;
      }),
    );
  }

  #call(call) {
    const { method, args } = call;
    const own = method === 'incrementRetryCount' ? [args[0] + this.#firstError - 1] : [...args];
    if (call.abort) {
      const at = method === 'addFileHash' ? 1 : own.length;
      own[at] = { ...own[at], signal: signalOf(call) };
    }
    const answer = this.#db[method](...own);
    return method.startsWith('iterate') ? collect(answer) : answer;
  }

  #transact(call, { body, fails, latch }) {
    call.inside = [];
    const ended = makeSignal();
    call.ended = ended.given;
    const run = async () => {
      call.entered = this.#clock.tick();
      try {
        await this.#playSteps(body, call.inside, call);
        if (fails) throw new Error('the function of the transaction fails');
        return call;
      } catch (error) {
        call.thrown = { error };
        throw error;
      } finally {
        call.left = this.#clock.tick();
        this.#latches.get(latch)?.entered.give();
      }
    };
    const transaction = this.#db.transaction(() => {
      const running = run();
      this.#keep(running.catch(() => {}));
      return running;
    });
    this.#keep(
      transaction
        .catch(() => {})
        .then(() => {
          ended.give();
          this.#latches.get(latch)?.entered.give();
        }),
    );
    return transaction;
  }

  /** Makes a call when the transaction whose context this is has ended. */
  #callLate(step, transaction) {
    const call = this.#note(step, transaction.inside);
    call.isLate = true;
    const make = AsyncResource.bind(() => this.#settle(call, () => this.#call(call)));
    this.#keep(transaction.ended.then(make));
  }
}

/** @param {() => Promise<unknown>} make */
function attempt(make) {
  try {
    return make();
  } catch (error) {
    return Promise.reject(new Error('a call threw instead of giving a promise', { cause: error }));
  }
}

async function collect(iterator) {
  const records = [];
  for await (const record of iterator) records.push(record);
  return records;
}

function signalOf(call) {
  const controller = new AbortController();
  call.reason = new Error('the call is not wanted any more');
  if (call.abort === 'before') controller.abort(call.reason);
  else pause(call.abort).then(() => controller.abort(call.reason));
  return controller.signal;
}

function pause(length) {
  if (length === 'microtask') return Promise.resolve();
  return length === 'immediate' ? nextTurn() : sleep(1);
}

function makeSignal() {
  let give = () => {};
  const given = new Promise((resolve) => {
    give = () => resolve(undefined);
  });
  return { given, give };
}

module.exports = { Clock, Player };
