'use strict';

/** Owns which codes an error of the library may have. */

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..', '..');

/** Every code that an error may have: those of the table in Rust and of `lib/error.js`, and SQLite's. */
function readCodes() {
  const lib = readdirSync(path.join(ROOT, 'lib')).map((file) => path.join(ROOT, 'lib', file));
  const text = [path.join(ROOT, 'src', 'error.rs'), ...lib].map((file) => readFileSync(file, 'utf8')).join('\n');
  const names = readFileSync(path.join(ROOT, 'src', 'sqlite_code.rs'), 'utf8');
  return new Set(
    [...text.matchAll(/["'](DB_[A-Z_]+)["']/g), ...names.matchAll(/"(SQLITE_[A-Z_]+)"/g)].map(([, code]) => code),
  );
}

module.exports = { CODES: readCodes() };
