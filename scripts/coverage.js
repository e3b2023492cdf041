// @ts-check
'use strict';

// `npm run coverage`: measures the lines that the tests run, of the Rust core (over an
// instrumented addon too, so that src/node/ counts) and of the JavaScript; fails below 90 %.
//
// Left out, each for a reason: test modules (they would flatter the figure), and lines that only
// an operating system other than this one compiles.

const { execFileSync, spawnSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } = require('node:fs');
const path = require('node:path');
const { ROOT, build, install, run } = require('./prepare.js');

const MIN_PERCENT = 90;
const OUTPUT = path.join(ROOT, 'coverage');
const TARGET = path.join(ROOT, 'target', 'coverage');
const ADDON = path.join(OUTPUT, 'database.node');
const ENV = {
  CARGO_TARGET_DIR: TARGET,
  LLVM_PROFILE_FILE: path.join(OUTPUT, 'profile', '%p-%m.profraw'),
  RUSTFLAGS: '-C instrument-coverage',
};

install();
build();
rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(path.join(OUTPUT, 'profile'), { recursive: true });

const objects = [ADDON, ...testRust()];
testJavaScript();
const isRustCovered = reportRust(objects);
const isJavaScriptCovered = reportJavaScript();
process.exitCode = isRustCovered && isJavaScriptCovered ? 0 : 1;

/** Runs the Rust tests, instrumented; gives the test programs. */
function testRust() {
  run('cargo', ['build'], ENV);
  const extension = { darwin: 'dylib', win32: 'dll' }[String(process.platform)] ?? 'so';
  const prefix = process.platform === 'win32' ? '' : 'lib';
  copyFileSync(path.join(TARGET, 'debug', `${prefix}whatsapp_uploader_database.${extension}`), ADDON);
  return [[], ['--no-default-features']].flatMap((features) => {
    run('cargo', ['test', '--lib', '--tests', ...features], ENV);
    const messages = execFileSync(
      'cargo',
      ['test', '--lib', '--tests', ...features, '--no-run', '--quiet', '--message-format=json'],
      { cwd: ROOT, env: { ...process.env, ...ENV }, encoding: 'utf8', maxBuffer: 1 << 28 },
    );
    return messages
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
      .filter(({ profile, executable }) => profile?.test && executable)
      .map(({ executable }) => executable);
  });
}

/** Runs the Node tests over the instrumented addon, and watches the JavaScript too. */
function testJavaScript() {
  const files = readdirSync(path.join(ROOT, '__test__')).filter((name) => name.endsWith('.test.js'));
  const c8 = ['c8', '--all', '--include=index.js', '--include=lib/**', '--reporter=text', '--reporter=json-summary'];
  const test = [process.execPath, '--test', ...files.map((name) => path.join('__test__', name))];
  run('npx', [...c8, `--reports-dir=${OUTPUT}`, ...test], { ...ENV, NAPI_RS_NATIVE_LIBRARY_PATH: ADDON });
}

/**
 * Finds a tool of the LLVM that this Rust compiler is made of.
 *
 * @param {string} name
 */
function findTool(name) {
  const [, major] = execFileSync('rustc', ['-vV'], { encoding: 'utf8' }).match(/LLVM version: (\d+)/) ?? [];
  const candidates = [
    process.env[name.toUpperCase().replace('-', '_')],
    `${name}-${major}`,
    `/usr/lib/llvm-${major}/bin/${name}`,
  ];
  const found = candidates.find((tool) => tool && spawnSync(tool, ['--version']).status === 0);
  if (!found) throw new Error(`${name} ${major} is needed: on Debian, apt-get install llvm-${major}`);
  return found;
}

/** @param {string[]} programs */
function reportRust(programs) {
  const profile = path.join(OUTPUT, 'merged.profdata');
  const raw = readdirSync(path.join(OUTPUT, 'profile')).map((name) => path.join(OUTPUT, 'profile', name));
  // A process that was killed half-way leaves a file that cannot be read: it tells nothing.
  execFileSync(findTool('llvm-profdata'), ['merge', '-sparse', '--failure-mode=all', '-o', profile, ...raw]);
  const lcov = execFileSync(
    findTool('llvm-cov'),
    [
      'export',
      '--format=lcov',
      `--instr-profile=${profile}`,
      programs[0],
      ...programs.slice(1).flatMap((name) => ['-object', name]),
    ],
    { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const total = { lines: 0, hit: 0 };
  console.log('\nRust, lines run by the tests');
  for (const record of lcov.split('end_of_record')) {
    const [, file] = record.match(/^SF:(.*)$/m) ?? [];
    if (!file?.startsWith(path.join(ROOT, 'src') + path.sep) || !existsSync(file)) continue;
    const source = readFileSync(file, 'utf8').split('\n');
    const testsStart = source.findIndex(
      (line, index) => line === '#[cfg(test)]' && source[index + 1] === 'mod tests {',
    );
    const end = testsStart === -1 ? source.length : testsStart;
    const counts = [...record.matchAll(/^DA:(\d+),(\d+)/gm)]
      .map(([, line, count]) => ({ line: Number(line), count: Number(count) }))
      .filter(({ line }) => line <= end);
    if (counts.length === 0 || path.basename(file) === 'test_folder.rs') continue;
    const hit = counts.filter(({ count }) => count > 0).length;
    total.lines += counts.length;
    total.hit += hit;
    const missed = counts.filter(({ count }) => count === 0).map(({ line }) => line);
    console.log(
      `${percent(hit, counts.length).padStart(7)}  ${path.relative(ROOT, file)}  ${missed.slice(0, 12).join(' ')}`,
    );
  }
  return judge('Rust', total.hit, total.lines);
}

function reportJavaScript() {
  const summary = JSON.parse(readFileSync(path.join(OUTPUT, 'coverage-summary.json'), 'utf8'));
  const { covered, total } = summary.total.lines;
  return judge('JavaScript', covered, total);
}

/**
 * @param {string} language
 * @param {number} hit
 * @param {number} lines
 */
function judge(language, hit, lines) {
  const isEnough = hit * 100 >= lines * MIN_PERCENT;
  console.log(`${language}: ${percent(hit, lines)} of ${lines} lines${isEnough ? '' : `, less than ${MIN_PERCENT} %`}`);
  return isEnough;
}

/**
 * @param {number} part
 * @param {number} whole
 */
function percent(part, whole) {
  return `${((part * 100) / whole).toFixed(1)} %`;
}
