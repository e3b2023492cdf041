// @ts-check
'use strict';

const { FILES, MISSING_FILES, hashText } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { inTransaction, statement } = require('../statement.js');

/** Owns `isFileUploaded`: one hash after the other, awaited; every second one is not there. */

/**
 * @param {any} database
 * @param {string[]} hashes
 */
async function peer(database, hashes) {
  const exists = statement(database, 'fileExists');
  const isFileUploaded = async (/** @type {string} */ hash) => exists.get(hash) !== undefined;
  let found = 0;
  for (const hash of hashes) found += Number(await isFileUploaded(hash));
  return found;
}

/**
 * @param {any} database
 * @param {string[]} hashes
 */
function peerFastest(database, hashes) {
  const exists = statement(database, 'fileExistsBare');
  return inTransaction(database, 'BEGIN', () => {
    let found = 0;
    for (const hash of hashes) found += Number(exists.get(hash) !== undefined);
    return found;
  });
}

/** @type {import('../measurement.js').Operation<string[]>} */
module.exports = {
  name: 'isFileUploaded',
  count: 5_000,
  quickCount: 1_000,
  floor: 'is_file_uploaded',
  prepare({ seed, roundSeed, count }) {
    const random = createRandom(roundSeed);
    return Array.from({ length: count }, (_, index) => {
      const file = random() % FILES;
      return hashText(seed, index % 2 === 0 ? file : MISSING_FILES + file);
    });
  },
  expected: (count) => Math.ceil(count / 2),
  async ours(manager, hashes) {
    let found = 0;
    for (const hash of hashes) found += Number(await manager.isFileUploaded(hash));
    return found;
  },
  betterSqlite3: peer,
  nodeSqlite: peer,
  betterSqlite3Fastest: peerFastest,
  nodeSqliteFastest: peerFastest,
};
