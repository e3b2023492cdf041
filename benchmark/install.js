// @ts-check
'use strict';

const { execFileSync } = require('node:child_process');
const { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const peer = require('./peer.js');
const { describeRun, writeSection } = require('./results.js');
const { formatTable, median } = require('./statistic.js');
const { startRegistry } = require('../scripts/local_registry.js');
const { packPlatforms, packRoot } = require('../scripts/pack.js');
const { ROOT, build, install } = require('../scripts/prepare.js');

/**
 * Owns `npm run bench:install`: a cold `npm install --ignore-scripts` of what would be published and of
 * better-sqlite3, both from a registry on this machine, and then how long a new process needs from
 * `require` to its first query, and the memory that it has by then. Rounds of both alternate.
 *
 *   npm run bench:install -- [--results benchmark/RESULTS.md]
 */

const INSTALLS = 5;
const STARTS = 15;
const NAME = '@whatsapp-uploader/database';

/** What a new process does; it prints the milliseconds and the bytes. */
const PROGRAMS = {
  ours: `const { createConnection } = require('${NAME}');
    const db = createConnection({ path: process.argv[1] });
    db.get('SELECT count(*) AS n FROM sqlite_schema');`,
  'better-sqlite3': `const Database = require('better-sqlite3');
    const db = new Database(process.argv[1]);
    db.pragma('journal_mode = WAL');
    db.prepare('SELECT count(*) AS n FROM sqlite_schema').get();`,
};

/** @param {string} folder */
function bytesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(path.join(entry.parentPath ?? entry.path, entry.name)).size, 0);
}

/** @param {number} bytes */
function toMegabytes(bytes) {
  return (bytes / 1e6).toFixed(2);
}

/** @param {string} scratch */
function measure(scratch) {
  const served = path.join(scratch, 'served');
  const others = path.join(served, 'others');
  mkdirSync(others, { recursive: true });
  const root = packRoot(served);
  const addons = [...packPlatforms(ROOT, served).values()];
  const manifest = require(path.join(peer.packageFolder('better-sqlite3'), 'package.json'));
  const wanted = { [manifest.name]: manifest.version, ...manifest.dependencies };
  for (const [name, version] of Object.entries(wanted)) {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', others, `${name}@${version}`]);
  }
  const packed = {
    ours: [root, ...addons].reduce((sum, file) => sum + statSync(file).size, 0),
    'better-sqlite3': bytesIn(others),
  };
  const registry = startRegistry(served);
  /** @type {Record<string, { installs: number[], starts: number[], memory: number[], unpacked: number }>} */
  const found = {};
  const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...environment } = process.env;
  try {
    const names = /** @type {('ours' | 'better-sqlite3')[]} */ (Object.keys(PROGRAMS));
    for (const name of names) found[name] = { installs: [], starts: [], memory: [], unpacked: 0 };
    for (let round = 0; round < INSTALLS; round += 1) {
      for (const name of names) {
        const project = path.join(scratch, name);
        rmSync(project, { recursive: true, force: true });
        mkdirSync(project);
        writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
        const cache = mkdtempSync(path.join(scratch, 'cache-'));
        const begun = performance.now();
        const wanted = name === 'ours' ? NAME : name;
        const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', wanted];
        const env = { ...environment, npm_config_registry: registry.url, npm_config_cache: cache };
        execFileSync('npm', args, { cwd: project, env });
        found[name].installs.push(performance.now() - begun);
        found[name].unpacked = bytesIn(path.join(project, 'node_modules'));
        rmSync(cache, { recursive: true });
      }
    }
    const template = path.join(scratch, 'template.db');
    writeFileSync(template, '');
    for (let round = 0; round < STARTS; round += 1) {
      for (const name of names) {
        const file = path.join(scratch, `${name}-${round}.db`);
        copyFileSync(template, file);
        const program = `const begun = performance.now();
          ${PROGRAMS[name]}
          console.log(JSON.stringify([performance.now() - begun, process.memoryUsage.rss()]));`;
        const output = execFileSync(process.execPath, ['-e', program, file], {
          cwd: path.join(scratch, name),
          env: environment,
          encoding: 'utf8',
        });
        const [milliseconds, bytes] = JSON.parse(output);
        found[name].starts.push(milliseconds);
        found[name].memory.push(bytes);
      }
    }
    return { found, packed };
  } finally {
    registry.stop();
  }
}

function main() {
  const { values } = parseArgs({ options: { results: { type: 'string' } } });
  install();
  build();
  peer.bring();
  const status = peer.runInRecentNode(__filename, process.argv.slice(2));
  if (status !== undefined) {
    process.exitCode = status;
    return;
  }
  const about = describeRun({ seed: 0, quick: false }, `${INSTALLS} installs, ${STARTS} starts, medians`);
  const scratch = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-install-'));
  try {
    const { found, packed } = measure(scratch);
    const head = ['package', 'packed, MB', 'unpacked, MB', 'cold install, ms', 'require to query, ms', 'memory, MB'];
    const rows = Object.entries(found).map(([name, { installs, starts, memory, unpacked }]) => [
      name,
      toMegabytes(packed[/** @type {'ours'} */ (name)]),
      toMegabytes(unpacked),
      median(installs).toFixed(0),
      median(starts).toFixed(2),
      toMegabytes(median(memory)),
    ]);
    const text = `## Installing\n\n${about}. Both from a registry on this machine, with an empty cache and \`--ignore-scripts\`.\n\n${formatTable(head, rows)}`;
    console.log(text);
    if (values.results) writeSection(values.results, 'install', text);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

main();
