// @ts-check
'use strict';

const assert = require('node:assert/strict');
const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const ROOT = path.join(__dirname, '..');

/** @param {string[]} parts */
const readText = (...parts) => readFileSync(path.join(ROOT, ...parts), 'utf8');

test('each code of ours is explained, in the reference and in the document on recovery', () => {
  const sources = [
    readText('src', 'error.rs'),
    ...readdirSync(path.join(ROOT, 'lib')).map((name) => readText('lib', name)),
  ];
  const codes = new Set(sources.flatMap((text) => text.match(/(?<=['"])DB_[A-Z_]+(?=['"])/g) ?? []));
  assert.ok(codes.size > 25, `${codes.size} codes were found`);
  for (const document of ['api.md', 'recovery.md']) {
    const text = readText('docs', document);
    for (const code of codes) assert.ok(text.includes(`\`${code}\``), `${document} does not explain ${code}`);
  }
});
