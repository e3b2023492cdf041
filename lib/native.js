// @ts-check
'use strict';

/** Owns loading the addon: everything else gets it from here, with its error class set. */

const binding = require('../binding.js');
const { DatabaseError } = require('./error.js');

binding.registerErrorClass(DatabaseError);

module.exports = binding;
