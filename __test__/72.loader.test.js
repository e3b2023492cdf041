'use strict';

/** The loader on platforms that this machine is not: other processes that say they are. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { VERSION } = require('../lib/version.js');
const { PLATFORMS, packageName } = require('../scripts/platform.js');

const ROOT = path.join(__dirname, '..');

let folder;

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-loader-'));
  const lib = path.join(folder, 'lib');
  mkdirSync(lib);
  for (const name of ['error.js', 'load_binding.js', 'version.js'])
    cpSync(path.join(ROOT, 'lib', name), path.join(lib, name));
  for (const platform of PLATFORMS) {
    const place = path.join(folder, 'node_modules', packageName(platform));
    mkdirSync(place, { recursive: true });
    writeFileSync(path.join(place, 'index.js'), fakeAddon(platform.name));
  }
  writeProgram('program-musl', 64, '/lib/ld-musl-x86_64.so.1');
  writeProgram('program-gnu', 64, '/lib64/ld-linux-x86-64.so.2');
  writeProgram('program-gnu-32', 32, '/lib/ld-linux-armhf.so.3');
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** Gives the text of a module that stands for an addon. */
function fakeAddon(name, version = VERSION) {
  return `module.exports = { name: '${name}', addonVersion: () => '${version}' };`;
}

/** Writes the head of an ELF program that asks for this dynamic loader. */
function writeProgram(name, bits, interpreter) {
  const file = Buffer.alloc(512);
  file.write('\x7fELF', 'latin1');
  file.set([bits / 32, 1], 4);
  if (bits === 64) {
    file.writeBigUInt64LE(64n, 32);
    file.set([56, 0, 2, 0], 54);
    file.writeUInt32LE(3, 64 + 56);
    file.writeBigUInt64LE(300n, 64 + 56 + 8);
  } else {
    file.writeUInt32LE(52, 28);
    file.set([32, 0, 2, 0], 42);
    file.writeUInt32LE(3, 52 + 32);
    file.writeUInt32LE(300, 52 + 32 + 4);
  }
  file.write(interpreter, 300, 'latin1');
  writeFileSync(path.join(folder, name), file);
}

/** Loads in another process that claims to be something else; gives what was loaded or thrown. */
function load({ os, cpu, program = 'none', report, before: prepare = '', env = {} }) {
  const script = `
    Object.defineProperty(process, 'platform', { value: ${JSON.stringify(os)} });
    Object.defineProperty(process, 'arch', { value: ${JSON.stringify(cpu)} });
    Object.defineProperty(process, 'execPath', { value: ${JSON.stringify(path.join(folder, program))} });
    Object.defineProperty(process, 'report', { value: { getReport: () => (${JSON.stringify(report ?? null)}) } });
    ${prepare}
    const { loadBinding } = require('./lib/load_binding.js');
    try {
      console.log(JSON.stringify({ loaded: loadBinding().name }));
    } catch (error) {
      const { name, code, operation, message, cause } = error;
      console.log(JSON.stringify({ name, code, operation, message, cause: String(cause) }));
    }`;
  const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...rest } = process.env;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...rest, ...env },
  });
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout);
}

for (const { name, os, cpu, libc } of PLATFORMS) {
  test(`on ${name} it takes that package`, () => {
    const program = libc === 'musl' ? 'program-musl' : cpu === 'arm' ? 'program-gnu-32' : 'program-gnu';
    assert.deepEqual(load({ os, cpu, program }), { loaded: name });
  });
}

test('Android is Android, whatever its C library looks like', () => {
  const seen = load({ os: 'android', cpu: 'arm64', program: 'program-musl' });
  assert.deepEqual(seen, { loaded: 'android-arm64' });
});

test("a program whose file says nothing is judged by Node's report", () => {
  const musl = { header: {}, sharedObjects: ['/lib/ld-musl-x86_64.so.1'] };
  const glibc = { header: { glibcVersionRuntime: '2.36' }, sharedObjects: ['/opt/ld-musl-x86_64.so.1'] };
  assert.deepEqual(load({ os: 'linux', cpu: 'x64', report: musl }), { loaded: 'linux-x64-musl' });
  assert.deepEqual(load({ os: 'linux', cpu: 'x64', report: glibc }), { loaded: 'linux-x64-gnu' });
  assert.deepEqual(load({ os: 'linux', cpu: 'x64' }), { loaded: 'linux-x64-gnu' });
});

test('a local build comes before the package', () => {
  const local = path.join(folder, 'database.linux-x64-gnu.node');
  writeFileSync(local, fakeAddon('local'));
  try {
    const prepare = `require.extensions['.node'] = require.extensions['.js'];`;
    assert.deepEqual(load({ os: 'linux', cpu: 'x64', before: prepare }), { loaded: 'local' });
  } finally {
    rmSync(local);
  }
});

test('the file that the environment names is taken, and nothing in its stead', () => {
  const named = path.join(folder, 'named.js');
  writeFileSync(named, fakeAddon('named'));
  const place = { os: 'linux', cpu: 'x64' };
  assert.deepEqual(load({ ...place, env: { NAPI_RS_NATIVE_LIBRARY_PATH: named } }), { loaded: 'named' });
  const { code, message } = load({ ...place, env: { NAPI_RS_NATIVE_LIBRARY_PATH: `${named}.missing` } });
  assert.equal(code, 'DB_ADDON_MISSING');
  assert.match(message, /NAPI_RS_NATIVE_LIBRARY_PATH=.*named\.js\.missing: Cannot find module/);
  assert.match(message, /Correct NAPI_RS_NATIVE_LIBRARY_PATH, or unset it/);
  assert.doesNotMatch(message, /database-linux-x64-gnu/);
});

test('an addon of another version is refused, and both versions are named', () => {
  const place = path.join(folder, 'node_modules', '@whatsapp-uploader', 'database-darwin-x64', 'index.js');
  const mac = { os: 'darwin', cpu: 'x64' };
  try {
    writeFileSync(place, fakeAddon('old', '0.0.7'));
    const { name, code, operation, message } = load(mac);
    assert.deepEqual([name, code, operation], ['DatabaseError', 'DB_ADDON_VERSION', 'load']);
    assert.ok(message.includes(`its version is ${VERSION}`) && message.includes('version 0.0.7'), message);
    assert.match(message, /database-darwin-x64 gave for darwin-x64[\s\S]*install again/);
    writeFileSync(place, 'module.exports = {};');
    assert.match(load(mac).message, /version older than/);
  } finally {
    writeFileSync(place, fakeAddon('darwin-x64'));
  }
  const named = path.join(folder, 'other.js');
  writeFileSync(named, fakeAddon('other', '9.0.0'));
  const { message } = load({ ...mac, env: { NAPI_RS_NATIVE_LIBRARY_PATH: named } });
  assert.match(message, /version 9\.0\.0; name one of that version, or unset NAPI_RS_NATIVE_LIBRARY_PATH/);
});

test('without the package, one error names the platform, each attempt and the remedy', () => {
  const place = path.join(folder, 'node_modules', '@whatsapp-uploader', 'database-darwin-arm64');
  rmSync(place, { recursive: true });
  const { name, code, operation, message, cause } = load({ os: 'darwin', cpu: 'arm64' });
  assert.deepEqual([name, code, operation], ['DatabaseError', 'DB_ADDON_MISSING', 'load']);
  assert.match(message, /for darwin-arm64 \(Node v/);
  assert.match(message, /\.\/database\.darwin-arm64\.node: Cannot find module/);
  assert.match(message, /@whatsapp-uploader\/database-darwin-arm64: Cannot find module/);
  assert.match(message, /--omit=optional[\s\S]*package-lock\.json[\s\S]*npm run build/);
  assert.match(cause, /Cannot find module/);
});

test('a platform without a prebuilt addon is told how to build one', () => {
  for (const [os, cpu, name] of [
    ['freebsd', 'x64', 'freebsd-x64'],
    ['linux', 'riscv64', 'linux-riscv64-gnu'],
    ['android', 'arm', 'android-arm'],
  ]) {
    const { code, message } = load({ os, cpu });
    assert.equal(code, 'DB_ADDON_MISSING');
    assert.match(message, new RegExp(`for ${name} `));
    assert.match(message, /gets no prebuilt addon[\s\S]*build it from source[\s\S]*npm run build/);
  }
});

test('an addon that is there and does not load says why', () => {
  const place = path.join(folder, 'node_modules', '@whatsapp-uploader', 'database-win32-x64-msvc');
  const broken = `throw Object.assign(new Error('is not a valid Win32 application'), { code: 'ERR_DLOPEN_FAILED' });`;
  writeFileSync(path.join(place, 'index.js'), broken);
  const { message } = load({ os: 'win32', cpu: 'x64' });
  assert.match(message, /database-win32-x64-msvc: is not a valid Win32 application/);
  assert.match(message, /refuses to load it/);
});
