'use strict';

/**
 * The same uploader on better-sqlite3, as such programs are written: what must be one is sometimes two
 * statements, and a transaction around something awaited is `BEGIN` and `COMMIT` by hand, deferred. It
 * says the lines of kill-writer-child.js. It knows nothing of our addon, so that one SQLite alone is here.
 */

const { readFileSync, writeSync } = require('node:fs');
const path = require('node:path');
const { setImmediate: nextTurn, setTimeout: sleep } = require('node:timers/promises');
const { loadBetterSqlite3 } = require('../../benchmark/peer.js');

const [file, seed, round, manner] = process.argv.slice(2);
const isPremature = manner === 'premature';
const Database = loadBetterSqlite3();
const NOW = '2026-01-31T12:00:00.000Z';
let state = Number(seed) >>> 0;
let numbers = 0;
const standing = [];

/** The generator of ledger.js, which cannot be had without our addon. */
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}

const db = new Database(file, { timeout: 5000 });
db.pragma('journal_mode = WAL');
db.pragma('synchronous = NORMAL');
db.pragma('foreign_keys = ON');
if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'config'").get()) {
  const schema = readFileSync(path.join(__dirname, '..', '..', 'src', 'migration', 'v1.sql'), 'utf8');
  db.transaction(() => db.exec(schema))();
}
const insert = db.prepare(
  `INSERT INTO file_hashes (hash, file_path, file_name, file_size, mime_type, upload_service, chat_id, uploaded_at)
   VALUES (?, ?, 'a.jpg', 1024, 'image/jpeg', 'photos', ?, '${NOW}')`,
);
const count = db.prepare("UPDATE upload_sessions SET success_count = success_count + ? WHERE id = 'counted'");
const logError = db.prepare(
  `INSERT INTO upload_errors (session_id, file_path, error_type, error_message)
   VALUES ('counted', '/media/a.jpg', 'UPLOAD_FAILED', 'Network timeout')`,
);
const setConfig = db.prepare("INSERT OR REPLACE INTO config (key, value) VALUES ('progress', ?)");
const remove = db.prepare('DELETE FROM file_hashes WHERE hash = ?');
const begin = db.prepare('BEGIN');
const commit = db.prepare('COMMIT');
db.prepare(
  `INSERT OR IGNORE INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files)
   VALUES ('counted', 'chat123', 'Family Photos', '${NOW}', '${NOW}', 100)`,
).run();

const say = (line) => writeSync(1, `${line}\n`);
const next = () => `${round}.${numbers++}`;
const add = (hash, chat, size) => insert.run(hash, 'x'.repeat(size), chat);

function promised(line, run) {
  if (isPremature) say(typeof line === 'function' ? line('?') : line);
  const value = run();
  if (!isPremature) say(typeof line === 'function' ? line(value) : line);
}

function addOne() {
  const hash = next();
  promised(`+ ${hash}`, () => add(hash, 'single', 100));
  standing.push(hash);
}

function addMany() {
  for (let n = 0; n < 1000; n += 1) {
    const hash = next();
    promised(`+ ${hash}`, () => add(hash, 'single', 6000));
  }
}

function addBatch() {
  const hashes = Array.from({ length: 200 }, next);
  const addAll = db.transaction(() => {
    for (const hash of hashes) add(hash, 'single', 2000);
  });
  promised(hashes.map((hash) => `+ ${hash}`).join('\n'), addAll);
}

async function transact() {
  const group = next();
  begin.run();
  for (let n = 0; n < 3; n += 1) {
    add(`${group}/${n}`, 'counted', 500);
    if (random() < 0.6) await (random() < 0.5 ? nextTurn() : sleep(1));
  }
  count.run(3);
  promised(`t ${group}`, () => commit.run());
}

/** A file and its counting, each for itself. */
function uploadOne() {
  const group = next();
  const addAll = db.transaction(() => {
    for (let n = 0; n < 3; n += 1) add(`${group}/${n}`, 'counted', 500);
  });
  addAll();
  promised(`t ${group}`, () => count.run(3));
}

const logOne = () =>
  promised(
    (id) => `e ${id}`,
    () => logError.run().lastInsertRowid,
  );
const setProgress = () => {
  const value = Number(round) * 1_000_000 + numbers++;
  promised(`c ${value}`, () => setConfig.run(String(value)));
};

function deleteOne() {
  const hash = standing.pop();
  if (hash === undefined) return addOne();
  say(`? ${hash}`);
  promised(`- ${hash}`, () => remove.run(hash));
}

const WORK = [
  [0.3, addOne],
  [0.4, transact],
  [0.5, uploadOne],
  [0.6, logOne],
  [0.7, setProgress],
  [0.78, deleteOne],
  [0.86, addBatch],
  [0.98, addMany],
  [0.99, () => db.exec('VACUUM')],
  [1, () => db.exec('ANALYZE')],
];

async function run() {
  say('ready');
  while (true) {
    const dice = random();
    await WORK.find(([share]) => dice < share)[1]();
  }
}

run();
