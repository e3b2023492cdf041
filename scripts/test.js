// @ts-check
'use strict';

// `npm test`: on a fresh clone too, installs, builds and checks everything.

const { readdirSync } = require('node:fs');
const path = require('node:path');
const { ROOT, build, install, run } = require('./prepare.js');

const FEATURES = [[], ['--no-default-features']];

install();

run('cargo', ['fmt', '--check']);
for (const features of FEATURES) {
  run('cargo', ['clippy', '--all-targets', ...features, '--', '-D', 'warnings']);
  run('cargo', ['test', ...features]);
}
run('cargo', ['doc', '--no-deps', '--no-default-features', '--document-private-items'], {
  RUSTDOCFLAGS: '-D warnings',
});

run('cargo', ['run', '--quiet', '--example', 'ledger', '--no-default-features']);

build();

run('npx', ['biome', 'ci', '--error-on-warnings']);
run('npx', ['tsc', '-p', '.']);
run('npx', ['tsc', '-p', '__test__/types']);

const folder = path.join(ROOT, '__test__');
const files = readdirSync(folder).filter((name) => name.endsWith('.test.js'));
run(process.execPath, ['--test', ...files.map((name) => path.join('__test__', name))]);
