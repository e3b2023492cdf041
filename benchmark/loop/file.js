// @ts-check
'use strict';

const { FILES, chatId } = require('../dataset.js');
const { changeFile, copy } = require('../workspace.js');

/**
 * Owns the files that the work on the event loop needs: the benchmark's own, one whose files are
 * all of one chat, and a large one.
 */

/** A million rows make some 400 MB. */
const LARGE_ROWS = 1_000_000;
const QUICK_LARGE_ROWS = 150_000;

/** The rows of one transaction, so that the log stays small. */
const STEP = 50_000;

/** Eight words of the row's number, each mixed differently; the first alone makes no two alike. */
const HASH_WORDS = Array.from({ length: 8 }, (_, word) => `((i + ${word * 7_919}) * 2654435761) & 4294967295`);

const ADD_SQL = `
  WITH RECURSIVE numbers (i) AS (VALUES (?) UNION ALL SELECT i + 1 FROM numbers WHERE i < ?)
  INSERT INTO file_hashes
    (hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, chat_id, uploaded_at)
  SELECT
    printf('${'%08x'.repeat(8)}', ${HASH_WORDS.join(', ')}),
    printf('WhatsApp/Media/WhatsApp Images/IMG-20260101-WA%07d.jpg', i), printf('IMG-20260101-WA%07d.jpg', i),
    20000 + i % 4000000, 'image/jpeg', 'photos', printf('upload-%024d', i), printf('49151%08d@c.us', i % 1000),
    '2026-01-01T00:00:00.000Z'
  FROM numbers`;

/**
 * Makes the originals, each when it is first asked for.
 *
 * @param {string} original
 * @param {boolean} isQuick
 */
function createOriginals(original, isQuick) {
  /** @type {Record<'usual' | 'one chat' | 'large', (() => string) | string>} */
  const originals = {
    usual: original,
    'one chat': () => {
      const file = copy(original, 'one-chat');
      changeFile(file, (connection) => connection.run('UPDATE file_hashes SET chat_id = ?', [chatId(0)]));
      return file;
    },
    large: () => {
      const file = copy(original, 'large');
      changeFile(file, (connection) => {
        const last = isQuick ? QUICK_LARGE_ROWS : LARGE_ROWS;
        for (let first = FILES; first < last; first += STEP) connection.run(ADD_SQL, [first, first + STEP - 1]);
      });
      return file;
    },
  };
  return (/** @type {keyof typeof originals} */ name) => {
    const made = originals[name];
    const file = typeof made === 'function' ? made() : made;
    originals[name] = file;
    return file;
  };
}

module.exports = { createOriginals };
