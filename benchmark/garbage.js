// @ts-check
'use strict';

const v8 = require('node:v8');
const vm = require('node:vm');

/** Owns collecting garbage on demand, so that nobody pays for what another has left. */

v8.setFlagsFromString('--expose-gc');

/** @type {() => void} */
const collectGarbage = vm.runInNewContext('gc');

module.exports = { collectGarbage };
