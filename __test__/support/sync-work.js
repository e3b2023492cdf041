'use strict';

/** A process that does everything that could wait for the disk. */

const { DatabaseManager } = require('../../index.js');

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
    await db.vacuum();
    await db.analyze();
    await db.addFileHash(hash(round * 10_000 + 9_000));
    await db.disconnect();
  }
})();
