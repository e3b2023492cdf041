'use strict';

/** Two processes that start on one new file together: each version once, never an error. */

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const test = require('node:test');
const { createConnection } = require('../index.js');
const { makeFolder } = require('./support/ledger.js');

const ROUNDS = 200;

test(`${ROUNDS} times two processes migrate one new file together`, async (t) => {
  const folder = makeFolder(t);
  const children = [0, 1].map(() => fork(path.join(__dirname, 'support', 'starter.js')));
  t.after(() => {
    for (const child of children) child.kill();
  });
  await Promise.all(children.map((child) => once(child, 'message')));
  for (let round = 0; round < ROUNDS; round += 1) {
    const file = path.join(folder, `${round}.db`);
    const ways = [round % 2 ? 'manager' : 'migrator', round % 4 < 2 ? 'manager' : 'migrator'];
    const answers = children.map((child) => once(child, 'message'));
    children.forEach((child, index) => {
      child.send({ file, way: ways[index] });
    });
    for (const [answer] of await Promise.all(answers)) assert.deepEqual(answer, { version: 1 }, `round ${round}`);
    const connection = createConnection({ path: file });
    assert.deepEqual(connection.all('SELECT version FROM schema_migrations'), [{ version: 1 }]);
    assert.equal(connection.get('SELECT count(*) AS n FROM sqlite_schema WHERE sql IS NOT NULL').n, 12 + 1);
    connection.close();
  }
});
