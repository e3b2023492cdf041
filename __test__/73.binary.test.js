'use strict';

/** The check of an addon's file: real published addons are its controls. */

const assert = require('node:assert/strict');
const { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { checkBinary } = require('../scripts/check-binary.js');
const { findFaults } = require('../scripts/binary/rule.js');
const { fetchPackage } = require('../scripts/published.js');

/** One of each kind, by the same Rust compiler's makers. */
const VERSION = '4.68.8';
const KINDS = ['android-arm64', 'linux-arm64-gnu', 'linux-x64-musl', 'darwin-arm64', 'win32-x64-msvc'];

const files = new Map();
let folder;

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-binary-'));
  for (const kind of KINDS) {
    const place = fetchPackage(`@rollup/rollup-${kind}`, VERSION);
    files.set(
      kind,
      path.join(
        place,
        readdirSync(place).find((name) => name.endsWith('.node')),
      ),
    );
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('published addons of every kind pass for what they are', () => {
  for (const [platform, file] of files) assert.deepEqual(checkBinary(file, { platform }).faults, [], platform);
});

test('none passes for what another is', () => {
  for (const [kind, file] of files) {
    for (const platform of KINDS.filter((name) => name !== kind)) {
      assert.notDeepEqual(checkBinary(file, { platform }).faults, [], `${kind} as ${platform}`);
    }
  }
});

test("a glibc addon is no phone's, and each reason is named", () => {
  const { faults } = checkBinary(files.get('linux-arm64-gnu'), { platform: 'android-arm64' });
  const text = faults.join('\n');
  assert.match(text, /needs the library libc\.so\.6/);
  assert.match(text, /needs the library libgcc_s\.so\.1/);
  assert.match(text, /_Unwind_\w+ is not on a phone/);
  assert.match(text, /__errno_location is not on a phone/);
  assert.match(text, /thread locals of ELF/);
});

test('each rule speaks up by itself', () => {
  const phone = {
    format: 'elf',
    cpu: 'arm64',
    needed: ['libc.so'],
    exported: ['napi_register_module_v1'],
    imported: [{ name: 'malloc', isWeak: false }],
    isStripped: true,
    hasThreadLocals: false,
    loadAlignments: [0x4000],
  };
  const glibc = { ...phone, needed: ['libc.so.6'], imported: [{ name: 'stat', isWeak: false, version: 'GLIBC_2.17' }] };
  const musl = { ...phone, imported: [{ name: 'stat', isWeak: false }] };
  const mac = { ...phone, format: 'macho', needed: ['/usr/lib/libSystem.B.dylib'], minimumOs: '11.0' };
  const windows = { ...phone, format: 'pe', needed: ['KERNEL32.dll'], imported: [] };
  const good = { android: phone, gnu: glibc, musl, darwin: mac, win32: windows };
  const platforms = {
    android: 'android-arm64',
    gnu: 'linux-arm64-gnu',
    musl: 'linux-arm64-musl',
    darwin: 'darwin-arm64',
    win32: 'win32-arm64-msvc',
  };
  for (const [kind, report] of Object.entries(good)) assert.deepEqual(findFaults(platforms[kind], report), [], kind);
  const symbol = (name, version) => ({ imported: [...glibc.imported, { name, isWeak: false, version }] });
  for (const [kind, change, expected] of [
    ['android', { loadAlignments: [0x4000, 0x1000] }, /aligned to 4096 only/],
    ['android', { hasThreadLocals: true }, /thread locals/],
    ['android', { isStripped: false }, /not stripped/],
    ['android', { imported: [{ name: '__emutls_get_address', isWeak: true }] }, /not on a phone/],
    ['android', { imported: [{ name: 'statx', isWeak: false }] }, /not in bionic/],
    ['android', { imported: [{ name: 'statx', isWeak: true }] }, /weak and unknown/],
    ['android', { needed: ['libc++_shared.so'] }, /needs the library/],
    ['android', { cpu: 'x64' }, /built for x64/],
    ['gnu', { exported: [] }, /does not export/],
    ['gnu', symbol('fcntl64', 'GLIBC_2.28'), /needs glibc 2\.28/],
    ['gnu', symbol('strange', undefined), /of no library/],
    ['musl', { imported: [{ name: '__fxstat64', isWeak: false }] }, /glibc's/],
    ['musl', { needed: ['libc.so.6'] }, /needs the library/],
    ['darwin', { needed: ['/opt/homebrew/lib/libsqlite3.dylib'] }, /needs the library/],
    ['darwin', { minimumOs: '14.0' }, /needs macOS 14/],
    ['win32', { needed: ['libgcc_s_seh-1.dll'] }, /needs the library/],
  ]) {
    const faults = findFaults(platforms[kind], { ...good[kind], ...change });
    assert.equal(faults.length, 1, `${kind} ${JSON.stringify(change)}: ${faults}`);
    assert.match(faults[0], expected);
  }
});

test('weak symbols that a phone lacks are allowed where Rust does without', () => {
  const report = {
    ...JSON.parse('{}'),
    format: 'elf',
    cpu: 'arm64',
    needed: [],
    exported: ['napi_register_module_v1'],
  };
  const imported = [{ name: 'getrandom', isWeak: true }];
  assert.deepEqual(findFaults('android-arm64', { ...report, imported, isStripped: true, hasThreadLocals: false }), []);
});

test('a file over the budget is told so, one of another kind is refused', () => {
  const large = path.join(folder, 'database.linux-x64-musl.node');
  writeFileSync(large, Buffer.concat([readFileSync(files.get('linux-x64-musl')), Buffer.alloc(1_000_000)]));
  assert.deepEqual(checkBinary(large).faults, ['3261736 bytes, beyond 3000000']);
  assert.deepEqual(checkBinary(large, { hasBudget: false }).faults, []);
  const text = path.join(folder, 'database.darwin-x64.node');
  writeFileSync(text, 'not a library');
  assert.throws(() => checkBinary(text), /no library of a kind/);
});
