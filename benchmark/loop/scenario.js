// @ts-check
'use strict';

const { FILES, MISSING_FILES, NEW_FILES, chatId, fileRecord, hashText } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { statement } = require('../statement.js');

/**
 * Owns the work under which the event loop is watched. Ours is what an application would do with a
 * manager; a peer's is the same with async functions around its statements.
 *
 * @typedef {import('../../index').FileHash} FileHash
 *
 * @typedef {object} Wrapper what is watched: a manager, or a wrapper around a peer
 * @property {(hash: string) => Promise<boolean>} isFileUploaded
 * @property {(file: any) => Promise<unknown>} addFileHash
 * @property {(chat: string) => Promise<FileHash[]>} findFileHashes
 * @property {() => AsyncIterable<FileHash>} iterateFileHashes
 * @property {() => Promise<unknown>} vacuum
 * @property {(run: () => Promise<number>) => Promise<number>} transaction
 *
 * @typedef {object} Situation
 * @property {number} seed
 * @property {boolean} isQuick
 *
 * @typedef {object} Scenario
 * @property {string} name
 * @property {'usual' | 'one chat' | 'large'} file which file it needs
 * @property {'reads' | 'lock'} [foreign] what another process does meanwhile
 * @property {boolean} [isLogWatched] whether the size of the write-ahead log is sampled
 * @property {(wrapper: Wrapper, situation: Situation) => Promise<() => Promise<number>>} prepare makes the watched work,
 * which says how many calls or rows it was; what is compiled meanwhile need not be compiled in it
 */

const LANES = 20;
const AT_ONCE = 1_000;
const WARM_UP = 2_000;
/** The files of the warm-up are apart from those of the work. */
const WARM_UP_FILES = NEW_FILES + 900_000;

/**
 * @param {number} seed
 * @param {number} count
 */
function someHashes(seed, count) {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const file = random() % FILES;
    return hashText(seed, index % 2 === 0 ? file : MISSING_FILES + file);
  });
}

/**
 * @param {number} seed
 * @param {number} count
 * @param {number} [first]
 */
function someFiles(seed, count, first = NEW_FILES) {
  return Array.from({ length: count }, (_, index) => fileRecord(seed, first + index));
}

/**
 * @template Item
 * @param {Item[]} items
 * @param {(item: Item) => Promise<unknown>} call
 */
async function oneByOne(items, call) {
  for (const item of items) await call(item);
  return items.length;
}

/**
 * @template Item
 * @param {Item[]} items
 * @param {(item: Item) => Promise<unknown>} call
 */
async function manyAtOnce(items, call) {
  for (let start = 0; start < items.length; start += AT_ONCE) {
    await Promise.all(items.slice(start, start + AT_ONCE).map((item) => call(item)));
  }
  return items.length;
}

/**
 * @param {string} name
 * @param {number} count
 * @param {typeof oneByOne} run
 * @returns {Scenario}
 */
function createLookups(name, count, run) {
  return {
    name,
    file: 'usual',
    async prepare(wrapper, { seed }) {
      const isFileUploaded = (/** @type {string} */ hash) => wrapper.isFileUploaded(hash);
      await run(someHashes(seed + 1, WARM_UP), isFileUploaded);
      const hashes = someHashes(seed, count);
      return () => run(hashes, isFileUploaded);
    },
  };
}

/**
 * @param {string} name
 * @param {{ count: number, quickCount: number }} counts
 * @param {typeof oneByOne} run
 * @returns {Scenario}
 */
function createInserts(name, { count, quickCount }, run) {
  return {
    name,
    file: 'usual',
    async prepare(wrapper, { seed, isQuick }) {
      const addFileHash = (/** @type {any} */ file) => wrapper.addFileHash(file);
      await run(someFiles(seed, WARM_UP, WARM_UP_FILES), addFileHash);
      const files = someFiles(seed, isQuick ? quickCount : count);
      return () => run(files, addFileHash);
    },
  };
}

/** @type {Scenario[]} */
const SCENARIOS = [
  createLookups('lookups, awaited one by one', 20_000, oneByOne),
  createLookups('lookups, 1,000 at once', 20_000, manyAtOnce),
  createInserts('inserts, awaited one by one', { count: 20_000, quickCount: 5_000 }, oneByOne),
  createInserts('inserts, 1,000 at once', { count: 20_000, quickCount: 5_000 }, manyAtOnce),
  {
    name: 'a lookup and an insert 20,000 times in one transaction',
    file: 'usual',
    async prepare(wrapper, { seed, isQuick }) {
      const look = async (/** @type {any} */ file) => {
        if (!(await wrapper.isFileUploaded(file.hash))) await wrapper.addFileHash(file);
      };
      await wrapper.transaction(() => oneByOne(someFiles(seed, WARM_UP, WARM_UP_FILES), look));
      const files = someFiles(seed, isQuick ? 5_000 : 20_000);
      return () => wrapper.transaction(() => oneByOne(files, look));
    },
  },
  {
    name: 'saturated writing beside short reads of another process',
    file: 'usual',
    foreign: 'reads',
    isLogWatched: true,
    async prepare(wrapper, { seed, isQuick }) {
      await oneByOne(someFiles(seed, WARM_UP, WARM_UP_FILES), (file) => wrapper.addFileHash(file));
      let written = 0;
      return async () => {
        const end = performance.now() + (isQuick ? 5_000 : 60_000);
        const lane = async () => {
          while (performance.now() < end) {
            written += 1;
            await wrapper.addFileHash(fileRecord(seed, MISSING_FILES + written));
          }
        };
        await Promise.all(Array.from({ length: LANES }, lane));
        return written;
      };
    },
  },
  {
    name: 'list of 100,000 rows',
    file: 'one chat',
    prepare: async (wrapper) => async () => (await wrapper.findFileHashes(chatId(0))).length,
  },
  {
    name: 'iteration over the large file',
    file: 'large',
    prepare: async (wrapper) => async () => {
      let rows = 0;
      for await (const file of wrapper.iterateFileHashes()) rows += Number(file.file_size > 0);
      return rows;
    },
  },
  {
    name: 'vacuum of the large file',
    file: 'large',
    prepare: async (wrapper) => async () => {
      await wrapper.vacuum();
      return 1;
    },
  },
  {
    name: 'inserts while another process holds the lock for 3 s',
    file: 'usual',
    foreign: 'lock',
    async prepare(wrapper, { seed }) {
      const addFileHash = (/** @type {any} */ file) => wrapper.addFileHash(file);
      await oneByOne(someFiles(seed, WARM_UP, WARM_UP_FILES), addFileHash);
      const files = someFiles(seed, AT_ONCE);
      return () => oneByOne(files, addFileHash);
    },
  },
];

/**
 * Wraps a peer as an application would: an async function for each call, statements prepared once.
 *
 * @param {any} database
 * @returns {Wrapper}
 */
function wrapPeer(database) {
  return {
    isFileUploaded: async (hash) => statement(database, 'fileExists').get(hash) !== undefined,
    addFileHash: async (file) => statement(database, 'addFileNamed').run(file),
    findFileHashes: async (chat) => statement(database, 'findFiles').all(chat),
    async *iterateFileHashes() {
      yield* statement(database, 'listFiles').iterate(0, -1);
    },
    vacuum: async () => database.exec('VACUUM'),
    async transaction(run) {
      database.exec('BEGIN IMMEDIATE');
      const result = await run();
      database.exec('COMMIT');
      return result;
    },
  };
}

module.exports = { SCENARIOS, wrapPeer };
