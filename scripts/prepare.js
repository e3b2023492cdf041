// @ts-check
'use strict';

/**
 * Owns bringing a checkout to where its commands work: packages installed, addon built. It uses
 * nothing but Node itself, so that it runs on a fresh clone.
 */

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, statSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '..');

/**
 * Runs a command in the project's root and ends this process when it fails.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env] variables beside the present ones
 */
function run(command, args, env = {}) {
  console.log(`\n> ${[command, ...args].join(' ')}`);
  const isScript = process.platform === 'win32' && !command.endsWith('.exe');
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
    shell: isScript,
  });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status || 1);
}

/** Installs the packages of the lock file, when they are not installed as it says. */
function install() {
  const installed = path.join(ROOT, 'node_modules', '.package-lock.json');
  const wanted = path.join(ROOT, 'package-lock.json');
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(wanted).mtimeMs) {
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  }
}

/** Builds the addon, when it is missing or older than its sources. */
function build() {
  const addon = readdirSync(ROOT).find((name) => name.endsWith('.node'));
  const builtAt = addon ? statSync(path.join(ROOT, addon)).mtimeMs : 0;
  const sources = ['Cargo.toml', 'Cargo.lock', 'build.rs', '.cargo/config.toml', ...listFiles('src')];
  const isStale = sources.some((name) => statSync(path.join(ROOT, name)).mtimeMs > builtAt);
  if (isStale || !existsSync(path.join(ROOT, 'binding.d.ts'))) run('npm', ['run', 'build', '--silent']);
}

/**
 * @param {string} folder relative to the root
 * @returns {string[]}
 */
function listFiles(folder) {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    return entry.isDirectory() ? listFiles(name) : [name];
  });
}

module.exports = { ROOT, build, install, run };
