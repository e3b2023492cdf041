// @ts-check
'use strict';

const { ERRORS, SESSIONS, errorRecord } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { bothPeers, statement } = require('../statement.js');

/** Owns `logError`: one error after the other, awaited, each committed; the caller gets its id. */

/** @typedef {ReturnType<typeof errorRecord>} ErrorRecord */

/**
 * @param {any} database
 * @param {ErrorRecord[]} errors
 */
async function peer(database, errors) {
  const log = statement(database, 'logErrorNamed');
  const logError = async (/** @type {ErrorRecord} */ error) =>
    log.run({ ...error, timestamp: new Date().toISOString() }).lastInsertRowid;
  let logged = 0;
  for (const error of errors) logged += Number((await logError(error)) > ERRORS);
  return logged;
}

/**
 * @param {any} database
 * @param {ErrorRecord[]} errors
 */
function peerFastest(database, errors) {
  const log = statement(database, 'logError');
  let logged = 0;
  for (const error of errors) {
    const { session_id, file_path, error_type, error_message, retry_count } = error;
    const now = new Date().toISOString();
    logged += log.run(session_id, file_path, error_type, error_message, retry_count, now).changes;
  }
  return logged;
}

/** @type {import('../measurement.js').Operation<ErrorRecord[]>} */
module.exports = {
  name: 'logError',
  group: 'manager',
  // So few that no driver's log reaches the size at which it is checkpointed.
  count: 500,
  quickCount: 200,
  floor: 'log_error',
  added: [{ table: 'upload_errors', key: 'id', above: ERRORS }],
  prepare({ roundSeed, count }) {
    const random = createRandom(roundSeed);
    return Array.from({ length: count }, (_, index) => errorRecord(random() % SESSIONS, index));
  },
  expected: (count) => count,
  async ours(manager, errors) {
    let logged = 0;
    for (const error of errors) logged += Number((await manager.logError(error)) > ERRORS);
    return logged;
  },
  ...bothPeers(peer, peerFastest),
};
