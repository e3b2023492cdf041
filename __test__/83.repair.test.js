'use strict';

/** Repairing: what can be had comes back, nothing wrong does, and nothing is ever thrown away. */

const assert = require('node:assert/strict');
const { fork, spawn } = require('node:child_process');
const { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { DatabaseManager, createConnection } = require('../index.js');
const { makeFolder, makeRandom, newError, newFileHash, newSession, openLedger } = require('./support/ledger.js');

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const PAGE = 4096;
const sha = (n) => (n * 7919).toString(16).padStart(64, '0');

/** Makes a closed ledger of `files` files, long ones among them. */
async function fill(t, files = 2000) {
  const file = path.join(makeFolder(t), 'a.db');
  const db = await openLedger(t, { path: file });
  const id = await db.createSession(newSession());
  await db.logErrors(Array.from({ length: 50 }, () => newError(id)));
  const long = (n) => (n % 400 === 0 ? 'x'.repeat(9000) : `/media/${n}.jpg`);
  await db.addFileHashes(Array.from({ length: files }, (_, n) => newFileHash(sha(n), { file_path: long(n) })));
  await db.setConfig('theme', 'dark');
  await db.disconnect();
  return { db, file, folder: path.dirname(file), id };
}

/** Overwrites pages, counted from 0. */
function damage(file, pages, fillPage) {
  const bytes = readFileSync(file);
  for (const page of pages) fillPage(bytes.subarray(page * PAGE, (page + 1) * PAGE));
  writeFileSync(file, bytes);
}

const zero = (page) => page.fill(0);

/** Compares every hash with what it was; says how many are whole and how many are keys alone. */
async function compare(db, files) {
  await db.connect();
  const figures = { whole: 0, keys: 0 };
  for await (const row of db.iterateFileHashes()) {
    const n = Number.parseInt(row.hash, 16) / 7919;
    assert.ok(Number.isInteger(n) && n < files, 'a hash that never was');
    if (row.file_path === '') figures.keys += 1;
    else {
      const expected = newFileHash(row.hash, { file_path: n % 400 === 0 ? 'x'.repeat(9000) : `/media/${n}.jpg` });
      assert.deepEqual(row, expected);
      figures.whole += 1;
    }
  }
  assert.deepEqual((await db.checkIntegrity({ deep: true })).ok, true);
  await db.disconnect();
  return figures;
}

test('a lost first page costs nothing, and the damaged file is kept', async (t) => {
  const { db, file, id } = await fill(t);
  damage(file, [0], zero);
  const damaged = readFileSync(file);
  await assert.rejects(db.connect(), (error) => error.code === 'SQLITE_NOTADB' && /repair\(\)/.test(error.message));
  const heard = [];
  const report = await db.repair({ onProgress: (progress) => heard.push(progress) });
  assert.ok(heard.length > 0 && heard.at(-1).done === heard.at(-1).total, JSON.stringify(heard));
  const told = heard.length;
  assert.deepEqual(await compare(db, 2000), { whole: 2000, keys: 0 });
  assert.equal(heard.length, told, 'nothing is heard after the promise has settled');
  assert.match(report.kept, /a\.db\.corrupt-\d{8}T\d{9}Z$/);
  assert.deepEqual(readFileSync(report.kept), damaged);
  if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600);
  await db.connect();
  assert.equal((await db.getErrors(id)).length, 50);
  assert.equal(await db.getConfig('theme'), 'dark');
  await db.disconnect();
});

test('damaged pages cost their own rows, whose hashes are kept', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = makeRandom(SEED);
  for (let round = 0; round < 4; round += 1) {
    const { db, file } = await fill(t);
    const count = statSync(file).size / PAGE;
    const pages = Array.from({ length: Math.floor(count / 20) }, () => 1 + Math.floor(random() * (count - 1)));
    damage(file, pages, (page) => {
      for (let at = 0; at < page.length; at += 1) page[at] = random() * 256;
    });
    const report = await db.repair();
    const { whole, keys } = await compare(db, 2000);
    t.diagnostic(`${whole} whole, ${keys} keys alone, of 2000`);
    assert.ok(whole >= 1700 && whole + keys >= 1900, JSON.stringify(report.tables));
    assert.ok(report.damaged_pages > 0);
    const hashes = report.tables.find(({ table }) => table === 'file_hashes');
    assert.deepEqual([hashes.by_tree + hashes.by_scan, hashes.key_only], [whole, keys]);
  }
});

test('a hash without its row still prevents a duplicate upload', async (t) => {
  const { db, file } = await fill(t);
  const connection = createConnection({ path: file });
  const { rootpage } = connection.get("SELECT rootpage FROM sqlite_schema WHERE name = 'file_hashes'");
  connection.close();
  const bytes = readFileSync(file);
  const root = (rootpage - 1) * PAGE;
  const leaf = bytes.readUInt32BE(root + bytes.readUInt16BE(root + 12));
  damage(file, [leaf - 1], zero);
  const { tables } = await db.repair();
  const lost = tables.find(({ table }) => table === 'file_hashes').key_only;
  assert.ok(lost > 5, JSON.stringify(tables));
  await db.connect();
  const found = await db.findUploaded(Array.from({ length: 2000 }, (_, n) => sha(n)));
  assert.ok([...found.values()].every(Boolean));
  const first = await db.getFileHash(sha(1));
  assert.deepEqual([first.file_path, first.chat_id, first.upload_service], ['', 'chat123', 'photos']);
  await assert.rejects(db.addFileHash(newFileHash(sha(1))), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
});

test('an index that has lost the page of the last rows still knows the others', async (t) => {
  const { db, file } = await fill(t);
  const connection = createConnection({ path: file });
  const hashesOf = (/** @type {string} */ rows) =>
    connection.all(`SELECT hash FROM file_hashes WHERE ${rows}`).map(({ hash }) => hash);
  const [last, earlier] = [hashesOf('rowid > 1976'), hashesOf('rowid = 1000')];
  const pages = connection.all("SELECT name, pageno - 1 AS page FROM dbstat WHERE pagetype = 'leaf'");
  connection.close();
  const bytes = readFileSync(file);
  const find = (/** @type {string} */ tree, /** @type {string[]} */ hashes) =>
    pages
      .filter(({ name }) => name === tree)
      .map(({ page }) => page)
      .filter((page) => hashes.some((hash) => bytes.subarray(page * PAGE, (page + 1) * PAGE).includes(hash)));
  const lost = find('sqlite_autoindex_file_hashes_1', last);
  assert.equal(lost.length, 1, 'neighbours stand in one page of the index');
  damage(file, [...lost, ...find('file_hashes', earlier)], zero);
  const { tables } = await db.repair();
  const { by_tree, key_only } = tables.find(({ table }) => table === 'file_hashes');
  assert.ok(key_only > 5, JSON.stringify(tables));
  assert.equal(by_tree + key_only, 2000);
  assert.deepEqual(await compare(db, 2000), { whole: by_tree, keys: key_only });
});

test('it is refused while anybody has the file open, and a rehearsal is not', async (t) => {
  const { db, file, folder } = await fill(t, 100);
  await db.connect();
  await assert.rejects(db.repair(), { code: 'DB_IN_USE', operation: 'repair' });
  const other = new DatabaseManager({ path: file });
  await assert.rejects(other.repair(), { code: 'DB_IN_USE', operation: 'repair' });
  assert.equal((await other.repair({ dry_run: true })).tables[1].by_tree, 100);
  await db.transaction(() => assert.rejects(db.repair(), { code: 'DB_TRANSACTION_STATE' }));
  await db.disconnect();
  const program = `
    const { DatabaseManager } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
    const db = new DatabaseManager({ path: ${JSON.stringify(file)} });
    db.connect().then(() => process.stdout.write('open'));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await assert.rejects(db.repair(), { code: 'DB_IN_USE' });
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  const before = [readdirSync(folder), readFileSync(file)];
  const report = await db.repair({ dry_run: true });
  assert.deepEqual([readdirSync(folder), readFileSync(file)], before);
  assert.deepEqual([report.dry_run, 'kept' in report], [true, false]);
  assert.ok((await db.repair()).kept);
});

test('what holds nothing of a ledger is left as it is', async (t) => {
  const folder = makeFolder(t);
  const file = path.join(folder, 'a.db');
  const db = new DatabaseManager({ path: file });
  await assert.rejects(db.repair(), { code: 'DB_FILE_MISSING' });
  const foreign = path.join(folder, 'foreign.db');
  const connection = createConnection({ path: foreign, enableWAL: false });
  connection.exec('CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES (1)');
  connection.close();
  for (const bytes of [Buffer.alloc(0), Buffer.from('a picture'), Buffer.alloc(60_000, 13), readFileSync(foreign)]) {
    writeFileSync(file, bytes);
    await assert.rejects(db.repair(), { code: 'DB_NOTHING_TO_REPAIR', operation: 'repair' });
    assert.deepEqual(readFileSync(file), bytes);
  }
  assert.deepEqual(readdirSync(folder).sort(), ['a.db', 'foreign.db']);
  await assert.rejects(new DatabaseManager({ path: ':memory:' }).repair(), { code: 'DB_INVALID_ARGUMENT' });
  await assert.rejects(new DatabaseManager({ path: file, readonly: true }).repair(), { code: 'DB_INVALID_ARGUMENT' });
  for (const options of [{ dry_run: 1 }, { onProgress: 1 }, 7]) {
    await assert.rejects(db.repair(options), { code: 'DB_INVALID_ARGUMENT', operation: 'repair' });
  }
});

test('killed at any moment, there is a file, and the next repair has every row', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = makeRandom(SEED);
  const { db, file, folder } = await fill(t, 3000);
  damage(file, [0], zero);
  const original = path.join(makeFolder(t), 'original.db');
  copyFileSync(file, original);
  const figures = { killed: 0, ended: 0, taken: 0 };
  let span = 400;
  for (let round = 0; round < 25; round += 1) {
    for (const name of readdirSync(folder)) rmSync(path.join(folder, name));
    copyFileSync(original, file);
    const child = fork(path.join(__dirname, 'support', 'repairer.js'), [file], { silent: true });
    let output = '';
    const started = new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdout.on('data', (data) => {
      output += data;
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    await started;
    const begun = Date.now();
    const timer = setTimeout(() => child.kill('SIGKILL'), random() * span);
    await exited;
    clearTimeout(timer);
    const hasEnded = output.includes('kept');
    // So that about half of them are killed.
    if (hasEnded) span = Math.min(span, (Date.now() - begun) * 1.2);
    figures[hasEnded ? 'ended' : 'killed'] += 1;
    assert.ok(existsSync(file), 'a file has the name');
    const isNew = readFileSync(file).subarray(0, 6).toString() === 'SQLite';
    if (isNew) figures.taken += 1;
    else await db.repair();
    assert.deepEqual(await compare(db, 3000), { whole: 3000, keys: 0 });
    assert.ok(!existsSync(`${file}.repairing`) || isNew);
    const kept = readdirSync(folder).filter((name) => name.includes('.corrupt-'));
    assert.ok(kept.length >= 1, 'the damaged file is kept');
    assert.deepEqual(readFileSync(path.join(folder, kept[0])), readFileSync(original));
  }
  t.diagnostic(JSON.stringify(figures));
  assert.ok(figures.killed > 3 && figures.taken >= 1, JSON.stringify(figures));
});
