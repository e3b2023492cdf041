// @ts-check
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

/**
 * Owns the smoke share: the test files that prove an addon on another runtime or machine. They ask
 * for no preloaded C library, no build tool and no other process, and take seconds under emulation.
 */
const SMOKE = [
  '10.schema',
  '20.session',
  '21.file-hash',
  '22.upload-error',
  '23.setting',
  '25.batch',
  '26.list',
  '31.transaction',
  '40.connection',
  '41.driver',
  '49.path',
].map((name) => `__test__/${name}.test.js`);

if (require.main === module) {
  const cwd = path.resolve(__dirname, '..');
  const { status } = spawnSync(process.execPath, ['--test', ...SMOKE], { cwd, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}

module.exports = { SMOKE };
