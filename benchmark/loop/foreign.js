// @ts-check
'use strict';

const { createConnection } = require('../..');
const { LARGE_CHATS, chatId } = require('../dataset.js');

/**
 * Owns the other process: it reads shortly, again and again, or holds the write lock for a while.
 * It tells its parent when it has begun, and ends by itself when it is not wanted any more.
 */

const HOLD_MS = 3_000;
const PAUSE_MS = 1;

/** @param {import('../../index').SqliteConnection} connection */
function readOn(connection) {
  const find = connection.prepare('SELECT * FROM file_hashes WHERE chat_id = ?');
  let read = 0;
  setInterval(() => {
    find.all([chatId(read % LARGE_CHATS)]);
    read += 1;
  }, PAUSE_MS);
}

/** @param {import('../../index').SqliteConnection} connection */
function holdLock(connection) {
  const database = connection.getDatabase();
  database.exec('BEGIN IMMEDIATE');
  setTimeout(() => {
    database.exec('COMMIT');
    connection.close();
    process.disconnect();
  }, HOLD_MS);
}

const [mode, file] = process.argv.slice(2);
const connection = createConnection({ path: file });
process.once('disconnect', () => process.exit());
if (mode === 'lock') holdLock(connection);
else readOn(connection);
process.send?.('begun');
