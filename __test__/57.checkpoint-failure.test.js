'use strict';

/**
 * A disk whose syncs fail: each failing checkpoint is told of, `flush()` says what it cannot
 * promise, and what was acknowledged is there after a kill.
 */

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const test = require('node:test');
const { createConnection } = require('../index.js');
const { makeFolder } = require('./support/ledger.js');

const SUPPORT = path.join(__dirname, 'support');
const DEADLINE_MS = 120_000;
const FAILED_SYNC = 'SQLITE_IOERR_FSYNC';

/** Plays a scene, kills its process when it has reported, and looks at what is in the file. */
async function play(t, scene) {
  const folder = makeFolder(t);
  const library = path.join(folder, 'sync-fail.so');
  const file = path.join(folder, 'ledger.db');
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, path.join(SUPPORT, 'sync-fail.c'), '-ldl']);
  const env = {
    ...process.env,
    LD_PRELOAD: library,
    SYNC_FAIL_CONTROL: path.join(folder, 'control'),
    SYNC_FAIL_LOG: path.join(folder, 'syncs'),
  };
  const child = spawn(process.execPath, [path.join(SUPPORT, 'sync-fail-scene.js'), scene, file], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  let [output, errors] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    if (/^report .*\n/m.test(output)) child.kill('SIGKILL');
  });
  await once(child, 'close');
  clearTimeout(timer);
  const [, report] = output.match(/^report (.*)\n/m) ?? [];
  assert.ok(report, `the scene did not come to its end: ${errors}`);
  assertKept(
    file,
    [...output.matchAll(/^\+ (.*)\n/gm)].map(([, hash]) => hash),
  );
  return JSON.parse(report);
}

function assertKept(file, acknowledged) {
  const connection = createConnection({ path: file });
  const present = new Set(connection.all('SELECT hash FROM file_hashes').map(({ hash }) => hash));
  const integrity = connection.getDatabase().pragma('integrity_check', { simple: true });
  connection.close();
  assert.deepEqual(
    acknowledged.filter((hash) => !present.has(hash)),
    [],
    'acknowledged rows are there',
  );
  assert.ok(acknowledged.length > 0);
  assert.equal(integrity, 'ok');
}

test('a checkpoint that fails is told of each time, and the manager goes on', async (t) => {
  if (process.platform !== 'linux') return t.diagnostic('syncs can be made to fail on Linux alone');
  const report = await play(t, 'checkpoint');
  t.diagnostic(JSON.stringify(report));
  const { withoutListener } = report;
  assert.ok(withoutListener.failures > 0, 'syncs of the database file fail at all');
  assert.equal(withoutListener.warnings.length, withoutListener.failures, 'without a listener it is a warning');
  assert.equal(withoutListener.warnings[0].code, FAILED_SYNC);
  for (const [n, { events, failures, last, stats }] of report.rounds.entries()) {
    assert.ok(events > n, `round ${n}: told of`);
    assert.equal(events, failures, `round ${n}: as often as it failed`);
    for (const error of [last, stats]) {
      assert.ok(error, `round ${n}: an error`);
      assert.deepEqual([error.code, error.typed], [FAILED_SYNC, true]);
    }
  }
  assert.equal(report.warningsBesideListener, 0, 'a listener takes the place of the warning');
  assert.equal(report.isCleared, true, 'a good checkpoint clears it');
  assert.equal(report.eventsWhileGood, 0);
  assert.equal(report.isToldAgain, true, 'the next failure is told of again');
});

test('a flush that cannot sync the log rejects until a copy written anew has been synced', async (t) => {
  if (process.platform !== 'linux') return t.diagnostic('syncs can be made to fail on Linux alone');
  const report = await play(t, 'flush');
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.good, 'resolved');
  assert.ok(report.syncsOfGood > 0, 'flush syncs');
  for (const outcome of report.failing) {
    assert.deepEqual([outcome.code, outcome.typed, outcome.operation], [FAILED_SYNC, true, 'flush']);
  }
  assert.equal(report.writesMeanwhile, 'resolved', 'writes go on');
  // After a failed sync the system may have dropped the pages and will call the next sync of the
  // log a success: only pages that were written again since, into the database file, are safe.
  assert.equal(report.outcome, 'resolved', 'it recovers');
  assert.match(report.syncsBetween, /d/, 'not before the database file, with all of the log in it, was synced');
  assert.equal(report.afterwards, 'resolved');
});

test('a new file that cannot be synced is not opened, and is once it can be', async (t) => {
  if (process.platform !== 'linux') return t.diagnostic('syncs can be made to fail on Linux alone');
  const { failing } = await play(t, 'connect');
  assert.deepEqual(failing, Array(3).fill({ code: FAILED_SYNC, typed: true, operation: 'connect' }));
});
