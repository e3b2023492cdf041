'use strict';

/** The packages of the platforms: they say what the root says, and the packed root asks for them. */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } =
  require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { packPlatforms, packRoot } = require('../scripts/pack.js');
const { FOLDER, PLATFORMS, addonFile, describePackage, packageName, readRoot } = require('../scripts/platform.js');

const ROOT = path.join(__dirname, '..');
const NPM = { encoding: 'utf8', shell: process.platform === 'win32' };

/** The most that the root may weigh, packed. */
const ROOT_LIMIT = 100_000;

let folder;
let root;
let addons;
const built = PLATFORMS.filter((platform) => existsSync(path.join(ROOT, addonFile(platform))));

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-platform-'));
  root = packRoot(folder);
  addons = packPlatforms(ROOT, folder);
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** Reads a file out of a tarball. */
function readPacked(tarball, name) {
  return execFileSync('tar', ['-xzOf', tarball, `package/${name}`], { encoding: 'utf8' });
}

test('every target has a folder that says what the root says, and nothing else has one', () => {
  assert.deepEqual(readRoot().napi.targets.slice().sort(), PLATFORMS.map(({ target }) => target).sort());
  assert.deepEqual(readdirSync(FOLDER).sort(), PLATFORMS.map(({ name }) => name).sort());
  for (const platform of PLATFORMS) {
    const place = path.join(FOLDER, platform.name);
    const described = describePackage(platform);
    for (const [name, text] of Object.entries(described)) {
      const found = readFileSync(path.join(place, name), 'utf8');
      assert.equal(found, text, `npm/${platform.name}/${name} is stale: run node scripts/platform.js --write`);
    }
    const others = readdirSync(place).filter((name) => !(name in described) && !name.endsWith('.node'));
    assert.deepEqual(others, []);
  }
});

test('the crate, the lock file and the package are of one version', () => {
  const { version } = readRoot();
  const [, crate] = readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8').match(/^version = "(.*)"/m);
  const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'));
  assert.equal(crate, version);
  assert.equal(require('../lib/version.js').VERSION, version);
  assert.equal(lock.version, version);
  assert.equal(lock.packages[''].version, version);
});

test('the loader requires what the packages are called, each by a name that bundlers can read', () => {
  const loader = readFileSync(path.join(ROOT, 'lib', 'load_binding.js'), 'utf8');
  const required = [...loader.matchAll(/require\('([^']+)'\)/g)].map(([, name]) => name);
  for (const platform of PLATFORMS) {
    assert.ok(required.includes(packageName(platform)), packageName(platform));
    assert.ok(required.includes(`../${addonFile(platform)}`), addonFile(platform));
  }
  assert.equal(required.filter((name) => name.includes('database')).length, 2 * PLATFORMS.length);
});

test('the committed package.json asks for no platform, the packed one for exactly these', () => {
  const committed = readRoot();
  assert.equal(committed.optionalDependencies, undefined);
  const packed = JSON.parse(readPacked(root, 'package.json'));
  assert.deepEqual(
    packed.optionalDependencies,
    Object.fromEntries(PLATFORMS.map((platform) => [packageName(platform), committed.version])),
  );
  for (const field of ['dependencies', 'scripts', 'os', 'cpu', 'devDependencies']) {
    assert.equal(packed[field], undefined, field);
  }
  for (const field of ['name', 'version', 'exports', 'types', 'engines']) {
    assert.deepEqual(packed[field], committed[field], field);
  }
  assert.deepEqual(Object.keys(packed.exports['.'].import), ['types', 'default']);
  assert.deepEqual(Object.keys(packed.exports['.'].require), ['types', 'default']);
});

test('the packed root holds no addon and is light', () => {
  const names = execFileSync('tar', ['-tzf', root], { encoding: 'utf8' }).split('\n');
  assert.deepEqual(
    names.filter((name) => name.endsWith('.node')),
    [],
  );
  assert.ok(statSync(root).size <= ROOT_LIMIT, `the root weighs ${statSync(root).size} bytes`);
});

test('installed without scripts, the root finds its addon in the package beside it', { skip: !built.length }, () => {
  const project = path.join(folder, 'project');
  mkdirSync(project);
  // Unpublished packages cannot be asked for by version: those that are here take their place.
  const own = [...addons].map(([name, tarball]) => [`@whatsapp-uploader/database-${name}`, `file:${tarball}`]);
  writeFileSync(
    path.join(project, 'package.json'),
    JSON.stringify({
      private: true,
      dependencies: { '@whatsapp-uploader/database': `file:${root}` },
      optionalDependencies: Object.fromEntries(own),
      overrides: Object.fromEntries(own.map(([name]) => [name, `$${name}`])),
    }),
  );
  const args = ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', args, { ...NPM, cwd: project });
  // Whoever runs the tests may have named an addon, which would be loaded before any package.
  const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...rest } = process.env;
  const run = (env = {}) =>
    execFileSync(process.execPath, ['-p', `require('@whatsapp-uploader/database').SCHEMA_VERSION`], {
      cwd: project,
      encoding: 'utf8',
      env: { ...rest, ...env },
    });
  assert.equal(run().trim(), '1');
  const folders = readdirSync(path.join(project, 'node_modules', '@whatsapp-uploader'));
  assert.ok(folders.length >= 2, `${folders}`);
  rmSync(path.join(project, 'node_modules', '@whatsapp-uploader'), { recursive: true });
  execFileSync('npm', [...args, '--omit=optional'], { ...NPM, cwd: project });
  assert.throws(() => run(), /without --omit=optional/);
  const named = path.join(project, 'own.node');
  copyFileSync(path.join(ROOT, addonFile(built[0])), named);
  assert.equal(run({ NAPI_RS_NATIVE_LIBRARY_PATH: named }).trim(), '1');
});
