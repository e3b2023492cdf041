// @ts-check
'use strict';

const { openDriver } = require('./driver.js');
const { collectGarbage } = require('./garbage.js');
const { DEFAULT_CHECKPOINT_PAGES, requireEqual } = require('./measurement.js');
const { findOperation } = require('./operations.js');

/**
 * Owns the process of one variant: it does the rounds that it is asked for, one at a time, and times
 * itself. A process of its own is what a program has: in a common one, each driver's objects would
 * make the engine's code for the others' more general, and their garbage its collections longer.
 *
 * Its arguments are the driver, the variant and the file.
 */

/**
 * @param {import('./driver.js').Driver} driver
 * @param {import('./measurement.js').NodeVariant} variant
 * @param {import('./measurement.js').Round} round
 */
async function runRound(driver, variant, { operation: name, seed, roundSeed, count, isTidied }) {
  const operation = findOperation(name);
  const input = operation.prepare({ seed, roundSeed, count });
  const subject = driver.subjects[operation.group];
  if (isTidied) await driver.settle(operation.checkpointPages ?? DEFAULT_CHECKPOINT_PAGES);
  collectGarbage();
  const start = process.hrtime.bigint();
  const result = await operation[variant](subject, input);
  const nanoseconds = Number(process.hrtime.bigint() - start);
  for (const added of operation.added ?? []) {
    const removed = driver.removeAbove(added.table, added.key, added.above);
    requireEqual(operation, variant, removed, added.count?.(count) ?? count);
  }
  return { nanoseconds, result };
}

async function main() {
  const [driverName, variant, file] = process.argv.slice(2);
  const answer = (/** @type {object} */ message) => process.send?.(message);
  const driver = await openDriver(/** @type {any} */ (driverName), file);
  process.on('message', async (/** @type {any} */ request) => {
    try {
      if (request === 'close') {
        await driver.close();
        process.disconnect();
      } else answer(await runRound(driver, /** @type {any} */ (variant), request));
    } catch (error) {
      answer({ error: /** @type {Error} */ (error).stack });
    }
  });
  answer({ sqlite: driver.sqlite });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
