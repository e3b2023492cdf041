// @ts-check
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

/**
 * Owns Ctrl+C and the request to end: the first one asks the run to stop, a second one ends the
 * process at once.
 */

/** `npm start` passes the signal on, which the terminal has sent to everyone already. */
const SAME_KEYSTROKE_MS = 500;

/** Within this time the second signal of one keystroke is there. */
const ECHO_MS = 200;

/** By custom, 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 };

class Stop {
  #controller = new AbortController();
  #requestedAt = 0;
  #exitCode = 0;

  constructor() {
    process.on('SIGINT', this.#request);
    process.on('SIGTERM', this.#request);
  }

  /** Is aborted when the run is to stop. */
  get signal() {
    return this.#controller.signal;
  }

  /** What the process is to end with once it has stopped. */
  get exitCode() {
    return this.#exitCode;
  }

  /** Waits for the second signal of a keystroke: it would kill a process that is taken down already. */
  async settle() {
    if (!this.signal.aborted) return;
    await sleep(Math.max(0, this.#requestedAt + ECHO_MS - Date.now()));
  }

  #request = (/** @type {NodeJS.Signals} */ name) => {
    const code = EXIT_CODES[/** @type {keyof typeof EXIT_CODES} */ (name)];
    if (!this.signal.aborted) {
      this.#requestedAt = Date.now();
      this.#exitCode = code;
      this.#controller.abort();
    } else if (Date.now() - this.#requestedAt > SAME_KEYSTROKE_MS) {
      process.exit(code);
    }
  };
}

// Written by name, so that types can be imported too.
module.exports.Stop = Stop;
