'use strict';

/**
 * A process that does one job, to be killed: `node kill-job-child.js JOB FOLDER honest|lying`. It says
 * `ready`, begins when it gets a byte, and says `done`; `? name` and `+ name` stand before and after the
 * row of that name was added. Lying, it does the same job in a way that a kill must show.
 */

const fs = require('node:fs');
const path = require('node:path');
const { DatabaseManager, DatabaseMigrator, createConnection } = require('../../index.js');
const { newFileHash } = require('../support/ledger.js');
const { EXTRA, MIGRATIONS, makeScene } = require('./kill-scene.js');

const [job, folder, manner] = process.argv.slice(2);
const file = path.join(folder, 'ledger.db');
const backup = path.join(folder, 'backup.db');
const target = path.join(folder, 'target.db');
const TABLES = ['upload_errors', 'file_hashes', 'upload_sessions', 'config'];

const say = (line) => fs.writeSync(1, `${line}\n`);

/** Waits until the job is to begin. */
function ready() {
  say('ready');
  fs.readSync(0, Buffer.alloc(1));
}

async function add(db, name) {
  say(`? ${name}`);
  await db.addFileHash(newFileHash(`${EXTRA}${name}`));
  say(`+ ${name}`);
}

async function open() {
  const db = new DatabaseManager({ path: file });
  await db.connect();
  return db;
}

async function migrate() {
  const connection = createConnection({ path: file });
  ready();
  await new DatabaseMigrator(connection, { migrations: MIGRATIONS }).migrate();
  say('done');
}

/** The version first, and each statement for itself. */
async function migrateBadly() {
  const connection = createConnection({ path: file });
  ready();
  for (const { version, description, up } of MIGRATIONS) {
    connection.run('INSERT INTO schema_migrations (version, description) VALUES (?, ?)', [version, description]);
    if (typeof up === 'string') connection.exec(up);
    else await up(connection);
  }
  say('done');
}

/** Beside it, files are added. */
async function backUp() {
  const db = await open();
  ready();
  let isDone = false;
  const writing = (async () => {
    for (let n = 0; !isDone; n += 1) await add(db, n);
  })();
  await db.backup(target, { overwrite: true });
  say('done');
  isDone = true;
  await writing;
}

/** Straight to the backup's name. */
function backUpBadly() {
  const connection = createConnection({ path: file });
  ready();
  fs.rmSync(target, { force: true });
  connection.run('VACUUM INTO ?', [target]);
  say('done');
}

async function restore() {
  const db = await open();
  for (let n = 0; n < 3; n += 1) await add(db, `before-${n}`);
  ready();
  await db.restore(backup);
  say('done');
  for (let n = 0; n < 3; n += 1) await add(db, `after-${n}`);
}

/** One statement after the other, and nothing kept. */
function restoreBadly() {
  const connection = createConnection({ path: file });
  ready();
  connection.run('ATTACH ? AS source', [backup]);
  for (const table of TABLES) connection.exec(`DELETE FROM main.${table}`);
  for (const table of [...TABLES].reverse()) connection.exec(`INSERT INTO main.${table} SELECT * FROM source.${table}`);
  say('done');
}

async function repair() {
  ready();
  await new DatabaseManager({ path: file }).repair();
  say('done');
}

/** In the damaged file's own place. */
function repairBadly() {
  const from = createConnection({ path: backup, readonly: true });
  ready();
  fs.truncateSync(file, 0);
  fs.rmSync(`${file}-wal`, { force: true });
  const connection = createConnection({ path: file });
  for (const { sql } of from.all("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")) {
    connection.exec(sql);
  }
  for (const { hash, file_path: filePath } of from.all('SELECT hash, file_path FROM file_hashes')) {
    connection.run(
      `INSERT INTO file_hashes (hash, file_path, file_name, file_size, mime_type, upload_service, chat_id)
       VALUES (?, ?, '', 0, '', 'photos', '')`,
      [hash, filePath],
    );
  }
  say('done');
}

async function vacuum() {
  const db = await open();
  for (let n = 0; n < 3; n += 1) await add(db, `before-${n}`);
  ready();
  const vacuumed = db.vacuum().then(() => say('done'));
  for (let n = 0; n < 3; n += 1) await add(db, `after-${n}`);
  await vacuumed;
}

/** A new file, copied over the present one. */
function vacuumBadly() {
  const connection = createConnection({ path: file });
  ready();
  connection.run('VACUUM INTO ?', [target]);
  connection.close();
  const bytes = fs.readFileSync(target);
  const descriptor = fs.openSync(file, 'r+');
  for (let at = 0; at < bytes.length; at += 4096)
    fs.writeSync(descriptor, bytes, at, Math.min(4096, bytes.length - at), at);
  fs.ftruncateSync(descriptor, bytes.length);
  say('done');
}

/** @type {Record<string, Record<string, () => unknown>>} */
const JOBS = {
  scene: { honest: () => makeScene(folder) },
  migrate: { honest: migrate, lying: migrateBadly },
  backup: { honest: backUp, lying: backUpBadly },
  restore: { honest: restore, lying: restoreBadly },
  repair: { honest: repair, lying: repairBadly },
  vacuum: { honest: vacuum, lying: vacuumBadly },
};

async function run() {
  await JOBS[job][manner]();
  // Until it is killed.
  say('idle');
  setInterval(() => {}, 1000);
}

run();
