'use strict';

/** The package as a user gets it: packed, installed in an empty project, used in every way. */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');

const ROOT = path.join(__dirname, '..');
const TSC = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
const NAMES = [
  'DEFAULT_CONFIG',
  'DatabaseError',
  'DatabaseManager',
  'DatabaseMigrator',
  'SCHEMA_VERSION',
  'SqliteConnection',
  'createConnection',
  'validateConfig',
];

let project;

/** Runs a command in the project and gives what it prints. */
function run(command, ...args) {
  return execFileSync(command, args, { cwd: project, encoding: 'utf8', shell: process.platform === 'win32' });
}

function write(name, text) {
  writeFileSync(path.join(project, name), text);
}

before(() => {
  project = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-package-'));
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
      cwd: ROOT,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    }),
  );
  write('package.json', '{ "name": "empty", "private": true }');
  mkdirSync(path.join(project, 'data'));
  run('npm', 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', `./${filename}`);
});

after(() => rmSync(project, { recursive: true, force: true }));

test('it holds what it needs and nothing else', () => {
  const list = run('npm', 'ls', '--all', '--parseable').trim().split('\n');
  assert.equal(list.length, 2, `no other package comes along: ${list}`);
  const [{ files }] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], { cwd: ROOT, encoding: 'utf8' }),
  );
  const names = files.map(({ path: name }) => name).filter((name) => !name.endsWith('.node'));
  assert.deepEqual(names.sort(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'index.d.mts',
    'index.d.ts',
    'index.js',
    'index.mjs',
    'lib/background.js',
    'lib/batch.js',
    'lib/call_options.js',
    'lib/call_queue.js',
    'lib/calls.js',
    'lib/commit.js',
    'lib/connection.js',
    'lib/driver.js',
    'lib/entry.js',
    'lib/error.js',
    'lib/handles.js',
    'lib/json.js',
    'lib/ledger.js',
    'lib/listing.js',
    'lib/load_binding.js',
    'lib/lock_wait.js',
    'lib/log.js',
    'lib/loop_turn.js',
    'lib/manager.js',
    'lib/migrator.js',
    'lib/native.js',
    'lib/packer.js',
    'lib/progress.js',
    'lib/record.js',
    'lib/recovery.js',
    'lib/rows.js',
    'lib/shape.js',
    'lib/statement.js',
    'lib/transaction.js',
    'lib/transaction_turn.js',
    'lib/turn.js',
    'lib/version.js',
    'package.json',
    'types/connection.d.ts',
    'types/record.d.ts',
    'types/recovery.d.ts',
  ]);
  const manifest = JSON.parse(
    readFileSync(path.join(project, 'node_modules/@whatsapp-uploader/database/package.json'), 'utf8'),
  );
  assert.equal(manifest.dependencies, undefined);
  for (const script of ['preinstall', 'install', 'postinstall']) assert.equal(manifest.scripts[script], undefined);
});

test('CommonJS and ES modules get the same names and the same objects', () => {
  write('names.cjs', `console.log(Object.keys(require('@whatsapp-uploader/database')).sort().join());`);
  assert.equal(run('node', 'names.cjs').trim(), NAMES.join());
  write(
    'names.mjs',
    `import * as esm from '@whatsapp-uploader/database';
     import { createRequire } from 'node:module';
     const cjs = createRequire(import.meta.url)('@whatsapp-uploader/database');
     console.log(Object.keys(esm).sort().filter((name) => esm[name] === cjs[name]).join());`,
  );
  assert.equal(run('node', 'names.mjs').trim(), NAMES.join());
  write('manifest.cjs', `console.log(require('@whatsapp-uploader/database/package.json').name);`);
  assert.equal(run('node', 'manifest.cjs').trim(), '@whatsapp-uploader/database');
});

test('a module of another kind finds the names without the wrapper', () => {
  const file = './node_modules/@whatsapp-uploader/database/index.js';
  write('lexed.mjs', `import { ${NAMES.join(', ')} } from '${file}';\nconsole.log([${NAMES.join(', ')}].length);`);
  assert.equal(run('node', 'lexed.mjs').trim(), String(NAMES.length));
});

test('a program loads what it asks for, and nothing else of the package', () => {
  const loaded = (name) => {
    write(
      'loaded.cjs',
      `require('@whatsapp-uploader/database')${name ? `.${name}` : ''};
       const path = require('node:path');
       console.log(Object.keys(require.cache).map((file) => path.basename(file)).join());`,
    );
    const files = run('node', 'loaded.cjs').trim().split(',');
    return ['connection.js', 'ledger.js', 'manager.js', 'migrator.js'].filter((file) => files.includes(file));
  };
  assert.deepEqual(loaded('validateConfig'), []);
  assert.deepEqual(loaded('createConnection'), ['connection.js']);
  assert.deepEqual(loaded('SqliteConnection'), ['connection.js']);
  assert.deepEqual(loaded('DatabaseManager'), ['manager.js']);
  assert.ok(loaded('DatabaseMigrator').includes('migrator.js'));
});

/** Takes the specification's two usage examples, as they stand. */
function readExamples() {
  const spec = readFileSync(path.join(__dirname, 'fixture', 'TASK-008-database-spec.md'), 'utf8');
  const blocks = [...spec.matchAll(/```typescript\n([\s\S]*?)```/g)].map(([, text]) => text);
  const basic = blocks.find((text) => text.includes('isDuplicate'));
  const transaction = blocks.find((text) => text.includes('db.transaction('));
  const importLine = basic.split('\n')[0];
  assert.match(importLine, /^import \{/);
  return { importLine, body: basic.replace(importLine, '') + transaction };
}

for (const [kind, type, resolution] of [
  ['ES modules', 'module', 'node16'],
  ['CommonJS', 'commonjs', 'node16'],
  ['a bundler', 'module', 'bundler'],
]) {
  test(`the specification's examples compile under strict and run, for ${kind}`, () => {
    const { importLine, body } = readExamples();
    rmSync(path.join(project, 'data'), { recursive: true });
    mkdirSync(path.join(project, 'data'));
    write('package.json', JSON.stringify({ name: 'empty', private: true, type }));
    write(
      'example.ts',
      `${importLine}\nasync function main() {\n${body}\n  return [isDuplicate, await db.getSession(sessionId), await db.getStats()] as const;\n}\n` +
        `main().then(([known, session, stats]) => console.log(known, session?.success_count, stats.totalFiles));\n`,
    );
    write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          strict: true,
          target: 'es2022',
          lib: ['es2022', 'dom'],
          module: resolution === 'bundler' ? 'esnext' : 'node16',
          moduleResolution: resolution,
          types: [],
        },
        files: ['example.ts'],
      }),
    );
    run(process.execPath, TSC);
    assert.equal(run('node', 'example.js').trim(), 'false 1 1');
  });
}

test("the README's quick start runs as it stands", () => {
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const [, code] = readme.match(/```js\n([\s\S]*?)```/);
  assert.ok(code.split('\n').filter((line) => line !== '').length <= 13, 'a quick start is short');
  write('quick-start.mjs', code);
  assert.match(run('node', 'quick-start.mjs'), /totalFiles: 1/);
});
