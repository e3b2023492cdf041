// @ts-check
'use strict';

const { FILES, MISSING_FILES, hashText } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { bothPeers, inTransaction, statement } = require('../statement.js');

/**
 * Owns `findUploaded`: many hashes in one call, every second one not there. A wrapper around a peer
 * would look them up in a loop. The loop in one transaction is the peers' fastest way: a list of
 * JSON, joined with the table, is slower.
 */

/** Prime, and no divisor of the number of files: steps of it meet no file twice. */
const STEP = 7_919;

/** @param {Map<string, boolean>} answers */
function countUploaded(answers) {
  let count = 0;
  for (const isUploaded of answers.values()) count += Number(isUploaded);
  return count;
}

/**
 * @param {any} exists
 * @param {string[]} hashes
 */
function answerOneByOne(exists, hashes) {
  const answers = new Map();
  for (const hash of hashes) answers.set(hash, exists.get(hash) !== undefined);
  return answers;
}

/**
 * @param {any} database
 * @param {string[]} hashes
 */
async function peer(database, hashes) {
  const exists = statement(database, 'fileExists');
  const findUploaded = async () => answerOneByOne(exists, hashes);
  return countUploaded(await findUploaded());
}

/**
 * @param {any} database
 * @param {string[]} hashes
 */
function peerFastest(database, hashes) {
  const exists = statement(database, 'fileExists', 'arrays');
  return countUploaded(inTransaction(database, 'BEGIN', () => answerOneByOne(exists, hashes)));
}

/** @type {import('../measurement.js').Operation<string[]>} */
module.exports = {
  name: 'findUploaded of 10,000',
  group: 'manager',
  count: 10_000,
  quickCount: 10_000,
  goal: { betterSqlite3: 4.5 },
  floor: 'is_file_uploaded',
  isReading: true,
  prepare({ seed, roundSeed, count }) {
    // All different, as a map's keys are; the floor's own may meet twice, which costs it the same.
    const start = createRandom(roundSeed)() % FILES;
    return Array.from({ length: count }, (_, index) => {
      const file = (start + index * STEP) % FILES;
      return hashText(seed, index % 2 === 0 ? file : MISSING_FILES + file);
    });
  },
  expected: (count) => Math.ceil(count / 2),
  ours: async (/** @type {any} */ manager, hashes) => countUploaded(await manager.findUploaded(hashes)),
  ...bothPeers(peer, peerFastest),
};
