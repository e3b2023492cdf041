// @ts-check
'use strict';

// Builds one platform's addon on a Debian 12 machine, whatever that machine is:
//
//   node scripts/cross_build.js linux-arm64-musl
//
// Rust comes from Debian (rustc-web with its sources, from which the standard library is built),
// the C compiler and linker are zig's. The addon lands in target/platforms/addons.

const { spawnSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync } = require('node:fs');
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
  '-fno-unroll-loops -fno-vectorize -fno-slp-vectorize -mllvm -inline-threshold=20';

/** Stripped by the linker: a strip after it would break the signature that arm64 asks for. */
const DARWIN = {
  MACOSX_DEPLOYMENT_TARGET: '11.0',
  CARGO_PROFILE_RELEASE_STRIP: 'none',
  RUSTFLAGS: '-C link-arg=-Wl,-s',
};

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
 * Builds a platform's addon with full optimization.
 *
 * @param {string} name the platform's
 * @returns {string} the addon's file
 */
function crossBuild(name) {
  const platform = PLATFORMS.find((each) => each.name === name);
  if (!platform || !/^(linux|darwin)$/.test(platform.os)) throw new Error(`${name} cannot be built here`);
  installToolchain();
  const isOwn = name === 'linux-x64-gnu';
  const target = `${platform.target}${platform.libc === 'glibc' ? '.2.17' : ''}`;
  const args = ['zigbuild', '--release', '--target', target];
  // Debian has the standard library for its own platform; elsewhere it is built along.
  if (!isOwn) args.push('-Zbuild-std=std,panic_unwind');
  execute('cargo', args, {
    CARGO_TARGET_DIR: path.join(CACHE, 'cargo'),
    CARGO_INCREMENTAL: '0',
    CFLAGS: CLANG_FLAGS,
    PATH: `${path.join(PYTHON, 'bin')}:/usr/bin:${process.env.PATH}`,
    RUSTC_BOOTSTRAP: '1',
    ...(platform.os === 'darwin' ? DARWIN : {}),
    ...(platform.libc === 'musl' ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {}),
  });
  mkdirSync(ADDONS, { recursive: true });
  const extension = platform.os === 'darwin' ? 'dylib' : 'so';
  const built = `libwhatsapp_uploader_database.${extension}`;
  const addon = path.join(ADDONS, addonFile(platform));
  copyFileSync(path.join(CACHE, 'cargo', platform.target, 'release', built), addon);
  return addon;
}

if (require.main === module) for (const name of process.argv.slice(2)) console.log(crossBuild(name));

module.exports = { CACHE, PYTHON, crossBuild, execute, installDebian };
