// @ts-check
'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { run } = require('../scripts/prepare.js');

/**
 * Owns bringing what the benchmark compares with, from npm into `.peers/`: better-sqlite3, and a
 * Node that has today's node:sqlite and that better-sqlite3 runs on.
 */

const FOLDER = path.join(__dirname, '.peers');
const BETTER_SQLITE3_MAJOR = 13;
const NODE_MAJOR = 24;

/** @param {string} name */
function packageFolder(name) {
  return path.join(FOLDER, 'node_modules', name);
}

/**
 * @param {string} name
 * @param {number} major
 */
function isInstalled(name, major) {
  const manifest = path.join(packageFolder(name), 'package.json');
  return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version.startsWith(`${major}.`);
}

function isNodeRecent() {
  return Number.parseInt(process.versions.node, 10) >= NODE_MAJOR;
}

/** The Node that better-sqlite3 runs on. */
function nodeBinary() {
  if (isNodeRecent()) return process.execPath;
  return path.join(packageFolder('node'), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/** Installs the peers that are not there yet. */
function bring() {
  const wanted = [{ name: 'better-sqlite3', major: BETTER_SQLITE3_MAJOR }];
  if (!isNodeRecent()) wanted.push({ name: 'node', major: NODE_MAJOR });
  if (wanted.every(({ name, major }) => isInstalled(name, major))) return;
  mkdirSync(FOLDER, { recursive: true });
  const manifest = path.join(FOLDER, 'package.json');
  // Without one, npm would install into the project above.
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
  const packages = wanted.map(({ name, major }) => `${name}@${major}`);
  run('npm', ['install', '--prefix', FOLDER, '--no-audit', '--no-fund', '--loglevel=error', ...packages]);
}

/**
 * Runs a script again in the Node of `.peers/`, when this Node is too old; returns its exit code.
 *
 * @param {string} script
 * @param {readonly string[]} args
 * @returns {number | undefined} nothing when this Node will do
 */
function runInRecentNode(script, args) {
  if (isNodeRecent()) return undefined;
  const binary = nodeBinary();
  if (!existsSync(binary)) {
    throw new Error(
      `Node ${NODE_MAJOR} did not arrive with its npm package (its install script may be forbidden here). ` +
        `Run the benchmark with a Node ${NODE_MAJOR} or newer instead.`,
    );
  }
  const { status, error } = spawnSync(binary, [script, ...args], { stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}

function loadBetterSqlite3() {
  return require(packageFolder('better-sqlite3'));
}

module.exports = { bring, loadBetterSqlite3, nodeBinary, packageFolder, runInRecentNode };
