// @ts-check
'use strict';

const { readFileSync } = require('node:fs');
const { openDatabase, toArguments } = require('./database.js');
const dataset = require('./dataset.js');
const { collectGarbage } = require('./garbage.js');
const { createRandom } = require('./random.js');

/**
 * Owns what one process of `memory.js` does: it gets one request as its argument and prints the
 * figures.
 *
 * @typedef {'kept names' | 'growth' | 'resident'} Scenario
 *
 * @typedef {object} Request
 * @property {Scenario} scenario
 * @property {string} subject
 * @property {string} file
 * @property {number} seed
 * @property {number} statements
 *
 * @typedef {Record<string, number>} Figures
 */

const ROWS = 100_000;
const KEEP_EVERY = 1_000;

/** More texts than any cache of statements is likely to hold. */
const TEXTS = 200;
const SAMPLES = 20;
/**
 * Before growth is measured, the same is done once with all that measuring it does: collecting garbage, too, takes
 * memory of its own until it has found its size. A leak grows on behind that.
 */
const WARM_UP = 1_000_000;

/** So few that the pages of the file that they need are all mapped early. */
const HASHES = 100;
/** Addons let go of forgotten objects in a turn of the event loop, so there is one now and then. */
const STATEMENTS_IN_A_TURN = 1_000;

/** Reads every page of the table: those that are mapped into memory count as resident from then on. */
const TOUCH_SQL = "SELECT count(*) FROM file_hashes WHERE file_path || upload_id = ''";

/** All of a row, as an application that lists files has it. */
const LIST_SQL = 'SELECT * FROM file_hashes ORDER BY rowid LIMIT ?';

function collectAll() {
  // Finalizers of the first give more to the second.
  for (let time = 0; time < 3; time += 1) collectGarbage();
}

function takeStock() {
  collectAll();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, resident: rss };
}

/**
 * Reads 100,000 rows and keeps the name of every thousandth.
 *
 * @param {Request} request
 * @returns {Figures}
 */
function keepNames({ subject, file }) {
  const driver = /** @type {import('./database.js').DriverName} */ (subject);
  const database = openDatabase(driver, file);
  database.prepare(TOUCH_SQL).get();
  const list = database.prepare(LIST_SQL);
  const read = (/** @type {number} */ rows) => {
    const names = list.all(...toArguments(driver, [rows])).map((/** @type {any} */ row) => row.file_name);
    return names.filter((/** @type {string} */ _, /** @type {number} */ index) => index % KEEP_EVERY === 0);
  };
  read(KEEP_EVERY);
  const before = takeStock();
  const kept = read(ROWS);
  const { heap, resident } = takeStock();
  if (kept.length !== ROWS / KEEP_EVERY) throw new Error(`${kept.length} names were kept`);
  return {
    keptHeap: heap - before.heap,
    keptResident: resident - before.resident,
    heap,
    total: heap + resident,
  };
}

/**
 * Prepares statements, uses and forgets them, and says how the resident size grows meanwhile.
 *
 * @param {Request} request
 * @returns {Promise<Figures>}
 */
async function forgetStatements({ subject, file, seed, statements }) {
  const driver = /** @type {import('./database.js').DriverName} */ (subject);
  const database = openDatabase(driver, file);
  const random = createRandom(seed);
  const texts = Array.from(
    { length: TEXTS },
    (_, index) => `SELECT * FROM file_hashes WHERE hash = ? AND ${index} >= 0`,
  );
  const hashes = Array.from({ length: HASHES }, () => dataset.hashText(seed, random() % dataset.FILES));
  const use = async (/** @type {number} */ count) => {
    for (let time = 0; time < count; time += 1) {
      if (time % STATEMENTS_IN_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      const hash = hashes[random() % HASHES];
      const statement = database.prepare(texts[random() % TEXTS]);
      const row = statement.get(...toArguments(driver, [hash]));
      const rows = statement.all(...toArguments(driver, [hash]));
      if (row.hash !== rows[0].hash) throw new Error('get and all disagree');
    }
  };
  const measure = async (/** @type {number} */ step) => {
    const resident = [takeStock().resident];
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      await use(step);
      resident.push(takeStock().resident);
    }
    return resident;
  };
  await measure(WARM_UP / SAMPLES);
  const step = statements / SAMPLES;
  const resident = await measure(step);
  const growthPerMillion = slope(resident) * (1_000_000 / step);
  return { statements, before: resident[0], after: resident[SAMPLES], growthPerMillion };
}

/**
 * The slope of the line that fits best, per step from one number to the next.
 *
 * @param {readonly number[]} numbers
 */
function slope(numbers) {
  const middle = (numbers.length - 1) / 2;
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  let together = 0;
  let squares = 0;
  numbers.forEach((number, index) => {
    together += (index - middle) * (number - mean);
    squares += (index - middle) ** 2;
  });
  return together / squares;
}

/**
 * Reads all that the ledger lists, with a preset's memory.
 *
 * @param {Request} request
 * @returns {Promise<Figures>}
 */
async function readEverything({ subject, file }) {
  const { DatabaseManager } = require('..');
  const loaded = takeStock().resident;
  const config = { path: file, preset: subject === 'phone' ? /** @type {const} */ ('phone') : undefined };
  const manager = new DatabaseManager(config);
  await manager.connect();
  let files = 0;
  for (let chat = 0; chat < dataset.CHATS; chat += 1) {
    files += (await manager.findFileHashes(dataset.chatId(chat))).length;
  }
  for (const { id } of await manager.listSessions()) await manager.getErrors(id);
  await manager.listConfig();
  await manager.getStats();
  if (files !== dataset.FILES) throw new Error(`${files} files were read`);
  const { resident } = takeStock();
  const figures = { loaded, resident, mapped: readStatus('RssFile'), largest: readStatus('VmHWM') };
  await manager.disconnect();
  return figures;
}

/**
 * A size that the kernel tells of this process; 0 where it is not Linux. `RssFile` are the resident
 * pages of mapped files, `VmHWM` is the largest resident size (that of `resourceUsage` begins with
 * the parent's).
 *
 * @param {string} name
 */
function readStatus(name) {
  if (process.platform !== 'linux') return 0;
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}

const SCENARIOS = { 'kept names': keepNames, growth: forgetStatements, resident: readEverything };

async function main() {
  /** @type {Request} */
  const request = JSON.parse(process.argv[2]);
  process.stdout.write(JSON.stringify(await SCENARIOS[request.scenario](request)));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
