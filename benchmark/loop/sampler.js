// @ts-check
'use strict';

const { closeSync, openSync, readSync } = require('node:fs');
const { PerformanceObserver, monitorEventLoopDelay, performance } = require('node:perf_hooks');

/**
 * Owns watching how long the event loop keeps others waiting: a timer of one millisecond, whose
 * lateness is the delay, and beside it Node's own histogram. For each gap between two ticks it knows
 * what of it was garbage collection, and what the thread spent off the processor.
 *
 * @typedef {object} Pause
 * @property {number} start on the clock of `performance`
 * @property {number} duration milliseconds, as all of them
 *
 * @typedef {object} Gap
 * @property {number} start
 * @property {number} end
 * @property {number} delay how late the tick at its end was
 * @property {number} collecting what garbage collection took of it
 * @property {number} waiting what the thread waited for a processor
 * @property {number} blocked what it was neither running nor waiting for either a processor or events: a storage
 * stall, as a sync, a read of the disk or a lock of another process
 *
 * @typedef {object} Sampled
 * @property {Gap[]} gaps
 * @property {Pause[]} collections
 * @property {{ p999: number, max: number }} histogram
 */

const INTERVAL_MS = 1;
const MICROSECONDS = 1_000;
const MAX_TICKS = 400_000;
const NANOSECONDS = 1_000_000;

/**
 * What the kernel says of a process's main thread; its second number is the time that it has waited
 * for a processor. (The first, its time on one, is brought up to date at the kernel's own ticks only.)
 */
const SCHEDULER_FILE = '/proc/self/schedstat';

class Sampler {
  #times = new Float64Array(MAX_TICKS);
  #running = new Float64Array(MAX_TICKS);
  #waiting = new Float64Array(MAX_TICKS);
  #idle = new Float64Array(MAX_TICKS);
  #ticks = 0;
  /** @type {Pause[]} */
  #collections = [];
  #histogram = monitorEventLoopDelay({ resolution: INTERVAL_MS });
  /** @type {PerformanceObserver} */
  #observer;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #scheduler = openScheduler();

  constructor() {
    this.#observer = new PerformanceObserver((list) => this.#collect(list.getEntries()));
  }

  start() {
    this.#observer.observe({ entryTypes: ['gc'] });
    this.#histogram.enable();
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS);
  }

  /** Ends the watch once the present delay has been seen. */
  async stop() {
    const seen = this.#ticks;
    while (this.#ticks < seen + 2) await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    clearInterval(this.#timer);
    this.#histogram.disable();
    this.#collect(this.#observer.takeRecords());
    this.#observer.disconnect();
    this.#scheduler.close();
    return this.#evaluate();
  }

  #tick() {
    const tick = this.#ticks;
    if (tick === MAX_TICKS) throw new Error(`the loop was watched for more than ${MAX_TICKS} ticks`);
    this.#ticks += 1;
    this.#times[tick] = performance.now();
    this.#running[tick] = threadMilliseconds();
    this.#waiting[tick] = this.#scheduler.readWaiting();
    this.#idle[tick] = performance.eventLoopUtilization().idle;
  }

  /** @param {readonly { startTime: number, duration: number }[]} entries */
  #collect(entries) {
    for (const { startTime, duration } of entries) this.#collections.push({ start: startTime, duration });
  }

  /** @returns {Sampled} */
  #evaluate() {
    const gaps = [];
    for (let tick = 1; tick < this.#ticks; tick += 1) {
      const [start, end] = [this.#times[tick - 1], this.#times[tick]];
      const grown = (/** @type {Float64Array} */ counter) => counter[tick] - counter[tick - 1];
      const [running, waiting, idle] = [grown(this.#running), grown(this.#waiting), grown(this.#idle)];
      gaps.push({
        start,
        end,
        delay: Math.max(0, end - start - INTERVAL_MS),
        collecting: overlap(this.#collections, start, end),
        waiting,
        blocked: this.#scheduler.isKnown ? Math.max(0, end - start - running - waiting - idle) : 0,
      });
    }
    const histogram = {
      p999: Math.max(0, this.#histogram.percentile(99.9) / NANOSECONDS - INTERVAL_MS),
      max: Math.max(0, this.#histogram.max / NANOSECONDS - INTERVAL_MS),
    };
    return { gaps, collections: this.#collections, histogram };
  }
}

/** Reads the main thread's scheduling; on Linux alone is it known. */
function openScheduler() {
  if (process.platform !== 'linux') {
    return { isKnown: false, readWaiting: () => 0, close: () => {} };
  }
  const descriptor = openSync(SCHEDULER_FILE, 'r');
  const buffer = Buffer.alloc(128);
  return {
    isKnown: true,
    readWaiting: () => {
      const text = buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
      return Number(text.split(' ')[1]) / NANOSECONDS;
    },
    close: () => closeSync(descriptor),
  };
}

/**
 * How long pauses lasted within a span of time.
 *
 * @param {readonly Pause[]} pauses
 * @param {number} start
 * @param {number} end
 */
function overlap(pauses, start, end) {
  let sum = 0;
  for (const pause of pauses) {
    sum += Math.max(0, Math.min(end, pause.start + pause.duration) - Math.max(start, pause.start));
  }
  return sum;
}

/** What this thread has been on the processor. */
function threadMilliseconds() {
  // @ts-expect-error the installed types are those of Node 20, which has no such function
  const { user, system } = process.threadCpuUsage();
  return (user + system) / MICROSECONDS;
}

module.exports = { Sampler, overlap, threadMilliseconds };
