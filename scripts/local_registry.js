// @ts-check
'use strict';

/**
 * Owns a registry on this machine alone that has exactly the packages that would be published, so
 * that installers can be tried before anything is:
 *
 *   node scripts/local_registry.js FOLDER PORT_FILE
 *
 * FOLDER holds the tarballs of `scripts/pack.js`; a platform without an addon is offered as its
 * package without one: installers look at it, and leave it out elsewhere. Tarballs in its folder
 * `others` are offered too, such as a peer's.
 */

const { execFileSync, spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } = require('node:fs');
const { createServer } = require('node:http');
const path = require('node:path');
const { packFolder, publishedManifest } = require('./pack.js');
const { FOLDER, PLATFORMS, describePackage, packageName, readRoot } = require('./platform.js');

/**
 * Starts the registry in another process; whoever started it ends it.
 *
 * @param {string} folder
 * @returns {{ url: string, stop(): void }}
 */
function startRegistry(folder) {
  const portFile = path.join(folder, 'port');
  const child = spawn(process.execPath, [__filename, folder, portFile], { stdio: 'inherit' });
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let left = 600; !existsSync(portFile); left -= 1) {
    if (left === 0) throw new Error('the registry did not start');
    Atomics.wait(clock, 0, 0, 100);
  }
  return { url: `http://127.0.0.1:${readFileSync(portFile, 'utf8')}/`, stop: () => void child.kill() };
}

/**
 * @param {string} folder
 * @param {string} portFile
 */
function serve(folder, portFile) {
  const { name, version } = readRoot();
  /** @type {Map<string, { manifest: Record<string, any>, file: string }>} */
  const packages = new Map();
  const toFile = (/** @type {string} */ each) => `${each.replace('@', '').replace('/', '-')}-${version}.tgz`;
  const bare = path.join(folder, 'bare');
  mkdirSync(bare, { recursive: true });
  for (const platform of PLATFORMS) {
    const each = packageName(platform);
    const packed = path.join(folder, toFile(each));
    const file = existsSync(packed) ? packed : packFolder(path.join(FOLDER, platform.name), bare);
    packages.set(each, { manifest: JSON.parse(describePackage(platform)['package.json']), file });
  }
  packages.set(name, { manifest: publishedManifest(readRoot()), file: path.join(folder, toFile(name)) });
  const others = path.join(folder, 'others');
  for (const each of existsSync(others) ? readdirSync(others) : []) {
    const file = path.join(others, each);
    const manifest = JSON.parse(execFileSync('tar', ['-xzOf', file, 'package/package.json'], { encoding: 'utf8' }));
    packages.set(manifest.name, { manifest, file });
  }
  const server = createServer((request, response) => {
    const asked = decodeURIComponent(request.url ?? '').slice(1);
    const tarball = asked.match(/^(.*)\/-\/.*\.tgz$/);
    const found = packages.get(tarball ? tarball[1] : asked);
    if (!found) return void response.writeHead(404).end('{}');
    const bytes = readFileSync(found.file);
    if (tarball) return void response.end(bytes);
    const host = `http://${request.headers.host}`;
    const dist = {
      tarball: `${host}/${asked}/-/${path.basename(found.file)}`,
      integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
      shasum: createHash('sha1').update(bytes).digest('hex'),
    };
    const { manifest } = found;
    const versions = { [manifest.version]: { ...manifest, dist } };
    const document = { name: asked, 'dist-tags': { latest: manifest.version }, versions };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(document));
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    // Under its name only when it is whole.
    writeFileSync(`${portFile}.new`, `${typeof address === 'object' && address ? address.port : ''}`);
    renameSync(`${portFile}.new`, portFile);
  });
}

if (require.main === module) serve(process.argv[2], process.argv[3]);

module.exports = { startRegistry };
