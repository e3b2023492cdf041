// @ts-check
'use strict';

// Publishes what scripts/pack.js packed, the root last:
//
//   node scripts/publish.js FOLDER [--dry-run]

const { readdirSync } = require('node:fs');
const path = require('node:path');
const { PLATFORMS, packageName, readRoot } = require('./platform.js');
const { run } = require('./prepare.js');

const [folder, ...options] = process.argv.slice(2);
const { name, version } = readRoot();
const found = new Set(readdirSync(folder));
/** @param {string} each a package's name */
const toTarball = (each) => `${each.replace('@', '').replace('/', '-')}-${version}.tgz`;
const tarballs = [...PLATFORMS.map(packageName), name].map(toTarball);
const missing = tarballs.filter((tarball) => !found.has(tarball));
// A root whose addons are not all there would fail for those who lack theirs.
if (missing.length > 0) throw new Error(`not published: ${missing.join(', ')} not in ${folder}`);
for (const tarball of tarballs) {
  run('npm', ['publish', path.resolve(folder, tarball), '--access', 'public', '--provenance', ...options]);
}
