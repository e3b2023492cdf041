// @ts-check
'use strict';

/** Owns loading the addon: everything else gets it from here, initialized. */

const { DatabaseError } = require('./error.js');
const { loadBinding } = require('./load_binding.js');
const { sharedCodes } = require('./rows.js');

const binding = loadBinding();
binding.initialize(DatabaseError, sharedCodes);

/**
 * Opens a ledger off the event loop; `reader` asks for a handle that never writes.
 *
 * @param {unknown} config
 * @param {boolean} reader
 */
async function openLedger(config, reader) {
  // Loaded here, for a program that wants SQL alone has no use for it.
  const { withRecordCalls } = require('./ledger.js');
  return withRecordCalls(await binding.openLedger(config, reader));
}

module.exports = { ...binding, openLedger };
