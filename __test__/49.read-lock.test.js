'use strict';

/** The lock that a synchronous connection keeps between the reads of one turn of the loop: what it may not change. */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { setImmediate: nextTurn } = require('node:timers/promises');
const { createConnection } = require('../index.js');
const { makeFolder } = require('./support/ledger.js');

const COUNT = 'SELECT count(*) AS rows FROM t';
const INSERT = 'INSERT INTO t VALUES (1)';

/** @param {import('node:test').TestContext} t */
function openPair(t) {
  const file = path.join(makeFolder(t), 'a.db');
  const open = () => {
    const connection = createConnection({ path: file, timeout: 1_000 });
    t.after(() => connection.close());
    return connection;
  };
  const [one, two] = [open(), open()];
  one.exec('CREATE TABLE t (a)');
  one.run(INSERT);
  return { file, one, two };
}

function readRows(connection) {
  return connection.get(COUNT).rows;
}

/** Says whether the log could be emptied: it cannot while anybody has a reader's lock. */
function emptyLog(connection) {
  return connection.get('PRAGMA wal_checkpoint(TRUNCATE)').busy === 0;
}

function emptyLogByPragma(connection) {
  return connection.pragma('wal_checkpoint(TRUNCATE)')[0].busy === 0;
}

function emptyLogByExec(connection) {
  connection.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  return connection.get('PRAGMA wal_checkpoint(PASSIVE)').log === 0;
}

/** The same from another process. */
function emptyLogElsewhere(file) {
  const script = `const connection = require(process.argv[1]).createConnection({ path: process.argv[2], timeout: 1_000 });
    process.stdout.write(String(connection.get('PRAGMA wal_checkpoint(TRUNCATE)').busy));`;
  return execFileSync(process.execPath, ['-e', script, path.join(__dirname, '..'), file], { encoding: 'utf8' }) === '0';
}

test('from the second read of a turn on the lock stays, until the loop goes on', {
  skip: process.platform === 'win32' && 'there is no such lock',
}, async (t) => {
  const { file, one, two } = openPair(t);
  assert.equal(readRows(one), 1);
  assert.equal(emptyLogElsewhere(file), true, 'behind one read');
  two.run(INSERT);
  assert.equal(readRows(one), 2);
  assert.equal(emptyLogElsewhere(file), false, 'behind two reads');
  await nextTurn();
  assert.equal(emptyLogElsewhere(file), true, 'in the next turn');
  assert.equal(readRows(one), 2);
  assert.equal(emptyLogElsewhere(file), true, 'behind the first read of that turn');
});

test('another connection of the thread does not wait for it', (t) => {
  const { one, two } = openPair(t);
  const since = performance.now();
  for (const empty of [emptyLog, emptyLogByPragma, emptyLogByExec]) {
    for (let read = 0; read < 5; read += 1) readRows(one);
    two.run(INSERT);
    for (let read = 0; read < 5; read += 1) readRows(one);
    assert.equal(empty(two), true);
  }
  assert.ok(performance.now() - since < 1_000, 'none has waited for its timeout');
});

test('each read of a turn sees what other handles and processes have committed before it', (t) => {
  const { file, one, two } = openPair(t);
  for (let rows = 1; rows < 20; rows += 1) {
    assert.equal(readRows(one), rows);
    assert.equal(one.all(COUNT)[0].rows, rows);
    two.run(INSERT);
  }
  const script = `const connection = require(${JSON.stringify(path.join(__dirname, '..'))}).createConnection({ path: process.argv[1] });
    connection.run(${JSON.stringify(INSERT)});
    connection.pragma('wal_checkpoint');
    connection.run(${JSON.stringify(INSERT)});
    connection.close();`;
  for (let rows = 20; rows < 24; rows += 2) {
    assert.equal(readRows(one), rows);
    execFileSync(process.execPath, ['-e', script, file]);
  }
  assert.equal(readRows(one), 24);
});

test('a handle writes, and empties its log, by the lock that it keeps', (t) => {
  const { one, two } = openPair(t);
  for (let rows = 1; rows < 20; rows += 1) {
    assert.equal(readRows(one), rows);
    assert.equal(readRows(one), rows);
    one.run(INSERT);
    assert.equal(
      one.transaction(() => readRows(one)),
      rows + 1,
    );
    assert.equal(readRows(two), rows + 1);
  }
  assert.equal(emptyLog(one), true);
});

test('a handle that closes in the same turn takes its lock along', async (t) => {
  const { one, two } = openPair(t);
  for (let read = 0; read < 5; read += 1) readRows(one);
  one.close();
  assert.equal(emptyLog(two), true);
  assert.throws(() => readRows(one), { code: 'DB_CLOSED' });
  await nextTurn();
  two.run(INSERT);
  assert.equal(readRows(two), 2);
});
