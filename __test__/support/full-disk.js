'use strict';

/**
 * Owns the scene on a disk that is nearly full, played in a process of its own so that a limit
 * on its files can stand for the disk. Prints one JSON line: what became of each call.
 */

const path = require('node:path');
const { DatabaseManager, createConnection } = require('../../index.js');
const { newFileHash } = require('./ledger.js');

const CANARY = 'canary-5ecre7';
const BIG = CANARY.repeat(600_000);
const outcomes = {};

/** Notes what a call has come to: null for success, or what matters of its error. */
async function note(name, promise) {
  outcomes[name] = await promise.then(
    () => null,
    (error) => ({
      code: error.code,
      operation: error.operation,
      retryable: error.retryable,
      typed: error.constructor.name === 'DatabaseError',
      secret: [error, error.cause].some((link) => String(link?.message).includes(CANARY)),
      cause: error.cause?.code,
    }),
  );
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function play(file) {
  // A cache this small writes to the disk in the middle of a transaction, not at its end alone.
  const db = new DatabaseManager({ path: file, cacheSize: 10, timeout: 2000 });
  await db.connect();
  await db.initializeSchema();
  for (let n = 0; n < 20; n += 1) await db.addFileHash(newFileHash(`kept-${n}`));

  await note('write', db.setConfig('big', BIG));
  await note('write after it', db.addFileHash(newFileHash('kept-after-write')));
  await note('read after it', db.getStats());

  const lost = db.transaction(async () => {
    await db.addFileHash(newFileHash('lost-in-transaction'));
    await note('write in transaction', db.setConfig('big', BIG));
    await note('write in the lost transaction', db.addFileHash(newFileHash('lost-behind')));
    await note('read in the lost transaction', db.isFileUploaded('kept-1'));
  });
  const outside = db.addFileHash(newFileHash('kept-from-outside'));
  await note('transaction', lost);
  await note('write from outside', outside);

  await note(
    'transaction with a nested one',
    db.transaction(async () => {
      await db.addFileHash(newFileHash('lost-in-parent'));
      const nested = db.transaction(async () => {
        await db.addFileHash(newFileHash('lost-in-child'));
        await pause(20);
        await db.setConfig('big', BIG);
      });
      const waiting = note('call that waited for the nested one', db.addFileHash(newFileHash('lost-while-waiting')));
      await note('nested transaction', nested);
      await waiting;
    }),
  );

  await note(
    'transaction that catches the error',
    db.transaction(async () => {
      await db.addFileHash(newFileHash('lost-though-caught'));
      await db.setConfig('big', BIG).catch(() => {});
    }),
  );

  const connection = createConnection({ path: file, cacheSize: 10 });
  const runAll = () =>
    connection.transaction(() => {
      connection.run("INSERT INTO config (key, value) VALUES ('lost', '1')");
      connection.run("INSERT INTO config (key, value) VALUES ('big', ?)", [BIG]);
    });
  await note('synchronous transaction', Promise.resolve().then(runAll));
  await note(
    'synchronous write after it',
    Promise.resolve().then(() => connection.run("INSERT INTO config (key, value) VALUES ('kept', '1')")),
  );
  connection.close();

  await note('delete', db.deleteFileHash('kept-0'));
  await note('last write', db.addFileHash(newFileHash('kept-last')));
  await db.disconnect();
  await db.connect();
  await note('write after connecting again', db.addFileHash(newFileHash('kept-again')));
  await db.disconnect();
  console.log(JSON.stringify(outcomes));
}

play(path.join(process.argv[2], 'ledger.db'));
