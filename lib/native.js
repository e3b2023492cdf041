// @ts-check
'use strict';

/** Owns loading the addon: everything else gets it from here, initialized. */

const binding = require('../binding.js');
const { DatabaseError } = require('./error.js');
const { sharedCodes } = require('./rows.js');

binding.initialize(DatabaseError, sharedCodes);

module.exports = binding;
