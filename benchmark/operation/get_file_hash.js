// @ts-check
'use strict';

const { FILES, hashText } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { inTransaction, statement } = require('../statement.js');

/** Owns `getFileHash`: one record of nine fields after the other, awaited; all are there. */

/**
 * @param {any} database
 * @param {string[]} hashes
 */
async function peer(database, hashes) {
  const get = statement(database, 'getFile');
  const getFileHash = async (/** @type {string} */ hash) => get.get(hash);
  let found = 0;
  for (const hash of hashes) found += Number((await getFileHash(hash))?.hash === hash);
  return found;
}

/**
 * @param {any} database
 * @param {string[]} hashes
 */
function peerFastest(database, hashes) {
  const get = statement(database, 'getFile');
  return inTransaction(database, 'BEGIN', () => {
    let found = 0;
    for (const hash of hashes) found += Number(get.get(hash)?.hash === hash);
    return found;
  });
}

/** @type {import('../measurement.js').Operation<string[]>} */
module.exports = {
  name: 'getFileHash',
  count: 5_000,
  quickCount: 1_000,
  floor: 'get_file_hash',
  prepare({ seed, roundSeed, count }) {
    const random = createRandom(roundSeed);
    return Array.from({ length: count }, () => hashText(seed, random() % FILES));
  },
  expected: (count) => count,
  async ours(manager, hashes) {
    let found = 0;
    for (const hash of hashes) found += Number((await manager.getFileHash(hash))?.hash === hash);
    return found;
  },
  betterSqlite3: peer,
  nodeSqlite: peer,
  betterSqlite3Fastest: peerFastest,
  nodeSqliteFastest: peerFastest,
};
