'use strict';

/** A process that does everything that could wait for the disk. */

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { DatabaseManager } = require('../../index.js');

const CHECKPOINT = `
  const { createConnection } = require(process.argv[1]);
  const connection = createConnection({ path: process.argv[2] });
  connection.get('PRAGMA wal_checkpoint(TRUNCATE)');
  connection.close();`;

/** Lets another process move the whole log into the file: the next write begins it again. */
function checkpointElsewhere(file) {
  const env = { ...process.env };
  delete env.LD_PRELOAD;
  const { status } = spawnSync(process.execPath, ['-e', CHECKPOINT, require.resolve('../../index.js'), file], { env });
  if (status !== 0) throw new Error('the other process failed');
}

const [file, synchronous] = process.argv.slice(2);
const hash = (n) => ({
  hash: `${n}`.padStart(64, '0'),
  file_path: `/media/${n}`,
  file_name: `${n}`,
  file_size: n,
  mime_type: 'image/jpeg',
  upload_service: 'photos',
  chat_id: 'chat',
});

const HOLD = `
  const { createConnection } = require(process.argv[1]);
  const holder = createConnection({ path: process.argv[2] });
  holder.run('BEGIN IMMEDIATE');
  createConnection({ path: process.argv[2] }).get('PRAGMA wal_checkpoint(PASSIVE)');
  console.log('held');
  setTimeout(() => holder.run('ROLLBACK'), 200);`;

/** Lets another process hold the write lock while the whole log is moved into the file. */
async function holdElsewhere(file) {
  const env = { ...process.env };
  delete env.LD_PRELOAD;
  const args = ['-e', HOLD, require.resolve('../../index.js'), file];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
}

(async () => {
  const db = new DatabaseManager({ path: file, synchronous });
  for (let round = 0; round < 3; round += 1) {
    await db.connect();
    await db.initializeSchema();
    for (let n = 0; n < 1500; n += 1) await db.addFileHash(hash(round * 10_000 + n));
    await db.transaction(async () => {
      for (let n = 0; n < 1500; n += 1) await db.addFileHash(hash(round * 10_000 + 5_000 + n));
    });
    await db.setConfig('round', round);
    checkpointElsewhere(file);
    await db.setConfig('behind a checkpoint', round);
    checkpointElsewhere(file);
    await db.transaction(() => db.setConfig('behind another', round));
    await holdElsewhere(file);
    await db.setConfig('behind a lock', round);
    await db.vacuum();
    await db.analyze();
    await db.addFileHash(hash(round * 10_000 + 9_000));
    await db.disconnect();
  }
})();
