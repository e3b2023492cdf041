// @ts-check
'use strict';

const { Background } = require('./background.js');
const native = require('./native.js');

/**
 * Owns the work on a file that need not be openable: checking and repairing it, on another thread
 * and through nothing that a connection has.
 *
 * @typedef {import('../index').ResolvedConfig} Config
 */

/** How often a repair's progress is looked at. */
const PROGRESS_MS = 100;

/**
 * @param {Config} config
 * @param {boolean} deep
 * @param {number | undefined} maxMs
 * @param {AbortSignal | undefined} signal
 * @param {InstanceType<typeof import('./turn.js').Turn> | undefined} turn the present connection, which ends it when it closes
 * @returns {Promise<import('../index').IntegrityReport>}
 */
function checkFile(config, deep, maxMs, signal, turn) {
  const interruption = new native.Interruption();
  const start = () => native.checkIntegrity(config, deep, maxMs, interruption);
  return turn?.isOpen
    ? turn.readInBackground('checkIntegrity', interruption, start, signal)
    : new Background().run('checkIntegrity', interruption, start, signal);
}

/**
 * @param {Config} config
 * @param {boolean} dryRun
 * @param {((progress: import('../index').RepairProgress) => void) | undefined} onProgress
 * @returns {Promise<import('../index').RepairReport>}
 */
async function repairFile(config, dryRun, onProgress) {
  const progress = new native.Progress();
  const work = native.repair(config, dryRun, progress);
  if (!onProgress) return work;
  let told = -1;
  const tell = () => {
    const { done, total } = progress;
    if (total === 0 || done === told) return;
    told = done;
    onProgress({ done, total });
  };
  // A timer, not a call from the other thread: none can come after the promise has settled.
  const timer = setInterval(tell, PROGRESS_MS);
  try {
    const report = await work;
    clearInterval(timer);
    tell();
    return report;
  } finally {
    clearInterval(timer);
  }
}

module.exports = { checkFile, repairFile };
