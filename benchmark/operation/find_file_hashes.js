// @ts-check
'use strict';

const { FILES_OF_LARGE_CHAT, LARGE_CHATS, chatId } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { bothPeers, inTransaction, statement } = require('../statement.js');

/** Owns `findFileHashes` of chats with 1,000 files: one chat after the other, awaited. */

/**
 * @param {any} database
 * @param {string[]} chats
 */
async function peer(database, chats) {
  const find = statement(database, 'findFiles');
  const findFileHashes = async (/** @type {string} */ chat) => find.all(chat);
  let rows = 0;
  for (const chat of chats) rows += (await findFileHashes(chat)).length;
  return rows;
}

/**
 * @param {any} database
 * @param {string[]} chats
 */
function peerFastest(database, chats) {
  const find = statement(database, 'findFiles');
  return inTransaction(database, 'BEGIN', () => {
    let rows = 0;
    for (const chat of chats) rows += find.all(chat).length;
    return rows;
  });
}

/** @type {import('../measurement.js').Operation<string[]>} */
module.exports = {
  name: 'findFileHashes of 1,000',
  group: 'manager',
  count: 50,
  quickCount: 10,
  floor: 'find_file_hashes',
  isReading: true,
  prepare({ roundSeed, count }) {
    const random = createRandom(roundSeed);
    return Array.from({ length: count }, () => chatId(random() % LARGE_CHATS));
  },
  expected: (count) => count * FILES_OF_LARGE_CHAT,
  async ours(manager, chats) {
    let rows = 0;
    for (const chat of chats) rows += (await manager.findFileHashes(chat)).length;
    return rows;
  },
  ...bothPeers(peer, peerFastest),
};
