// @ts-check
'use strict';

// `npm run prove:package`: packs the root and this platform's addon as they are published, and lets
// other people's tools judge them: publint, Are The Types Wrong, npm, pnpm and yarn with
// `--ignore-scripts`, ES modules, CommonJS, TypeScript, esbuild and rollup. Needs a built addon here.

const { execFileSync } = require('node:child_process');
const { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { readBinary } = require('./binary/report.js');
const { startRegistry } = require('./local_registry.js');
const { packPlatforms, packRoot } = require('./pack.js');
const { readRoot } = require('./platform.js');
const { ROOT } = require('./prepare.js');

const NAME = '@whatsapp-uploader/database';
const TOOLS = [
  'publint@0.3',
  '@arethetypeswrong/cli@0.18',
  'pnpm@10',
  'yarn@1',
  'esbuild@0.25',
  'rollup@4',
  '@rollup/plugin-commonjs@28',
  '@rollup/plugin-node-resolve@16',
];

/** What each way of use does: a first query. */
const BODY = `const db = new DatabaseManager({ path: ':memory:' });
  await db.connect();
  await db.initializeSchema();
  console.log((await db.getStats()).totalFiles === 0 ? 'works' : 'wrong');
  await db.disconnect();`;

const scratch = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-judged-'));
const tools = path.join(scratch, 'tools');
const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...environment } = process.env;
let failures = 0;
/** @type {ReturnType<typeof startRegistry> | undefined} */
let registry;

/**
 * @param {string} cwd
 * @param {string} command
 * @param {string[]} args
 */
function run(cwd, command, ...args) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
}

/**
 * @param {string} name
 * @param {() => void} work
 */
function prove(name, work) {
  try {
    work();
    console.log(`ok ${name}`);
  } catch (error) {
    failures += 1;
    const { stdout = '', stderr = '', message = '' } = /** @type {any} */ (error);
    console.log(`WRONG ${name}\n${message}\n${stdout}${stderr}`.slice(0, 4000));
  }
}

/** @param {string} output */
function requireWorks(output) {
  if (output.trim() !== 'works') throw new Error(`printed ${output}`);
}

/** @param {string} name */
function tool(name) {
  return path.join(tools, 'node_modules', '.bin', name);
}

/**
 * Makes a project that asks for the package as anybody would.
 *
 * @param {string} name
 */
function makeProject(name) {
  const folder = path.join(scratch, name);
  mkdirSync(folder);
  const manifest = { name, private: true, dependencies: { [NAME]: readRoot().version } };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  const commonJs = `const { DatabaseManager } = require('${NAME}');\n(async () => {\n  ${BODY}\n})();\n`;
  const module = `import { DatabaseManager } from '${NAME}';\n${BODY}\n`;
  writeFileSync(path.join(folder, 'use.cjs'), commonJs);
  writeFileSync(path.join(folder, 'use.mjs'), module);
  return folder;
}

try {
  mkdirSync(tools);
  writeFileSync(path.join(tools, 'package.json'), '{ "private": true }');
  run(tools, 'npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', ...TOOLS);
  const packed = path.join(scratch, 'packed');
  mkdirSync(packed);
  const root = packRoot(packed);
  const addons = packPlatforms(ROOT, packed);
  if (addons.size === 0) throw new Error('there is no addon here: npm run build');

  prove('publint', () => run(scratch, tool('publint'), root, '--strict'));
  prove('are the types wrong', () => run(scratch, tool('attw'), root));

  registry = startRegistry(packed);
  Object.assign(environment, { npm_config_registry: registry.url, YARN_REGISTRY: registry.url });
  Object.assign(environment, { YARN_CACHE_FOLDER: path.join(scratch, 'yarn-cache') });
  // Nothing of an earlier run, whose packages had the same versions, may be taken for these.
  Object.assign(environment, { npm_config_cache: path.join(scratch, 'npm-cache') });
  const installs = [
    ['npm', 'npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund']],
    ['pnpm', tool('pnpm'), ['install', '--ignore-scripts', '--store-dir', path.join(scratch, 'pnpm-store')]],
    ['yarn', tool('yarn'), ['install', '--ignore-scripts', '--no-lockfile']],
  ];
  for (const [name, command, args] of /** @type {[string, string, string[]][]} */ (installs)) {
    prove(`installed by ${name}, without scripts, from CommonJS and ES modules`, () => {
      const folder = makeProject(name);
      run(folder, command, ...args);
      requireWorks(run(folder, process.execPath, 'use.cjs'));
      requireWorks(run(folder, process.execPath, 'use.mjs'));
    });
  }

  const project = path.join(scratch, 'npm');
  const installed = path.join(project, 'node_modules', `${NAME}-`);
  for (const [kind, resolution, type] of [
    ['node16, ES modules', 'node16', 'module'],
    ['node16, CommonJS', 'node16', 'commonjs'],
    ['bundler', 'bundler', 'module'],
  ]) {
    prove(`compiled by TypeScript (${kind})`, () => {
      const folder = path.join(project, `${resolution}-${type}`);
      mkdirSync(folder);
      writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ type }));
      const source = `import { DatabaseManager } from '${NAME}';\nasync function main() {\n  ${BODY}\n}\nvoid main();\n`;
      writeFileSync(path.join(folder, 'use.ts'), source);
      const compilerOptions = {
        strict: true,
        skipLibCheck: false,
        target: 'es2022',
        lib: ['es2022', 'dom'],
        module: resolution === 'bundler' ? 'esnext' : 'node16',
        moduleResolution: resolution,
        types: [],
      };
      writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
      run(folder, process.execPath, path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'));
      requireWorks(run(folder, process.execPath, 'use.js'));
    });
  }

  prove('bundled by esbuild, the addon copied', () => {
    const args = ['use.mjs', '--bundle', '--platform=node', '--format=cjs', '--loader:.node=copy', '--outdir=built'];
    const noTopLevel = path.join(project, 'use.cjs');
    run(project, tool('esbuild'), noTopLevel, ...args.slice(1));
    const away = mkdtempSync(path.join(scratch, 'esbuild-'));
    for (const name of readdirSync(path.join(project, 'built'))) {
      copyFileSync(path.join(project, 'built', name), path.join(away, name));
    }
    requireWorks(run(away, process.execPath, 'use.js'));
  });
  prove('bundled by rollup, the addon left outside', () => {
    const config = `const commonjs = require(${JSON.stringify(path.join(tools, 'node_modules/@rollup/plugin-commonjs'))});
const resolve = require(${JSON.stringify(path.join(tools, 'node_modules/@rollup/plugin-node-resolve'))});
module.exports = {
  input: 'use.cjs',
  external: (name) => name.startsWith('${NAME}-') || name.endsWith('.node') || name.startsWith('node:'),
  output: { file: 'rolled.cjs', format: 'cjs' },
  plugins: [(resolve.default ?? resolve)(), (commonjs.default ?? commonjs)({ ignoreTryCatch: true, ignore: (name) => name.startsWith('${NAME}-') })],
};
`;
    writeFileSync(path.join(project, 'rollup.config.cjs'), config);
    run(project, tool('rollup'), '-c', 'rollup.config.cjs', '--silent');
    rmSync(path.join(project, 'node_modules', NAME), { recursive: true });
    requireWorks(run(project, process.execPath, 'rolled.cjs'));
  });
  prove("safe for Electron: no memory of the addon's own behind a buffer", () => {
    for (const [platform] of addons) {
      const folder = `${installed}${platform}`;
      const file = readdirSync(folder).find((name) => name.endsWith('.node')) ?? '';
      const { imported } = readBinary(path.join(folder, file));
      // Looked up by name when it is loaded, so only what calls it can tell: nothing of ours does.
      const external = imported.filter(({ name }) => /napi_create_external_(arraybuffer|buffer)/.test(name));
      if (external.length > 0) throw new Error(`${platform} links ${external[0].name}`);
    }
    const uses = readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.rs'))
      .filter((name) =>
        /create_external_|from_external|BufferSlice::/.test(readFileSync(path.join(ROOT, 'src', name), 'utf8')),
      );
    if (uses.length > 0) throw new Error(`named in ${uses}`);
  });
} finally {
  registry?.stop();
  rmSync(scratch, { recursive: true, force: true });
}
if (failures > 0) process.exitCode = 1;
