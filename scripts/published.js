// @ts-check
'use strict';

/** Owns bringing published packages along for a look at their files: kept, unpacked, never installed. */

const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');
const { ROOT } = require('./prepare.js');

const CACHE = path.join(ROOT, 'target', 'platforms', 'published');

/**
 * Gives the folder of a package, whatever platform it is for.
 *
 * @param {string} name
 * @param {string} version exactly
 */
function fetchPackage(name, version) {
  const folder = path.join(CACHE, `${name.replace('/', '-')}-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const staging = mkdtempSync(path.join(CACHE, 'unpacking-'));
  try {
    const isShell = process.platform === 'win32';
    run('npm', ['pack', '--silent', '--pack-destination', staging, `${name}@${version}`], isShell);
    const [tarball] = readdirSync(staging);
    run('tar', ['-xzf', path.join(staging, tarball), '-C', staging], false);
    renameSync(path.join(staging, 'package'), folder);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return folder;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {boolean} shell
 */
function run(command, args, shell) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', shell });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stderr}`);
}

module.exports = { CACHE, fetchPackage };
