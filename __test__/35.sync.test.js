'use strict';

/** No method waits for the disk on the event loop's thread. */

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { makeFolder } = require('./support/ledger.js');

for (const synchronous of ['NORMAL', 'FULL']) {
  test(`every sync is another thread's, synchronous ${synchronous}`, (t) => {
    if (process.platform !== 'linux') return t.diagnostic('syncs are watched on Linux alone');
    const folder = makeFolder(t);
    const watch = path.join(folder, 'sync-watch.so');
    const support = path.join(__dirname, 'support');
    execFileSync('cc', ['-shared', '-fPIC', '-o', watch, path.join(support, 'sync-watch.c'), '-ldl']);
    const { status, output, stderr } = spawnSync(
      process.execPath,
      [path.join(support, 'sync-work.js'), path.join(folder, 'a.db'), synchronous],
      {
        env: { ...process.env, LD_PRELOAD: watch, SYNC_WATCH_FD: '3' },
        stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
        encoding: 'utf8',
      },
    );
    assert.equal(status, 0, stderr);
    const count = (letter) => output[3].split(letter).length - 1;
    t.diagnostic(`${count('p')} syncs on other threads, ${count('M')} on the loop's`);
    assert.ok(count('p') > (synchronous === 'FULL' ? 4000 : 10), 'the watch sees syncs at all');
    assert.equal(count('M'), 0);
  });
}
