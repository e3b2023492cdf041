'use strict';

/**
 * One process of the campaign: plays recipes with secrets of their own and says where a secret came out.
 * Its own streams are looked at by the one that starts it.
 */

const { mkdtempSync, rmSync, writeSync } = require('node:fs');
const path = require('node:path');
const { inspect } = require('node:util');
const index = require('../../../index.js');
const { makeRandom, newError, newFileHash, newSession } = require('../../support/ledger.js');
const { FileFault } = require('../file-fault.js');
const { failCheckpoints } = require('./checkpoint.js');
const { RECIPES, VALUES } = require('./recipes.js');

const { DatabaseError, DatabaseManager, createConnection } = index;

const fault = process.env.FILE_FAULT_CONTROL ? FileFault.own() : undefined;
const ALL = fault ? [...RECIPES, (scene, hear) => failCheckpoints(scene, hear, fault)] : RECIPES;

/** A secret's mark: its own case's secret follows. */
const makeSecret = (mark, random) => `${mark}${Math.floor(random() * 2 ** 40).toString(36)}`;

/** Everything that can be read off a value: an error with its causes, a report. */
function textOf(value) {
  const parts = [String(value?.stack ?? ''), inspect(value, { depth: 12, showHidden: true, getters: true })];
  try {
    parts.push(
      JSON.stringify(value) ?? '',
      JSON.stringify(
        Object.fromEntries(Reflect.ownKeys(Object(value)).map((key) => [String(key), String(value[key])])),
      ),
    );
  } catch {
    // What has no JSON gives no secret by it.
  }
  return parts.join('\n');
}

async function openScene(root, secret, value) {
  const folder = mkdtempSync(path.join(root, 'scene-'));
  const file = path.join(folder, 'ledger.db');
  const db = new DatabaseManager({ path: file, timeout: 1000 });
  await db.connect();
  await db.initializeSchema();
  await db.createSession(newSession({ id: 's', chat_name: secret }));
  await db.addFileHash(newFileHash('taken', { upload_id: secret, file_path: secret }));
  await db.logError(newError('s', { error_message: secret }));
  await db.setConfig('taken', { secret });
  await db.setConfig(secret, secret);
  const connection = createConnection({ path: path.join(folder, 'other.db') });
  connection.exec(`
    CREATE TABLE config (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL);
    INSERT INTO config VALUES ('taken', '${secret}', 'x');
    CREATE TABLE guarded (a CHECK (a <> a));
    CREATE TABLE strict (a INTEGER) STRICT;
    CREATE TABLE raised (a);
    CREATE TRIGGER g BEFORE INSERT ON raised BEGIN SELECT RAISE(ABORT, 'refused'); END;
    CREATE TABLE unique_expression (a);
    CREATE UNIQUE INDEX u ON unique_expression (length(a || '${secret}') * 0);
    INSERT INTO unique_expression VALUES (1);
  `);
  return { folder, file, db, connection, secret, value };
}

async function main({ seed, first, count, mark, plant, folder }) {
  const faults = [];
  const heard = { errors: 0, reports: 0, events: 0, warnings: 0 };
  const warnings = [];
  process.on('warning', (warning) => warnings.push(textOf(warning)));
  if (plant) {
    DatabaseManager.prototype.setConfig = async function leak(key, value) {
      throw new DatabaseError(`setConfig: ${inspect(value)} is refused`, {
        code: 'DB_INVALID_ARGUMENT',
        operation: 'setConfig',
        cause: { key },
      });
    };
  }
  for (let number = first; number < first + count && faults.length < 5; number += 1) {
    const random = makeRandom(seed * 1_000_003 + number);
    const secret = makeSecret(mark, random);
    const recipe = ALL[number % ALL.length];
    const value = VALUES[Math.floor(number / ALL.length + random() * VALUES.length) % VALUES.length](secret);
    const look = (what, given) => {
      if (textOf(given).includes(secret)) faults.push(`case ${number}, ${what}: ${textOf(given).slice(0, 500)}`);
    };
    const scene = await (plant ? openBare(folder, secret, value) : openScene(folder, secret, value));
    scene.db.on('checkpointError', (error) => {
      heard.events += 1;
      look('an event', error);
    });
    /** Hears how a call failed; of those that succeed, only reports are looked at. */
    const hear = async (call, { values = true } = {}) => {
      try {
        const made = await call();
        heard.reports += 1;
        if (values && typeof made !== 'string') look(`what ${call} gave`, made);
      } catch (error) {
        heard.errors += 1;
        look(`an error of ${call}`, error);
      }
    };
    try {
      await recipe(scene, hear);
      await hear(() => scene.db.getStats());
      await hear(() => scene.db.checkIntegrity());
    } finally {
      scene.connection.close();
      await scene.db.disconnect();
      rmSync(scene.folder, { recursive: true, force: true });
    }
  }
  heard.warnings = warnings.length;
  for (const warning of warnings) if (warning.includes(mark)) faults.push(`a warning: ${warning.slice(0, 300)}`);
  // The mark itself must not stand in what is told: the streams are looked through for it.
  const told = faults.map((fault) => fault.replaceAll(mark, '<secret>'));
  writeSync(1, `${JSON.stringify({ faults: told, heard })}\n`);
}

/** The planted fault needs no rows. */
async function openBare(root, secret, value) {
  const folder = mkdtempSync(path.join(root, 'scene-'));
  const db = new DatabaseManager({ path: path.join(folder, 'ledger.db') });
  await db.connect();
  await db.initializeSchema();
  const connection = createConnection({ path: ':memory:' });
  return { folder, file: path.join(folder, 'ledger.db'), db, connection, secret, value };
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error);
  process.exit(4);
});
