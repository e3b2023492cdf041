// @ts-check
'use strict';

const { SESSIONS, filePath, sessionId } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { bothPeers, statement } = require('../statement.js');

/**
 * Owns `updateSession`: the progress of one session after the other, awaited, each committed.
 *
 * @typedef {object} Progress
 * @property {string} id
 * @property {{ processed_files: number, success_count: number, last_processed_file: string }} changes
 */

/**
 * @param {any} database
 * @param {Progress[]} updates
 */
async function peer(database, updates) {
  const update = statement(database, 'updateSessionNamed');
  const updateSession = async (/** @type {string} */ id, /** @type {Progress['changes']} */ changes) => {
    const { changes: changed } = update.run({ id, last_update: new Date().toISOString(), ...changes });
    if (changed === 0) throw new Error('no such session');
  };
  for (const { id, changes } of updates) await updateSession(id, changes);
  return updates.length;
}

/**
 * @param {any} database
 * @param {Progress[]} updates
 */
function peerFastest(database, updates) {
  const update = statement(database, 'updateSession');
  let changed = 0;
  for (const { id, changes } of updates) {
    const { processed_files, success_count, last_processed_file } = changes;
    changed += update.run(new Date().toISOString(), processed_files, success_count, last_processed_file, id).changes;
  }
  return changed;
}

/** @type {import('../measurement.js').Operation<Progress[]>} */
module.exports = {
  name: 'updateSession',
  group: 'manager',
  count: 1_000,
  quickCount: 300,
  floor: 'update_session',
  prepare({ roundSeed, count }) {
    const random = createRandom(roundSeed);
    return Array.from({ length: count }, (_, index) => ({
      id: sessionId(random() % SESSIONS),
      changes: { processed_files: index, success_count: index, last_processed_file: filePath(index) },
    }));
  },
  expected: (count) => count,
  async ours(manager, updates) {
    for (const { id, changes } of updates) await manager.updateSession(id, changes);
    return updates.length;
  },
  ...bothPeers(peer, peerFastest),
};
