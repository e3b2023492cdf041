// @ts-check
'use strict';

const { createRandom, deriveSeed, shuffle } = require('./random.js');

/**
 * Owns what is in the benchmark's files: the profile L of a large library, made from a seed.
 * The same seed makes the same file, byte for byte but for the times of its making.
 *
 * @typedef {import('../index').NewFileHash & { upload_id: string | null, uploaded_at: string }} FileRecord
 */

const FILES = 100_000;
const CHATS = 1_000;
/** The first chats have this many files each; the other chats share the rest. */
const LARGE_CHATS = 20;
const FILES_OF_LARGE_CHAT = 1_000;
const SESSIONS = 1_000;
/** The first sessions have this many errors each, the others none. */
const SESSIONS_WITH_ERRORS = 100;
const ERRORS_OF_SESSION = 100;
const ERRORS = SESSIONS_WITH_ERRORS * ERRORS_OF_SESSION;

/** Where the indexes of files begin that are not in the file, and of those that never will be. */
const NEW_FILES = 1_000_000;
const MISSING_FILES = 2_000_000;

/** A chat's files were uploaded in runs of this many, between those of other chats. */
const FILES_IN_A_ROW = 25;

const DAY_SECONDS = 86_400;

/**
 * @param {number} number
 * @param {number} digits
 */
function pad(number, digits) {
  return String(number).padStart(digits, '0');
}

/**
 * A file's hash: 64 hexadecimal digits from its index, in one piece as a digest's are. What `+=` makes is
 * a tree of pieces, which is slower to read until it is made whole.
 *
 * @param {number} seed
 * @param {number} index
 */
function hashText(seed, index) {
  const random = createRandom(deriveSeed(seed, index));
  let text = '';
  for (let word = 0; word < 8; word += 1) text += random().toString(16).padStart(8, '0');
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** @param {number} index */
function chatId(index) {
  return `49151${pad(index, 8)}@c.us`;
}

/** @param {number} index */
function sessionId(index) {
  return `00000000-0000-7000-8000-${pad(index, 12)}`;
}

/** @param {number} index */
function fileName(index) {
  const month = 1 + (Math.floor(index / 28) % 12);
  return `IMG-2026${pad(month, 2)}${pad(1 + (index % 28), 2)}-WA${pad(index % 10_000, 4)}.jpg`;
}

/** @param {number} index */
function filePath(index) {
  return `WhatsApp/Media/WhatsApp Images/${fileName(index)}`;
}

/** @param {number} index a moment of the year 2026, one second after that of the index before */
function time(index) {
  const days = Math.floor(index / DAY_SECONDS);
  const date = `2026-${pad(1 + (Math.floor(days / 28) % 12), 2)}-${pad(1 + (days % 28), 2)}`;
  const clock = [Math.floor(index / 3_600) % 24, Math.floor(index / 60) % 60, index % 60];
  return `${date}T${clock.map((part) => pad(part, 2)).join(':')}.000Z`;
}

/**
 * @param {number} seed
 * @param {number} index
 * @param {string} [chat]
 * @returns {FileRecord}
 */
function fileRecord(seed, index, chat = chatId(index % CHATS)) {
  const hash = hashText(seed, index);
  return {
    hash,
    file_path: filePath(index),
    file_name: fileName(index),
    file_size: 20_000 + ((Math.imul(index, 7_919) >>> 0) % 4_000_000),
    mime_type: 'image/jpeg',
    upload_service: index % 4 === 0 ? 'drive' : 'photos',
    upload_id: index % 10 === 0 ? null : `upload-${hash.slice(0, 24)}`,
    chat_id: chat,
    uploaded_at: time(index),
  };
}

/** @param {number} session */
function errorRecord(session, index = session) {
  return {
    session_id: sessionId(session),
    file_path: filePath(index),
    error_type: 'transient',
    error_message: 'socket hang up (ECONNRESET)',
    retry_count: 0,
  };
}

/**
 * Says which chat each file is of, in the order of insertion.
 *
 * @param {number} seed
 * @returns {string[]}
 */
function assignChats(seed) {
  const others = FILES - LARGE_CHATS * FILES_OF_LARGE_CHAT;
  const runs = [];
  for (let chat = 0; chat < CHATS; chat += 1) {
    const share = Math.floor(others / (CHATS - LARGE_CHATS));
    const isOneMore = chat - LARGE_CHATS < others - share * (CHATS - LARGE_CHATS);
    let left = chat < LARGE_CHATS ? FILES_OF_LARGE_CHAT : share + Number(isOneMore);
    for (; left > 0; left -= FILES_IN_A_ROW) {
      runs.push(new Array(Math.min(left, FILES_IN_A_ROW)).fill(chatId(chat)));
    }
  }
  return shuffle(createRandom(deriveSeed(seed, MISSING_FILES)), runs).flat();
}

/**
 * Fills a database that has the schema and nothing else.
 *
 * @param {import('../index').SqliteConnection} connection
 * @param {number} seed
 */
function fill(connection, seed) {
  const session = connection.prepare(
    `INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files, status, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const file = connection.prepare(
    `INSERT INTO file_hashes (hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, chat_id,
     uploaded_at) VALUES (:hash, :file_path, :file_name, :file_size, :mime_type, :upload_service, :upload_id,
     :chat_id, :uploaded_at)`,
  );
  const error = connection.prepare(
    `INSERT INTO upload_errors (session_id, file_path, error_type, error_message, retry_count, timestamp)
     VALUES (:session_id, :file_path, :error_type, :error_message, :retry_count, :timestamp)`,
  );
  connection.transaction(() => {
    for (let index = 0; index < SESSIONS; index += 1) {
      const status = index % 10 === 0 ? 'running' : 'completed';
      const moment = time(index * 60);
      session.run([sessionId(index), chatId(index), `Chat ${index}`, moment, moment, 100, status, moment]);
    }
    assignChats(seed).forEach((chat, index) => {
      file.run({ ...fileRecord(seed, index, chat) });
    });
    for (let index = 0; index < ERRORS; index += 1) {
      const record = errorRecord(Math.floor(index / ERRORS_OF_SESSION), index);
      error.run({ ...record, timestamp: time(index) });
    }
  });
  for (const statement of [session, file, error]) statement.finalize();
}

module.exports = {
  CHATS,
  ERRORS,
  ERRORS_OF_SESSION,
  FILES,
  FILES_OF_LARGE_CHAT,
  LARGE_CHATS,
  MISSING_FILES,
  NEW_FILES,
  SESSIONS,
  SESSIONS_WITH_ERRORS,
  chatId,
  errorRecord,
  filePath,
  fileRecord,
  fill,
  hashText,
  sessionId,
};
