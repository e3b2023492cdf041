'use strict';

/**
 * The addon's own page cache: SQLite takes it only before it is used at all, and says nothing later. The
 * cache itself is tested in Rust.
 */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');

const LIB = path.join(__dirname, '..', 'lib');

/** What a thread of a new process is told, each time that it loads the addon. */
const PROGRAM = `
const path = require('node:path');
const { Worker, isMainThread } = require('node:worker_threads');
const lib = (name) => require(path.join(process.env.LIB, name));
const { DatabaseError } = lib('error.js');
const { sharedCodes } = lib('rows.js');
console.log(lib('load_binding.js').loadBinding().initialize(DatabaseError, sharedCodes));
if (isMainThread) {
  require(path.join(process.env.LIB, '..')).createConnection({ path: ':memory:' }).close();
  new Worker(process.env.PROGRAM, { eval: true });
}`;

test('SQLite has the page cache, in each thread of a process', () => {
  const env = { ...process.env, LIB, PROGRAM };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', PROGRAM], { env, encoding: 'utf8' });
  assert.equal(stdout, 'true\ntrue\n', stderr);
});
