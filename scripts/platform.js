// @ts-check
'use strict';

/**
 * Owns the list of platforms that get a prebuilt addon, and what the package of each says.
 *
 * Run with `--write`, it writes the folders under `npm/` anew; a test compares them with this.
 */

const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '..');
const FOLDER = path.join(ROOT, 'npm');

/**
 * @typedef {object} Platform
 * @property {string} name as the napi CLI and the loader call it
 * @property {string} target Rust's name for it, as in `napi.targets` of package.json
 * @property {string} people what a person calls it
 * @property {string} os
 * @property {string} cpu
 * @property {string} [libc]
 */

/** @type {Platform[]} */
const PLATFORMS = [
  {
    name: 'linux-x64-gnu',
    target: 'x86_64-unknown-linux-gnu',
    people: 'Linux on x64 with glibc 2.17 or newer',
    os: 'linux',
    cpu: 'x64',
    libc: 'glibc',
  },
  {
    name: 'linux-arm64-gnu',
    target: 'aarch64-unknown-linux-gnu',
    people: 'Linux on arm64 with glibc 2.17 or newer',
    os: 'linux',
    cpu: 'arm64',
    libc: 'glibc',
  },
  {
    name: 'linux-x64-musl',
    target: 'x86_64-unknown-linux-musl',
    people: 'Linux on x64 with musl (Alpine)',
    os: 'linux',
    cpu: 'x64',
    libc: 'musl',
  },
  {
    name: 'linux-arm64-musl',
    target: 'aarch64-unknown-linux-musl',
    people: 'Linux on arm64 with musl (Alpine)',
    os: 'linux',
    cpu: 'arm64',
    libc: 'musl',
  },
  {
    name: 'linux-arm-gnueabihf',
    target: 'armv7-unknown-linux-gnueabihf',
    people: 'Linux on 32-bit armv7 with glibc 2.17 or newer',
    os: 'linux',
    cpu: 'arm',
    libc: 'glibc',
  },
  { name: 'darwin-x64', target: 'x86_64-apple-darwin', people: 'macOS 11 or newer on x64', os: 'darwin', cpu: 'x64' },
  {
    name: 'darwin-arm64',
    target: 'aarch64-apple-darwin',
    people: 'macOS 11 or newer on arm64',
    os: 'darwin',
    cpu: 'arm64',
  },
  { name: 'win32-x64-msvc', target: 'x86_64-pc-windows-msvc', people: 'Windows on x64', os: 'win32', cpu: 'x64' },
  {
    name: 'win32-arm64-msvc',
    target: 'aarch64-pc-windows-msvc',
    people: 'Windows on arm64',
    os: 'win32',
    cpu: 'arm64',
  },
  {
    name: 'android-arm64',
    target: 'aarch64-linux-android',
    people: 'Android 7 or newer on arm64 (Termux)',
    os: 'android',
    cpu: 'arm64',
  },
];

/** Reads the root's package.json. */
function readRoot() {
  return JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
}

/** @param {Platform} platform */
function addonFile({ name }) {
  return `${readRoot().napi.binaryName}.${name}.node`;
}

/** @param {Platform} platform */
function packageName({ name }) {
  return `${readRoot().napi.packageName}-${name}`;
}

/**
 * Gives the files of a platform's package, the addon apart.
 *
 * @param {Platform} platform
 * @returns {Record<string, string>} texts by file name
 */
function describePackage(platform) {
  const root = readRoot();
  const manifest = {
    name: packageName(platform),
    version: root.version,
    description: `The addon of ${root.name} for ${platform.people}; it comes along by itself.`,
    license: root.license,
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc ? { libc: [platform.libc] } : {}),
    main: addonFile(platform),
    files: [addonFile(platform)],
    engines: root.engines,
    preferUnplugged: true,
  };
  const readme =
    `# ${manifest.name}\n\n` +
    `The prebuilt addon of \`${root.name}\` for ${platform.people}.\n` +
    `Install \`${root.name}\`: it brings the right one of these packages along.\n`;
  return {
    'package.json': `${JSON.stringify(manifest, null, 2)}\n`,
    'README.md': readme,
    LICENSE: readFileSync(path.join(ROOT, 'LICENSE'), 'utf8'),
  };
}

/** The exact versions that the published root asks for. */
function optionalDependencies() {
  const { version } = readRoot();
  return Object.fromEntries(PLATFORMS.map((platform) => [packageName(platform), version]));
}

if (require.main === module && process.argv.includes('--write')) {
  for (const platform of PLATFORMS) {
    const folder = path.join(FOLDER, platform.name);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(describePackage(platform))) writeFileSync(path.join(folder, name), text);
  }
}

module.exports = { FOLDER, PLATFORMS, addonFile, describePackage, optionalDependencies, packageName, readRoot };
