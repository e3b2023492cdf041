// @ts-check
'use strict';

const { LABELS } = require('../database.js');
const { formatTable } = require('../statistic.js');

/**
 * Owns what is printed of the event loop: how long it kept others waiting, what of that was garbage
 * collection or the storage, and our own slices.
 *
 * @typedef {import('./harness.js').Measured} Measured
 */

const DELAY_LIMIT_MS = 10;
const SLICE_LIMIT_MS = 8;
const MEBIBYTE = 1024 * 1024;
const LOG_LIMIT_MEBIBYTES = 24;

/** @param {number} milliseconds */
function formatMs(milliseconds) {
  return milliseconds.toFixed(milliseconds < 100 ? 2 : 0);
}

/** @param {readonly Measured[]} measured */
function formatDelays(measured) {
  return formatTable(
    [
      'delay of the event loop, ms',
      'driver',
      'calls or rows',
      'took',
      'ticks',
      'p99.9',
      'max',
      'p99.9 by Node',
      'max by Node',
      'longest GC',
      'longest stall',
      'longest wait for a processor',
      'p99.9 without these',
      'max without these',
    ],
    measured.map(({ scenario, driver, seen }) => [
      scenario,
      LABELS[driver],
      String(seen.count),
      formatMs(seen.took),
      String(seen.samples),
      ...[seen.p999, seen.max, seen.histogram.p999, seen.histogram.max].map(formatMs),
      ...[seen.longestCollection, seen.longestStall, seen.longestWaiting].map(formatMs),
      ...[seen.own.p999, seen.own.max].map(formatMs),
    ]),
  );
}

/**
 * Sets what was seen of ours beside what must be shown.
 *
 * @param {readonly Measured[]} ours
 */
function formatVerdicts(ours) {
  return formatTable(
    [
      'must be shown of ours',
      `p99.9 at most ${DELAY_LIMIT_MS} ms`,
      'turns',
      'longest in the addon, ms',
      'longest turn of our own, ms',
      `turns over ${SLICE_LIMIT_MS} ms`,
      'of our own',
      'shown',
    ],
    ours.map(({ scenario, seen: { p999, histogram, turns } }) => {
      if (!turns) throw new Error('our turns were not watched');
      const isShown = p999 <= DELAY_LIMIT_MS && histogram.p999 <= DELAY_LIMIT_MS && turns.ownLongCount === 0;
      return [
        scenario,
        formatMs(Math.max(p999, histogram.p999)),
        String(turns.turns),
        formatMs(turns.longestNative),
        turns.longCount === 0 ? `below ${SLICE_LIMIT_MS}` : formatMs(turns.longestOwn),
        String(turns.longCount),
        String(turns.ownLongCount),
        isShown ? 'yes' : 'no',
      ];
    }),
  );
}

/** @param {readonly Measured[]} measured */
function formatLogs(measured) {
  const watched = measured.filter(({ largestLog }) => largestLog !== undefined);
  if (watched.length === 0) return [];
  const table = formatTable(
    ['size of the write-ahead log', 'driver', 'largest, MiB', `ours at most ${LOG_LIMIT_MEBIBYTES} MiB`],
    watched.map(({ scenario, driver, largestLog = 0 }) => {
      const size = largestLog / MEBIBYTE;
      const verdict = size <= LOG_LIMIT_MEBIBYTES ? 'yes' : 'no';
      return [scenario, LABELS[driver], size.toFixed(1), driver === 'ours' ? verdict : ''];
    }),
  );
  return [table];
}

/**
 * Lists the longest delays, and the turns of ours that were too long, with what they did.
 *
 * @param {readonly Measured[]} measured
 */
function formatLongest(measured) {
  const delays = measured.flatMap(({ scenario, driver, seen }) =>
    seen.long.map(({ delay, collecting, blocked, waiting }) => {
      const parts = [`GC ${formatMs(collecting)}`, `stall ${formatMs(blocked)}`, `no processor ${formatMs(waiting)}`];
      return `- ${LABELS[driver]}, ${scenario}: ${formatMs(delay)} ms, of it ${parts.join(', ')}`;
    }),
  );
  const turns = measured.flatMap(({ scenario, seen }) =>
    (seen.turns?.long ?? []).map(({ length, own, native, collecting, running, work }) => {
      const parts = [
        `own ${formatMs(own)}`,
        `addon ${formatMs(native)}`,
        `GC ${formatMs(collecting)}`,
        `off the processor ${formatMs(Math.max(0, length - running))}`,
      ];
      const done = work.slice(0, 3).map(({ name, calls, native: ms }) => `${name} x ${calls} (${formatMs(ms)})`);
      return `- ${scenario}: a turn of ${formatMs(length)} ms, of it ${parts.join(', ')}; ${done.join(', ')}`;
    }),
  );
  const sections = [];
  if (delays.length > 0) sections.push(`The longest delays over ${DELAY_LIMIT_MS} ms:`, delays.join('\n'));
  if (turns.length > 0) sections.push(`The longest turns of ours over ${SLICE_LIMIT_MS} ms:`, turns.join('\n'));
  return sections;
}

/** @param {readonly Measured[]} measured */
function formatLoop(measured) {
  const large = measured.find(({ scenario }) => scenario.includes('the large file'));
  const size = large ? [`The large file has ${(large.fileSize / MEBIBYTE).toFixed(0)} MiB.`] : [];
  return [
    formatDelays(measured),
    ...size,
    formatVerdicts(measured.filter(({ driver }) => driver === 'ours')),
    ...formatLogs(measured),
    ...formatLongest(measured),
  ].join('\n\n');
}

module.exports = { formatLoop };
