// @ts-check
'use strict';

/**
 * Owns the tarballs that are published: each platform's package, then the root, which asks for
 * exactly these. The committed package.json does not name them: while they are not published,
 * `npm ci` in a checkout would fail.
 *
 *   node scripts/pack.js --addons FOLDER --into FOLDER [--all]
 *
 * `--addons` is where the built addons lie; with `--all`, a platform without one is an error.
 */

const { spawnSync } = require('node:child_process');
const { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } =
  require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { FOLDER, PLATFORMS, addonFile, optionalDependencies, readRoot } = require('./platform.js');
const { ROOT } = require('./prepare.js');

/** What the root's package.json says only to those who work on it. */
const FOR_CHECKOUTS = ['devDependencies', 'scripts', 'napi'];

/**
 * Packs a folder.
 *
 * @param {string} folder
 * @param {string} into
 * @returns {string} the tarball
 */
function packFolder(folder, into) {
  const { status, stdout, stderr, error } = spawnSync(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', into],
    { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' },
  );
  if (error) throw error;
  if (status !== 0) throw new Error(`npm pack in ${folder} failed:\n${stderr}`);
  return path.join(into, JSON.parse(stdout)[0].filename);
}

/**
 * Makes the package.json that is published.
 *
 * @param {Record<string, any>} root the committed one
 */
function publishedManifest(root) {
  /** @type {Record<string, any>} */
  const manifest = { ...root, optionalDependencies: optionalDependencies() };
  for (const field of FOR_CHECKOUTS) delete manifest[field];
  manifest.files = manifest.files.filter((/** @type {string} */ name) => !name.endsWith('.node'));
  return manifest;
}

/**
 * Packs the root as it is published, without any addon.
 *
 * @param {string} into
 */
function packRoot(into) {
  const staging = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-root-'));
  try {
    const manifest = publishedManifest(readRoot());
    for (const name of [...manifest.files, 'README.md', 'LICENSE']) {
      cpSync(path.join(ROOT, name), path.join(staging, name), { recursive: true });
    }
    writeFileSync(path.join(staging, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    return packFolder(staging, into);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/**
 * Packs the packages of the platforms whose addons are there.
 *
 * @param {string} addons the folder
 * @param {string} into
 * @returns {Map<string, string>} tarballs by platform
 */
function packPlatforms(addons, into) {
  const tarballs = new Map();
  for (const platform of PLATFORMS) {
    const addon = path.join(addons, addonFile(platform));
    if (!existsSync(addon)) continue;
    const staging = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-addon-'));
    try {
      const folder = path.join(FOLDER, platform.name);
      for (const name of readdirSync(folder).filter((name) => !name.endsWith('.node'))) {
        copyFileSync(path.join(folder, name), path.join(staging, name));
      }
      copyFileSync(addon, path.join(staging, addonFile(platform)));
      tarballs.set(platform.name, packFolder(staging, into));
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
  }
  return tarballs;
}

if (require.main === module) {
  const { values } = parseArgs({
    options: { addons: { type: 'string' }, into: { type: 'string' }, all: { type: 'boolean' } },
  });
  if (!values.addons || !values.into) throw new Error('say --addons FOLDER and --into FOLDER');
  const into = path.resolve(values.into);
  mkdirSync(into, { recursive: true });
  const tarballs = packPlatforms(path.resolve(values.addons), into);
  const missing = PLATFORMS.filter(({ name }) => !tarballs.has(name)).map(({ name }) => name);
  if (values.all && missing.length > 0) throw new Error(`no addon for ${missing.join(', ')}`);
  for (const tarball of tarballs.values()) console.log(tarball);
  console.log(packRoot(into));
}

module.exports = { packFolder, packPlatforms, packRoot, publishedManifest };
