'use strict';

/** Owns what stands in a call's way in tests: time, an open transaction, a lock of another connection. */

const { createConnection } = require('../../index.js');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens a transaction, works in it, and keeps it open until `release`, which resolves when it has ended. */
async function holdTransaction(db, work = () => {}) {
  let end;
  const held = new Promise((resolve) => {
    end = resolve;
  });
  let done;
  await new Promise((begun) => {
    done = db.transaction(async () => {
      await work();
      begun();
      await held;
    });
  });
  return {
    release() {
      end();
      return done;
    },
  };
}

/** Takes a file's lock on a connection of its own, closed when the test ends; `release` lets go of it. */
function holdLock(t, file, { begin = 'BEGIN IMMEDIATE', ...config } = {}) {
  const connection = createConnection({ ...config, path: file });
  t.after(() => connection.close());
  connection.exec(begin);
  return { release: () => connection.exec('COMMIT') };
}

module.exports = { holdLock, holdTransaction, sleep };
