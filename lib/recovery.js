// @ts-check
'use strict';

const { Background } = require('./background.js');
const native = require('./native.js');

/**
 * Owns checking a file that need not be openable: on another thread and through nothing that a
 * connection has.
 *
 * @typedef {import('../index').ResolvedConfig} Config
 */

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

module.exports = { checkFile };
