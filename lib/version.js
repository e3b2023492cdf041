// @ts-check
'use strict';

/**
 * Owns this package's version, as package.json has it: a file of its own, for not every bundler
 * reads JSON.
 */

const VERSION = '0.1.0';

module.exports = { VERSION };
