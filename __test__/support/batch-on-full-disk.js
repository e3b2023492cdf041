'use strict';

/**
 * Owns the scene of a batch that does not fit on the disk: the cache given holds all of it until
 * COMMIT, or hardly any. Prints one JSON line: what became of it and of what came after it.
 */

const { DatabaseManager } = require('../../index.js');
const { newFileHash } = require('./ledger.js');

async function play([file, cacheSize]) {
  const db = new DatabaseManager({ path: file, cacheSize: Number(cacheSize) });
  await db.connect();
  await db.initializeSchema();
  await db.addFileHash(newFileHash('kept'));
  const files = Array.from({ length: 1000 }, (_, n) => newFileHash(`h${n}`, { file_path: 'x'.repeat(8000) }));
  const outcome = await db.addFileHashes(files).then(
    () => 'resolved',
    (error) => error.code,
  );
  const added = await db.addFileHashes(files.slice(0, 3));
  const { totalFiles } = await db.getStats();
  console.log(JSON.stringify([outcome, added.map(({ value }) => value), totalFiles]));
  await db.disconnect();
}

play(process.argv.slice(2));
