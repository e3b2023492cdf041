// @ts-check
'use strict';

const { FILES } = require('../dataset.js');
const { createRandom } = require('../random.js');
const { statement, toFile } = require('../statement.js');

/**
 * Owns lists of rows of nine columns by prepared statements, each in autocommit: `all()`, and
 * `iterate()`, which reads one field of each row. The peers' fastest way asks for arrays and makes
 * the records of them.
 */

/** @typedef {{ starts: number[], rows: number }} Lists each list begins behind a row */

/**
 * @param {Lists} lists
 * @param {(start: number, rows: number) => number} read says how many rows it has read
 */
function readEach({ starts, rows }, read) {
  let count = 0;
  for (const start of starts) count += read(start, rows);
  return count;
}

/** @param {Iterable<any>} files */
function countSized(files) {
  let count = 0;
  for (const file of files) count += Number(file.file_size > 0);
  return count;
}

/** @param {Iterable<any[]>} rows */
function countSizedRows(rows) {
  let count = 0;
  for (const cells of rows) count += Number(toFile(cells).file_size > 0);
  return count;
}

/**
 * @param {Pick<import('../measurement.js').Operation<Lists, any>, 'ours' | 'betterSqlite3' | 'betterSqlite3Fastest'>} ways
 * @param {Pick<import('../measurement.js').Operation<Lists, any>, 'name' | 'count' | 'quickCount' | 'goal'> & { rows: number }} traits
 * @returns {import('../measurement.js').Operation<Lists, any>}
 */
function createList(ways, traits) {
  const { rows } = traits;
  return {
    ...traits,
    group: 'statement',
    floor: 'list_rows',
    isReading: true,
    prepare({ roundSeed, count }) {
      const random = createRandom(roundSeed);
      return { starts: Array.from({ length: count }, () => random() % (FILES - rows + 1)), rows };
    },
    expected: (count) => count * rows,
    ...ways,
    nodeSqlite: ways.betterSqlite3,
    nodeSqliteFastest: ways.betterSqlite3Fastest,
  };
}

const ALL = {
  ours: async (/** @type {any} */ connection, /** @type {Lists} */ lists) => {
    const list = statement(connection, 'listFiles');
    return readEach(lists, (start, rows) => list.all([start, rows]).length);
  },
  betterSqlite3: (/** @type {any} */ database, /** @type {Lists} */ lists) => {
    const list = statement(database, 'listFiles');
    return readEach(lists, (start, rows) => list.all(start, rows).length);
  },
  betterSqlite3Fastest: (/** @type {any} */ database, /** @type {Lists} */ lists) => {
    const list = statement(database, 'listFiles', 'arrays');
    return readEach(lists, (start, rows) => list.all(start, rows).map(toFile).length);
  },
};

const ITERATE = {
  ours: async (/** @type {any} */ connection, /** @type {Lists} */ lists) => {
    const list = statement(connection, 'listFiles');
    return readEach(lists, (start, rows) => countSized(list.iterate([start, rows])));
  },
  betterSqlite3: (/** @type {any} */ database, /** @type {Lists} */ lists) => {
    const list = statement(database, 'listFiles');
    return readEach(lists, (start, rows) => countSized(list.iterate(start, rows)));
  },
  betterSqlite3Fastest: (/** @type {any} */ database, /** @type {Lists} */ lists) => {
    const list = statement(database, 'listFiles', 'arrays');
    return readEach(lists, (start, rows) => countSizedRows(list.iterate(start, rows)));
  },
};

module.exports = [
  createList(ALL, {
    name: 'all() of 1,000 rows',
    rows: 1_000,
    count: 50,
    quickCount: 20,
    goal: { betterSqlite3: 2, floor: 1.4 },
  }),
  createList(ALL, {
    name: 'all() of 100,000 rows',
    rows: 100_000,
    count: 1,
    quickCount: 1,
    goal: { betterSqlite3: 1.9, floor: 1.4 },
  }),
  createList(ITERATE, {
    name: 'iterate() of 100,000 rows',
    rows: 100_000,
    count: 1,
    quickCount: 1,
    goal: { betterSqlite3: 2, floor: 1.4 },
  }),
];
