// @ts-check
'use strict';

const { once } = require('node:events');
const { openDatabase } = require('../database.js');
const { collectGarbage } = require('../garbage.js');
const { percentile } = require('../statistic.js');
const { Sampler, overlap } = require('./sampler.js');
const { SCENARIOS, wrapPeer } = require('./scenario.js');
const { TurnWatch } = require('./turn_watch.js');

/**
 * Owns a process whose event loop is watched while one driver does one work. Its argument is the
 * request; it tells its parent when it is ready, begins when told to, and sends what it has seen.
 *
 * @typedef {object} Request
 * @property {string} scenario
 * @property {import('../database.js').DriverName} driver
 * @property {string} file
 * @property {number} seed
 * @property {boolean} isQuick
 *
 * @typedef {object} Seen milliseconds
 * @property {number} count calls or rows
 * @property {number} took
 * @property {number} samples
 * @property {number} p999 of the delays
 * @property {number} max
 * @property {{ p999: number, max: number }} histogram Node's own
 * @property {number} longestCollection
 * @property {number} longestStall
 * @property {number} longestWaiting for a processor
 * @property {{ p999: number, max: number }} own of the delays without all three
 * @property {import('./sampler.js').Gap[]} long the longest of the delays over the limit
 * @property {(Omit<import('./turn_watch.js').Watched, 'long'> & { longCount: number, ownLongCount: number, longestOwn: number,
 * long: OwnTurn[] }) | undefined} turns of ours alone
 *
 * @typedef {import('./turn_watch.js').LongTurn & { collecting: number, own: number }} OwnTurn `own` is its length
 * without garbage collection and what the thread was off the processor
 */

const DELAY_LIMIT_MS = 10;
const SLICE_LIMIT_MS = 8;
const LISTED = 5;

async function main() {
  /** @type {Request} */
  const request = JSON.parse(process.argv[2]);
  const scenario = SCENARIOS.find(({ name }) => name === request.scenario);
  if (!scenario) throw new Error(`there is no work ${request.scenario}`);
  const watch = new TurnWatch(SLICE_LIMIT_MS);
  const isOurs = request.driver === 'ours';
  if (isOurs) watch.install();
  const { wrapper, close } = await open(request.driver, request.file);
  const work = await scenario.prepare(wrapper, request);
  collectGarbage();
  send('ready');
  await once(process, 'message');
  const sampler = new Sampler();
  sampler.start();
  // The first ticks are late for reasons of their own.
  await new Promise((resolve) => setTimeout(resolve, 50));
  watch.reset();
  const start = performance.now();
  const count = await work();
  const end = performance.now();
  // By then the last turn has ended, too.
  const sampled = await sampler.stop();
  send(evaluate({ count, start, end, sampled, watched: isOurs ? watch.watched : undefined }));
  await close();
  process.disconnect();
}

/**
 * @param {import('../database.js').DriverName} driver
 * @param {string} file
 */
async function open(driver, file) {
  if (driver !== 'ours') {
    const database = openDatabase(driver, file);
    return { wrapper: wrapPeer(database), close: async () => database.close() };
  }
  const { DatabaseManager } = require('../..');
  /** @type {any} */
  const manager = new DatabaseManager({ path: file });
  await manager.connect();
  return { wrapper: /** @type {import('./scenario.js').Wrapper} */ (manager), close: () => manager.disconnect() };
}

/** @param {'ready' | Seen} message */
function send(message) {
  process.send?.(message);
}

/**
 * @param {object} seen
 * @param {number} seen.count
 * @param {number} seen.start
 * @param {number} seen.end
 * @param {import('./sampler.js').Sampled} seen.sampled
 * @param {import('./turn_watch.js').Watched | undefined} seen.watched
 * @returns {Seen}
 */
function evaluate({ count, start, end, sampled, watched }) {
  const gaps = sampled.gaps.filter((gap) => gap.end > start && gap.start < end);
  const delays = gaps.map(({ delay }) => delay);
  const ownDelays = gaps.map((gap) => Math.max(0, gap.delay - gap.collecting - gap.blocked - gap.waiting));
  const collections = sampled.collections.filter((pause) => pause.start >= start && pause.start <= end);
  const longest = (/** @type {number[]} */ numbers) => numbers.reduce((max, number) => Math.max(max, number), 0);
  return {
    count,
    took: end - start,
    samples: delays.length,
    p999: percentile(delays, 0.999),
    max: longest(delays),
    histogram: sampled.histogram,
    longestCollection: longest(collections.map(({ duration }) => duration)),
    longestStall: longest(gaps.map(({ blocked }) => blocked)),
    longestWaiting: longest(gaps.map(({ waiting }) => waiting)),
    own: { p999: percentile(ownDelays, 0.999), max: longest(ownDelays) },
    long: gaps
      .filter(({ delay }) => delay > DELAY_LIMIT_MS)
      .sort((a, b) => b.delay - a.delay)
      .slice(0, LISTED),
    turns: watched && evaluateTurns(watched, sampled.collections),
  };
}

/**
 * @param {import('./turn_watch.js').Watched} watched
 * @param {import('./sampler.js').Pause[]} collections
 */
function evaluateTurns({ long, ...watched }, collections) {
  const turns = long.map((turn) => {
    const collecting = overlap(collections, turn.start, turn.start + turn.length);
    return { ...turn, collecting, own: Math.min(turn.length, turn.running) - collecting };
  });
  turns.sort((a, b) => b.own - a.own);
  return {
    ...watched,
    longCount: turns.length,
    ownLongCount: turns.filter(({ own }) => own > SLICE_LIMIT_MS).length,
    longestOwn: turns[0]?.own ?? 0,
    long: turns.slice(0, LISTED),
  };
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
