'use strict';

/**
 * Owns a process that writes to a ledger until it is told to stop: each file with its count, in one
 * transaction. It says when it has begun, and at the end how often it wrote and what failed.
 */

const { DatabaseManager } = require('../../index.js');
const { newFileHash } = require('./ledger.js');

const [, , file] = process.argv;
let isStopped = false;
process.on('message', () => {
  isStopped = true;
});

async function main() {
  const db = new DatabaseManager({ path: file, timeout: 60_000, enableWAL: process.argv[3] !== 'false' });
  await db.connect();
  const failures = [];
  const acknowledged = [];
  for (let count = 0; !isStopped; count += 1) {
    const hash = `steady-${process.pid}-${count}`;
    try {
      await db.transaction(async () => {
        await db.addFileHash(newFileHash(hash));
        await db.setConfig(`steady-${process.pid}`, count);
      });
      acknowledged.push(hash);
    } catch (error) {
      failures.push(`${error.code}: ${error.message}`);
    }
    if (count === 0) process.send('begun');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const stats = await db.getStats();
  await db.disconnect();
  process.send({ acknowledged, failures, totalFiles: stats.totalFiles }, () => process.disconnect());
}

main();
