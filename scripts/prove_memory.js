// @ts-check
'use strict';

// `npm run prove:memory`: the Rust crate's unit tests under valgrind, which must find no access to memory
// that is not theirs, no use of what was never set, and nothing that is lost. It writes what it found into
// docs/proofs.md.
//
// SQLite gets each piece of memory from the system here: the small ones that a connection keeps in reserve
// would look valid after their end.

const { execFileSync, spawnSync } = require('node:child_process');
const { mkdtempSync, readdirSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { installDebian } = require('./cross_build.js');
const { ROOT } = require('./prepare.js');
const { keepResult, readCommit, writeReport } = require('./proof_report.js');

const NAME = 'memcheck';
const CAMPAIGN = {
  what: "the crate's unit tests under valgrind: no invalid access, nothing used that was never set, nothing lost",
};

const ENV = {
  ...process.env,
  CARGO_TARGET_DIR: path.join(ROOT, 'target', 'memcheck'),
  LIBSQLITE3_FLAGS: '-DSQLITE_OMIT_LOOKASIDE -DSQLITE_DEFAULT_PCACHE_INITSZ=0',
};

/** Tests of safe code that go through thousands of inputs, or measure how long they take. */
const SKIPPED = ['any_bytes_are_survived', 'any_bytes_are_read_without_a_panic', 'five_percent_of_pages'];

/** What valgrind exits with when it has found something. */
const FOUND = 99;

/** What is planted, and what valgrind must say of it. */
const CONTROLS = { read: 'Invalid read', leak: 'definitely lost in' };

const commit = readCommit();
requireValgrind();
const tests = build('test', ['--lib', '--no-run']);
const control = build('build', ['--example', 'memory_fault']);

const caught = Object.entries(CONTROLS).map(([planted, said]) => {
  const { status, told } = check([control, planted]);
  const line = told.split('\n').find((text) => text.includes(said));
  if (status !== FOUND || line === undefined) fail(`negative control ${planted}: NOTHING WAS NOTICED\n${told}`);
  return line.replace(/^==\d+== /, '').trim();
});
console.log(`negative control: caught: ${caught.join('; ')}`);

const begun = performance.now();
const { status, output, told } = check([tests, '--test-threads=1', ...SKIPPED.flatMap((name) => ['--skip', name])]);
const seconds = Math.round((performance.now() - begun) / 100) / 10;
const passed = find(output, /(\d+) passed/);
const failed = find(output, /(\d+) failed/);
const errors = find(told, /ERROR SUMMARY: ([\d,]+) errors/);
const figures = {
  allocations: find(told, /total heap usage: ([\d,]+) allocs/),
  definitely_lost_bytes: find(told, /definitely lost: ([\d,]+) bytes/),
  invalid_accesses_and_leaks: errors,
  tests_skipped: SKIPPED.length,
};
const result = {
  commit,
  count: passed + failed,
  faults: failed + errors,
  seconds,
  figures,
  control: caught.join('; '),
};
console.log(`${NAME}: ${result.count} tests, ${result.faults} faults, ${seconds} s`, figures);
if (status !== 0 || result.faults > 0 || passed === 0) fail(`${output.slice(-2000)}\n${told}`);
keepResult(NAME, result);
writeReport({ [NAME]: CAMPAIGN });

/** Brings valgrind along, where that is possible. */
function requireValgrind() {
  const isThere = () => spawnSync('valgrind', ['--version']).status === 0;
  if (isThere()) return;
  try {
    if (process.platform === 'linux') installDebian(['valgrind']);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
  if (!isThere()) fail('SKIPPED: valgrind is needed and cannot be installed here; nothing was proven');
}

/**
 * Builds a program of the crate.
 *
 * @param {string} command
 * @param {string[]} args
 * @returns {string} its path
 */
function build(command, args) {
  const parameters = [command, '--quiet', '--no-default-features', '--message-format=json', ...args];
  const lines = execFileSync('cargo', parameters, { cwd: ROOT, env: ENV, encoding: 'utf8', maxBuffer: 1 << 28 });
  const made = lines.split('\n').flatMap((line) => (line.includes('"executable":"') ? [JSON.parse(line)] : []));
  return made[made.length - 1].executable;
}

/**
 * Runs a program under valgrind.
 *
 * @param {string[]} program
 * @returns {{ status: number | null, output: string, told: string }} `told`: what valgrind said
 */
function check(program) {
  const folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-memcheck-'));
  const leaks = ['--leak-check=full', '--show-leak-kinds=definite', '--errors-for-leak-kinds=definite'];
  // Some tests are played in processes of their own; what is found there makes them fail.
  const processes = ['--trace-children=yes', `--log-file=${path.join(folder, '%p')}`];
  const args = [`--error-exitcode=${FOUND}`, ...processes, ...leaks, ...program];
  try {
    const options = /** @type {const} */ ({ cwd: ROOT, env: ENV, encoding: 'utf8', maxBuffer: 1 << 28 });
    const { status, stdout, stderr } = spawnSync('valgrind', args, options);
    const logs = readdirSync(folder).sort((left, right) => Number(left) - Number(right));
    const told = logs.map((log) => readFileSync(path.join(folder, log), 'utf8')).join('');
    return { status, output: `${stdout}${stderr}`, told };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} text
 * @param {RegExp} pattern
 * @returns {number} the number that a text holds; 0 when it does not
 */
function find(text, pattern) {
  return Number((text.match(pattern)?.[1] ?? '0').replaceAll(',', ''));
}

/**
 * @param {string} reason
 * @returns {never}
 */
function fail(reason) {
  console.error(reason);
  process.exit(1);
}
