'use strict';

/** Owns the folders of campaigns that are not about the disk: in memory where the system has such. */

const { existsSync, mkdtempSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

const IN_MEMORY = '/dev/shm';

/** @param {string} prefix */
function makeScratch(prefix) {
  return mkdtempSync(path.join(existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir(), prefix));
}

module.exports = { makeScratch };
