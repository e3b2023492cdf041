'use strict';

/** Owns making checkpoints fail while the log is full of a secret: told of by events, then by warnings. */

const { once } = require('node:events');

/** A setting of so many characters, so often, makes a checkpoint due: that of 4 MB. */
const [LENGTH, SETTINGS] = [1_000_000, 6];

const PATIENCE_MS = 20_000;

/**
 * Plays it; who listens is the one that made the scene.
 *
 * @param {{ db: import('../../../index.js').DatabaseManager, secret: string }} scene
 * @param {(call: () => unknown) => Promise<void>} hear
 * @param {import('../file-fault.js').FileFault} fault
 */
async function failCheckpoints({ db, secret }, hear, fault) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  fault.arm({ kinds: ['sync'], action: 'EIO', after: 1, persists: true });
  try {
    // Without the event, or the warning, this throws, and the process fails.
    const event = once(db, 'checkpointError', { signal });
    await fillLog(db, secret);
    await event;
    db.removeAllListeners('checkpointError');
    const warning = once(process, 'warning', { signal });
    await fillLog(db, secret);
    await warning;
    await hear(() => db.getStats());
    await hear(() => db.flush());
  } finally {
    fault.disarm();
  }
}

async function fillLog(db, secret) {
  const value = secret.repeat(LENGTH / secret.length);
  for (let n = 0; n < SETTINGS; n += 1) await db.setConfig(`${secret}${n}`, `${value}${Math.random()}`);
}

module.exports = { failCheckpoints };
