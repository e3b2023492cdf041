'use strict';

/**
 * Owns what the killed jobs begin with, and the form in which a file's state is compared: all of its rows
 * and its schema in one text, and apart from these the rows that were added while a job ran.
 */

const { createHash } = require('node:crypto');
const path = require('node:path');
const { setImmediate: nextTurn } = require('node:timers/promises');
const { DatabaseManager, createConnection } = require('../../index.js');
const { newError, newFileHash, newSession } = require('../support/ledger.js');

/** Begins the hashes of rows that are added while a job runs. */
const EXTRA = 'extra-';
const FIRST_FILES = 400;
const LATER_FILES = 200;

const newFiles = (from, count) =>
  Array.from({ length: count }, (_, n) => newFileHash(`base-${from + n}`, { file_path: 'x'.repeat(200 + (n % 50)) }));

/** Migrations that fill, rebuild and change tables, so that a part of one can be told from all of it. */
const MIGRATIONS = [
  {
    version: 2,
    description: 'albums',
    up: `CREATE TABLE albums (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
      INSERT INTO albums (title) SELECT file_path FROM file_hashes LIMIT 200;
      CREATE INDEX idx_albums_title ON albums(title);`,
  },
  {
    version: 3,
    description: 'notes, by a function',
    up: async (connection) => {
      connection.exec('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)');
      for (let n = 0; n < 10; n += 1) {
        for (let row = 0; row < 20; row += 1) connection.run('INSERT INTO notes (text) VALUES (?)', [`${n}.${row}`]);
        await nextTurn();
      }
    },
  },
  {
    version: 4,
    description: 'albums with a year',
    up: `CREATE TABLE albums_new (id INTEGER PRIMARY KEY, title TEXT NOT NULL, year INTEGER DEFAULT 2026);
      INSERT INTO albums_new (id, title) SELECT id, title FROM albums;
      DROP TABLE albums;
      ALTER TABLE albums_new RENAME TO albums;`,
  },
  {
    version: 5,
    description: 'another type',
    up: `UPDATE file_hashes SET mime_type = 'image/webp' WHERE hash LIKE 'base-1%';
      DELETE FROM notes WHERE id % 3 = 0;`,
  },
];

/**
 * Makes a ledger whose last rows stand in its log, and beside it a backup of its state before these. The
 * process must end without closing it.
 *
 * @param {string} folder
 */
async function makeScene(folder) {
  const db = new DatabaseManager({ path: path.join(folder, 'ledger.db') });
  await db.connect();
  await db.initializeSchema();
  const session = await db.createSession(newSession());
  await db.addFileHashes(newFiles(0, FIRST_FILES));
  await db.logErrors(Array.from({ length: 30 }, () => newError(session)));
  await db.setConfig('theme', 'dark');
  await db.backup(path.join(folder, 'backup.db'));
  await db.disconnect();
  await db.connect();
  await db.addFileHashes(newFiles(FIRST_FILES, LATER_FILES));
  for (let n = 0; n < 50; n += 1) await db.deleteFileHash(`base-${n * 7}`);
  await db.setConfig('theme', 'light');
}

/**
 * Reads all that a file holds, through a connection of its own.
 *
 * @param {string} file
 */
function readState(file) {
  const connection = createConnection({ path: file });
  try {
    const integrity = connection.getDatabase().pragma('integrity_check', { simple: true });
    const schema = connection.all(
      "SELECT name, type, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name",
    );
    const hash = createHash('sha256').update(JSON.stringify(schema));
    const tables = schema.filter(({ type }) => type === 'table').map(({ name }) => name);
    let extras = [];
    let version = 0;
    for (const table of tables) {
      let rows = connection.all(`SELECT * FROM "${table}" ORDER BY 1`);
      if (table === 'file_hashes') {
        extras = rows.map((row) => row.hash).filter((text) => text.startsWith(EXTRA));
        rows = rows.filter((row) => !row.hash.startsWith(EXTRA));
      } else if (table === 'schema_migrations') {
        version = rows.at(-1)?.version ?? 0;
        rows = rows.map(({ applied_at: _, ...row }) => row);
      } else if (table === 'config') {
        // When it was vacuumed is kept there.
        rows = rows.filter(({ key }) => key === 'theme');
      }
      hash.update(JSON.stringify([table, rows]));
    }
    return { integrity, version, base: hash.digest('hex'), extras: extras.map((text) => text.slice(EXTRA.length)) };
  } finally {
    connection.close();
  }
}

module.exports = { EXTRA, MIGRATIONS, makeScene, readState };
