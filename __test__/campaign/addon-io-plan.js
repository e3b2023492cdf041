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

/** @param {() => number} random */
function planFault(random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const action = pick(Object.keys(FAULTS));
  const kinds = random() < 0.5 ? FAULTS[action] : [pick(FAULTS[action])];
  return { kinds, action, after: 1 + Math.floor(random() ** 2 * 80), persists: random() < 0.4 };
}

module.exports = { CALLS, planFault };
