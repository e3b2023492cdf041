'use strict';

/** Owns one call of every method that takes a signal, and the ledger that they are made on. */

const path = require('node:path');
const { makeFolder, newError, newFileHash, newSession, openLedger } = require('./ledger.js');

/** The folder of each ledger's backups. */
const folders = new WeakMap();
const placeOf = (db, name) => path.join(folders.get(db), name);

/** Every method that takes a signal, on a ledger that `openKnown` has made. */
const CALLS = {
  initializeSchema: (db, options) => db.initializeSchema(options),
  getSchemaVersion: (db, options) => db.getSchemaVersion(options),
  createSession: (db, options) => db.createSession(newSession({ id: 'new' }), options),
  getSession: (db, options) => db.getSession('s', options),
  updateSession: (db, options) => db.updateSession('s', { total_files: 9 }, options),
  incrementSession: (db, options) => db.incrementSession('s', { total_files: 9 }, options),
  listSessions: (db, options) => db.listSessions(undefined, options),
  updateSessions: (db, options) => db.updateSessions([{ id: 's', changes: { total_files: 9 } }], options),
  deleteSession: (db, options) => db.deleteSession('r', options),
  addFileHash: (db, options) => db.addFileHash(newFileHash('new'), options),
  getFileHash: (db, options) => db.getFileHash('known', options),
  findFileHashes: (db, options) => db.findFileHashes('chat123', options),
  addFileHashes: (db, options) => db.addFileHashes([newFileHash('new')], { onConflict: 'replace', ...options }),
  findUploaded: (db, options) => db.findUploaded(['known'], options),
  deleteFileHash: (db, options) => db.deleteFileHash('known', options),
  isFileUploaded: (db, options) => db.isFileUploaded('known', options),
  logError: (db, options) => db.logError(newError('s'), options),
  getErrors: (db, options) => db.getErrors('s', options),
  logErrors: (db, options) => db.logErrors([newError('s')], options),
  incrementRetryCount: (db, options) => db.incrementRetryCount(1, options),
  clearErrors: (db, options) => db.clearErrors('s', options),
  setConfig: (db, options) => db.setConfig('known', 'changed', options),
  getConfig: (db, options) => db.getConfig('known', options),
  deleteConfig: (db, options) => db.deleteConfig('known', options),
  listConfig: (db, options) => db.listConfig(options),
  transaction: (db, options) => db.transaction(() => db.setConfig('known', 'changed'), options),
  vacuum: (db, options) => db.vacuum(options),
  analyze: (db, options) => db.analyze(options),
  backup: (db, options) => db.backup(placeOf(db, 'new.backup'), options),
  restore: (db, options) => db.restore(placeOf(db, 'known.backup'), options),
  getStats: (db, options) => db.getStats(options),
  flush: (db, options) => db.flush(options),
};

/** A ledger with a row of each kind. */
async function openKnown(t, config) {
  const db = await openLedger(t, config);
  for (const id of ['s', 'r']) await db.createSession(newSession({ id }));
  await db.addFileHash(newFileHash('known'));
  await db.logError(newError('s'));
  await db.setConfig('known', 'value');
  folders.set(db, makeFolder(t));
  await db.backup(placeOf(db, 'known.backup'));
  return db;
}

/** All that a ledger holds. */
const dump = async (db) =>
  JSON.stringify([
    await db.listSessions(),
    await db.findFileHashes('chat123'),
    await db.getErrors('s'),
    await db.listConfig(),
    (await db.getStats()).lastVacuum ?? null,
  ]);

module.exports = { CALLS, dump, openKnown };
