'use strict';

/** Owns which faults the programs of the addon-io campaign meet, whoever plays them. */

const { CHANGES } = require('./file-fault.js');

/** Which operations can fail so. */
const FAULTS = {
  ENOSPC: ['write', 'truncate', 'open', 'rename', 'sync'],
  EIO: [...CHANGES, 'read'],
  short: ['write'],
  EMFILE: ['open'],
  EACCES: ['open', 'unlink', 'rename'],
  EROFS: ['open', 'unlink', 'rename', 'truncate', 'write'],
};
/** How many calls a program makes while the fault is planted. */
const CALLS = 16;

/** So often a program tries whether its ledger can be used again. */
const TRIES = 5;

/** @param {() => number} random */
function planFault(random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const action = pick(Object.keys(FAULTS));
  const kinds = random() < 0.5 ? FAULTS[action] : [pick(FAULTS[action])];
  return { kinds, action, after: 1 + Math.floor(random() ** 2 * 80), persists: random() < 0.4 };
}

/**
 * Says what was planted, and how often it was met.
 *
 * @param {ReturnType<typeof planFault>} fault
 * @param {number} fired
 */
function describeFault({ kinds, action, after, persists }, fired) {
  return `fault ${fired} ${action} ${persists ? 'persists' : 'once'} ${kinds.join('+')} after ${after}`;
}

module.exports = { CALLS, TRIES, describeFault, planFault };
