// @ts-check
'use strict';

// Builds one platform's addon on a Debian 12 machine, whatever that machine is:
//
//   node scripts/cross_build.js linux-arm64-musl
//
// Rust comes from Debian (rustc-web with its sources, from which the standard library is built),
// the C compiler and linker are zig's; for macOS, LLVM's linker. The addon lands in
// target/platforms/addons. `win32-x64-gnu` is no platform that is published: it stands in for the msvc
// build, which needs Microsoft's own tools.

const { spawnSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { PLATFORMS, addonFile } = require('./platform.js');
const { ROOT } = require('./prepare.js');

const CACHE = path.join(ROOT, 'target', 'platforms');
const ADDONS = path.join(CACHE, 'addons');
const PYTHON = path.join(CACHE, 'python');
const RUST_PACKAGES = ['rustc-web', 'cargo-web', 'libstd-rust-web-dev', 'rust-web-src'];

/**
 * What clang is told beyond `.cargo/config.toml`: its usual inlining and unrolling make SQLite half as
 * large again as gcc's build of it.
 */
const CLANG_FLAGS =
  '-O2 -fno-asynchronous-unwind-tables -fno-unwind-tables ' +
  '-fno-unroll-loops -fno-vectorize -fno-slp-vectorize -mllvm -inline-threshold=10';

/**
 * The stand-in for Windows.
 *
 * @type {import('./platform.js').Platform}
 */
const WINDOWS_GNU = {
  name: 'win32-x64-gnu',
  target: 'x86_64-pc-windows-gnu',
  people: 'Windows on x64, with another C runtime than the published one',
  os: 'win32',
  cpu: 'x64',
};

const EXTENSIONS = { darwin: '.dylib', win32: '.dll', linux: '.so' };

/** The release of LLVM whose linker is taken for macOS. */
const LLVM = '22';

/**
 * Runs a command to its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function execute(command, args, env = {}) {
  const options = { cwd: ROOT, env: { ...process.env, ...env }, maxBuffer: 1 << 28 };
  const { status, stdout, stderr, error } = spawnSync(command, args, { ...options, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${(stderr || stdout).slice(-4000)}`);
  return stdout;
}

/**
 * Installs Debian packages that are missing.
 *
 * @param {string[]} packages
 */
function installDebian(packages) {
  const isThere = (/** @type {string} */ name) => spawnSync('dpkg', ['-s', name]).status === 0;
  const missing = packages.filter((name) => !isThere(name));
  if (missing.length === 0) return;
  execute('apt-get', ['update', '-qq']);
  const args = ['install', '-y', '-qq', '--no-install-recommends', ...missing];
  execute('apt-get', args, { DEBIAN_FRONTEND: 'noninteractive' });
}

/** Installs the compilers, those that are there already apart. */
function installToolchain() {
  installDebian([...RUST_PACKAGES, 'python3-venv']);
  if (existsSync(path.join(PYTHON, 'bin', 'cargo-zigbuild'))) return;
  mkdirSync(CACHE, { recursive: true });
  execute('python3', ['-m', 'venv', PYTHON]);
  execute(path.join(PYTHON, 'bin', 'pip'), ['install', '-q', 'ziglang', 'cargo-zigbuild']);
}

/**
 * Gives what the build of a platform is told, beyond what all are.
 *
 * @param {import('./platform.js').Platform} platform
 * @returns {NodeJS.ProcessEnv}
 */
function environmentOf({ os, libc }) {
  if (os === 'darwin') {
    return {
      MACOSX_DEPLOYMENT_TARGET: '11.0',
      CARGO_PROFILE_RELEASE_STRIP: 'none',
      RUSTFLAGS: `-C linker=${makeDarwinLinker()} -C linker-flavor=ld64.lld`,
    };
  }
  if (os === 'win32') return { LIBNODE_PATH: makeNodeLibrary() };
  return libc === 'musl' ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {};
}

/**
 * Makes the import library of node.exe that napi's build script asks for with this C runtime.
 * The addon looks every function of Node up when it is loaded, so that one name is enough.
 *
 * @returns {string} its folder
 */
function makeNodeLibrary() {
  const folder = path.join(CACHE, 'node-library');
  mkdirSync(folder, { recursive: true });
  const definition = path.join(folder, 'node.def');
  writeFileSync(definition, 'NAME node.exe\nEXPORTS\n  napi_module_register\n');
  const library = path.join(folder, 'libnode.a');
  const zig = path.join(PYTHON, 'bin', 'python-zig');
  execute(zig, ['dlltool', '-m', 'i386:x86-64', '-d', definition, '-l', library]);
  // The script looks for a file of this name; the linker takes the one above.
  copyFileSync(library, path.join(folder, 'libnode.dll'));
  // Debian's Rust asks for gcc's stack protector by name; zig has its own.
  for (const name of ['ssp', 'ssp_nonshared']) execute(zig, ['ar', 'rcs', path.join(folder, `lib${name}.a`)]);
  return folder;
}

/**
 * Makes the linker for macOS: LLVM's own, for zig's leaves in what is never called and all names. It
 * signs what it links, without which arm64 loads nothing.
 *
 * @returns {string} its file
 */
function makeDarwinLinker() {
  installDebian([`lld-${LLVM}`]);
  const folder = path.join(CACHE, 'darwin-linker');
  const libraries = path.join(folder, 'usr', 'lib');
  mkdirSync(libraries, { recursive: true });
  const zig = execute(path.join(PYTHON, 'bin', 'python'), ['-c', 'import ziglang; print(ziglang.__path__[0])']);
  const system = path.join(zig.trim(), 'lib', 'libc', 'darwin', 'libSystem.tbd');
  // It names a machine that this linker is too old for, in the place of arm64.
  const known = readFileSync(system, 'utf8').replaceAll('arm64e.x1-', 'arm64-');
  for (const name of ['System', 'c', 'm']) writeFileSync(path.join(libraries, `lib${name}.tbd`), known);
  // Rust's standard library names it, and uses nothing of it.
  const iconv =
    '--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n' +
    "install-name: '/usr/lib/libiconv.2.dylib'\n...\n";
  writeFileSync(path.join(libraries, 'libiconv.tbd'), iconv);
  const linker = path.join(folder, 'linker');
  // napi's build script says `-Wl` by itself, which is nothing to a linker.
  const text = `#!/bin/sh
for each do shift; [ "$each" = -Wl ] || set -- "$@" "$each"; done
exec /usr/lib/llvm-${LLVM}/bin/lld "$@" -syslibroot ${folder} -dead_strip -dead_strip_dylibs -x -S --icf=safe
`;
  writeFileSync(linker, text, { mode: 0o755 });
  return linker;
}

/**
 * Builds a platform's addon with full optimization.
 *
 * @param {string} name the platform's
 * @returns {string} the addon's file
 */
function crossBuild(name) {
  const platform = [...PLATFORMS, WINDOWS_GNU].find((each) => each.name === name);
  const extension =
    platform && !/msvc/.test(name) && Object.entries(EXTENSIONS).find(([os]) => os === platform.os)?.[1];
  if (!platform || !extension) throw new Error(`${name} cannot be built here`);
  installToolchain();
  const target = `${platform.target}${platform.libc === 'glibc' ? '.2.17' : ''}`;
  // The standard library is built along: Debian has it for its own platform alone, and there with
  // what names the functions of a panic, of which a stripped file has no names.
  const standard = ['-Zbuild-std=std,panic_unwind', '-Zbuild-std-features=panic-unwind'];
  const args = ['zigbuild', '--release', '--target', target, ...standard];
  execute('cargo', args, {
    CARGO_TARGET_DIR: path.join(CACHE, 'cargo'),
    CARGO_INCREMENTAL: '0',
    CFLAGS: CLANG_FLAGS,
    PATH: `${path.join(PYTHON, 'bin')}:/usr/bin:${process.env.PATH}`,
    RUSTC_BOOTSTRAP: '1',
    ...environmentOf(platform),
  });
  mkdirSync(ADDONS, { recursive: true });
  const built = `${platform.os === 'win32' ? '' : 'lib'}whatsapp_uploader_database${extension}`;
  const addon = path.join(ADDONS, addonFile(platform));
  copyFileSync(path.join(CACHE, 'cargo', platform.target, 'release', built), addon);
  return addon;
}

if (require.main === module) for (const name of process.argv.slice(2)) console.log(crossBuild(name));

module.exports = { CACHE, PYTHON, crossBuild, execute, installDebian };
