'use strict';

/** The example behind `npm start`: whole runs as processes of their own, killed, stopped, failing. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { createConnection } = require('../index.js');
const { Progress } = require('../examples/upload/progress.js');
const { Random } = require('../examples/upload/random.js');
const { checkMedia } = require('./support/sample-check.js');

const MAIN = path.join(__dirname, '..', 'examples', 'upload', 'main.js');
const HOLDER = path.join(__dirname, 'support', 'holder.js');
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const KILLED_RUNS = 8;

let base;
/** What the run that nobody disturbs leaves behind, in a folder of its own. */
let whole;

/** Makes a working folder; all of them are removed at the end. */
function makeFolder() {
  return mkdtempSync(path.join(base, 'work-'));
}

/** Starts the example; `ended` gives its exit code or signal and what it has printed. */
function start(cwd, ...args) {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].on('data', (chunk) => {
      printed[name] += chunk;
    });
  }
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...printed }));
  });
  return { child, ended };
}

/** Runs the example to its end and expects an exit code. */
async function run(cwd, args = [], code = 0) {
  const result = await start(cwd, ...args).ended;
  assert.equal(result.code, code, `seed ${SEED}\n${result.stdout}\n${result.stderr}`);
  return result;
}

/** Gives the rows of a ledger that matter here. */
function readLedger(cwd) {
  const connection = createConnection({ path: path.join(cwd, 'uploader-data', 'ledger.db') });
  try {
    return {
      sessions: connection.all('SELECT * FROM upload_sessions ORDER BY rowid'),
      hashes: connection.all(
        'SELECT hash, file_name, file_size, mime_type, upload_service, upload_id FROM file_hashes',
      ),
      errors: connection.all('SELECT * FROM upload_errors ORDER BY id'),
    };
  } finally {
    connection.close();
  }
}

/** Lists what is in the destination, and sees to it that each name tells the content. */
function readDestination(cwd) {
  const folder = path.join(cwd, 'uploader-data', 'uploaded');
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const hash = createHash('sha256')
        .update(readFileSync(path.join(folder, name)))
        .digest('hex');
      assert.equal(path.parse(name).name, hash);
      return name;
    });
}

/** Picks the numbers of the table's rows by their first cell. */
function readTable(stdout) {
  const rows = stdout.split('\n').filter((line) => line.startsWith('│') && !line.includes(' Status '));
  return new Map(
    rows.map((line) => {
      const [name, ...cells] = line
        .slice(1, -1)
        .split('│')
        .map((cell) => cell.trim());
      const [found, uploaded, duplicates, errors] = cells.map(Number);
      return [name, { found, uploaded, duplicates, errors }];
    }),
  );
}

function countersOf({ total_files, success_count, duplicate_count, error_count }) {
  return { found: total_files, uploaded: success_count, duplicates: duplicate_count, errors: error_count };
}

function sumOf(rows, field) {
  return rows.reduce((sum, row) => sum + row[field], 0);
}

/** Waits until the destination holds so many files. */
async function untilUploaded(cwd, count) {
  const folder = path.join(cwd, 'uploader-data', 'uploaded');
  const deadline = Date.now() + 15_000;
  while (!existsSync(folder) || readdirSync(folder).length < count) {
    assert.ok(Date.now() < deadline, `waited in vain for ${count} uploads, seed ${SEED}`);
    await sleep(2);
  }
}

/** Sees to it that a ledger and its destination are as if nothing had ever disturbed the run. */
function assertWhole(cwd, stdout) {
  const { sessions, hashes } = readLedger(cwd);
  for (const session of sessions) {
    const { total_files, processed_files, success_count, duplicate_count, error_count } = session;
    assert.equal(session.status, 'completed');
    assert.equal(processed_files, success_count + duplicate_count + error_count, `seed ${SEED}`);
    assert.equal(processed_files, total_files, `seed ${SEED}`);
  }
  const byChat = (rows) => new Map(rows.map((session) => [session.chat_name, countersOf(session)]));
  assert.equal(sessions.length, whole.sessions.length, `one session for each chat, seed ${SEED}`);
  assert.deepEqual(byChat(sessions), byChat(whole.sessions), `seed ${SEED}`);
  assert.deepEqual(hashes, whole.hashes, `seed ${SEED}`);
  assert.deepEqual(readDestination(cwd), whole.uploaded, `seed ${SEED}`);
  assert.deepEqual(readTable(stdout), whole.table, `seed ${SEED}`);
}

before(async () => {
  base = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-start-'));
  const cwd = makeFolder();
  const { stdout } = await run(cwd);
  whole = { cwd, stdout, table: readTable(stdout), uploaded: readDestination(cwd), ...readLedger(cwd) };
  whole.media = path.join(cwd, 'uploader-data', 'media');
});

after(() => rmSync(base, { recursive: true, force: true }));

test('a run ends with a summary that ledger and destination confirm', () => {
  const { found, uploaded, duplicates, errors } = whole.table.get('Total');
  assert.equal(whole.table.size, 7, 'six chats and the total');
  assert.equal(found, 76);
  assert.ok(duplicates / found > 0.15 && duplicates / found < 0.25, `${duplicates} duplicates`);
  assert.equal(uploaded + duplicates, found);
  assert.equal(errors, 0);
  assert.equal(whole.hashes.length, uploaded);
  assert.equal(whole.uploaded.length, uploaded);
  assert.deepEqual(whole.hashes.map(({ upload_id }) => upload_id).sort(), whole.uploaded);
  for (const session of whole.sessions) {
    assert.deepEqual(whole.table.get(session.chat_name), countersOf(session));
    assert.equal(session.status, 'completed');
  }
  assert.equal(sumOf(whole.sessions, 'processed_files'), found);
  assert.match(whole.stdout, /Seed +1\n/);
  assert.ok(whole.stdout.includes(`Files in the ledger: ${uploaded}. Files in the destination: ${uploaded}.`));
  assert.ok(!whole.stdout.includes('\u001b'), 'no control characters where there is no terminal');
  const services = new Set(whole.hashes.map(({ mime_type, upload_service }) => `${mime_type} ${upload_service}`));
  assert.deepEqual([...services].sort(), [
    'application/pdf drive',
    'audio/ogg drive',
    'image/jpeg photos',
    'video/mp4 photos',
  ]);
});

test('a second run uploads nothing', async () => {
  const cwd = makeFolder();
  cpSync(path.join(whole.cwd, 'uploader-data'), path.join(cwd, 'uploader-data'), { recursive: true });
  const { stdout } = await run(cwd);
  assert.deepEqual(readTable(stdout).get('Total'), { found: 76, uploaded: 0, duplicates: 76, errors: 0 });
  assert.deepEqual(readDestination(cwd), whole.uploaded);
  assert.deepEqual(readLedger(cwd).hashes, whole.hashes);
});

describe('killed and started again, it ends as if nothing had happened', { concurrency: 4 }, () => {
  for (let index = 0; index < KILLED_RUNS; index += 1) {
    test(`run ${index}, seed ${SEED}`, async (t) => {
      const random = new Random(SEED + index);
      const cwd = makeFolder();
      const moments = Array.from({ length: 1 + (index % 3) }, () => random.integer(1, 45));
      for (const moment of moments.sort((a, b) => a - b)) {
        const { child, ended } = start(cwd, whole.media, '--delay-ms', '20');
        await untilUploaded(cwd, moment);
        await sleep(random.integer(0, 25));
        child.kill('SIGKILL');
        assert.equal((await ended).signal, 'SIGKILL');
      }
      const done = sumOf(readLedger(cwd).sessions, 'processed_files');
      t.diagnostic(`killed at ${moments} uploads, ${done} files recorded`);
      assert.ok(done < 76);
      const { stdout } = await run(cwd, [whole.media]);
      assert.match(stdout, /Going on with the run that was stopped/);
      assertWhole(cwd, stdout);
    });
  }
});

test('an upload that a crash left unrecorded makes no second file, and half a file is removed', async () => {
  const cwd = makeFolder();
  const [first, second] = whole.uploaded;
  const folder = path.join(cwd, 'uploader-data', 'uploaded');
  mkdirSync(folder, { recursive: true });
  cpSync(path.join(whole.cwd, 'uploader-data', 'uploaded', first), path.join(folder, first));
  writeFileSync(path.join(folder, `${second}.part`), 'half');
  const { stdout } = await run(cwd, [whole.media]);
  assertWhole(cwd, stdout);
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  test(`${signal} pauses the session and the next run finishes it`, async () => {
    const cwd = makeFolder();
    const { child, ended } = start(cwd, whole.media, '--delay-ms', '20');
    // Well inside the largest chat: between two chats there is nothing to pause.
    await untilUploaded(cwd, new Random(SEED).integer(20, 38));
    child.kill(signal);
    // npm passes on what the terminal has sent already.
    await sleep(3);
    child.kill(signal);
    const result = await ended;
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stdout, /Paused in '[^']+' at \d+ of \d+ files\.\nRun the same command again/);
    const { sessions } = readLedger(cwd);
    const paused = sessions.filter(({ status }) => status !== 'completed');
    assert.deepEqual(
      paused.map(({ status }) => status),
      ['paused'],
    );
    assert.equal(paused[0].processed_files, paused[0].success_count + paused[0].duplicate_count);
    assert.ok(paused[0].processed_files < paused[0].total_files);
    assert.equal(sumOf(sessions, 'success_count'), readDestination(cwd).length, 'the file at hand is not half-done');
    const { stdout } = await run(cwd, [whole.media]);
    assertWhole(cwd, stdout);
  });
}

test('a second Ctrl+C ends at once, though the ledger is locked', async () => {
  const cwd = makeFolder();
  const { child, ended } = start(cwd, whole.media, '--delay-ms', '20');
  await untilUploaded(cwd, 3);
  const holder = spawn(process.execPath, [HOLDER, path.join(cwd, 'uploader-data', 'ledger.db'), '4000']);
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  await sleep(50);
  child.kill('SIGINT');
  await sleep(20);
  child.kill('SIGINT');
  await sleep(700);
  assert.equal(child.exitCode, null, 'npm sends each one twice; it waits for the lock, to record its last upload');
  const pressedAt = Date.now();
  child.kill('SIGINT');
  assert.equal((await ended).code, 130);
  assert.ok(Date.now() - pressedAt < 1000);
  holder.kill('SIGKILL');
  await new Promise((resolve) => holder.once('close', resolve));
  const { stdout } = await run(cwd, [whole.media]);
  assertWhole(cwd, stdout);
});

test('failures are logged, tried again and counted; a later run uploads what was given up', async () => {
  const cwd = makeFolder();
  const args = [whole.media, '--fail-rate', '0.6', '--attempts', '2', '--seed', String(SEED)];
  const { stdout } = await run(cwd, args);
  const { sessions, errors } = readLedger(cwd);
  const total = readTable(stdout).get('Total');
  assert.match(stdout, new RegExp(`Seed +${SEED}\n`));
  assert.ok(total.errors > 0 && total.uploaded > 0, `seed ${SEED}`);
  assert.equal(sumOf(sessions, 'error_count'), total.errors);
  assert.equal(total.found, total.uploaded + total.duplicates + total.errors);
  assert.ok(errors.length >= total.errors, 'some failed once and were uploaded then');
  assert.equal(new Set(errors.map(({ file_path }) => file_path)).size, errors.length, 'one row for each file');
  for (const { error_type, error_message, retry_count } of errors) {
    assert.equal(error_type, 'transient');
    assert.match(error_message, /^The (service|connection) /);
    assert.equal(retry_count, 1);
  }
  assert.equal(readDestination(cwd).length, total.uploaded);
  assert.ok(stdout.includes(`Given up: ${total.errors}.`));

  const later = readTable((await run(cwd, [whole.media])).stdout).get('Total');
  assert.deepEqual(later, {
    found: 76,
    uploaded: whole.uploaded.length - total.uploaded,
    duplicates: 76 - whole.uploaded.length + total.uploaded,
    errors: 0,
  });
  assert.deepEqual(readDestination(cwd), whole.uploaded);
});

test('a destination that goes away fails the chat, and the next run does it again', async () => {
  const cwd = makeFolder();
  const { ended } = start(cwd, whole.media, '--delay-ms', '20');
  await untilUploaded(cwd, 6);
  renameSync(path.join(cwd, 'uploader-data', 'uploaded'), path.join(cwd, 'gone'));
  const { code, stderr } = await ended;
  assert.equal(code, 1);
  assert.match(stderr, /The destination cannot be used: ENOENT/);
  assert.doesNotMatch(stderr, /\n {4}at /, 'no stack');
  assert.ok(readLedger(cwd).sessions.some(({ status }) => status === 'failed'));
  const { stdout, stderr: differs } = await run(cwd, [whole.media], 1);
  assert.equal(readTable(stdout).get('Total').errors, 0);
  assert.match(differs, /The two differ/, 'what was removed is known to the ledger, but not there');
});

test('the sample is made of valid files, of the size that a phone has, and the same for everyone', () => {
  const files = readdirSync(whole.media, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== '.nomedia')
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
  assert.equal(files.length, 76);
  for (const file of files) {
    assert.match(path.basename(file), /^(IMG|VID|AUD|PTT|DOC)-202601\d\d-WA\d{4}\.(jpg|mp4|opus|pdf)$/);
    const bytes = readFileSync(file);
    assert.ok(bytes.length > 2000 && bytes.length < 220_000, `${file} has ${bytes.length} bytes`);
    checkMedia(path.extname(file), bytes);
  }
  const names = files.map((file) => path.basename(file));
  assert.ok(new Set(names).size < names.length - 15, 'the same name stands in several folders');
  const digest = createHash('sha256').update(whole.uploaded.join()).digest('hex');
  assert.equal(digest.slice(0, 16), '64ab3d6725e0a0a1');
});

test("the user's own folder: loose files, hidden ones, links, folders in folders, the data folder", async () => {
  const cwd = makeFolder();
  const files = ['a.txt', '.hidden', 'Chat/b.JPG', 'Chat/Sent/c.pdf', 'Chat/.nomedia', 'Empty/.nomedia', 'Other/a.txt'];
  for (const name of files) {
    mkdirSync(path.dirname(path.join(cwd, name)), { recursive: true });
    writeFileSync(path.join(cwd, name), `content of ${name}`);
  }
  symlinkSync(path.join(cwd, 'Chat'), path.join(cwd, 'Link'));
  symlinkSync(path.join(cwd, 'a.txt'), path.join(cwd, 'Chat', 'link.txt'));
  const table = readTable((await run(cwd, ['.'])).stdout);
  assert.deepEqual([...table.keys()], [path.basename(cwd), 'Chat', 'Other', 'Total']);
  assert.deepEqual(table.get('Total'), { found: 4, uploaded: 4, duplicates: 0, errors: 0 });
  assert.deepEqual(readTable((await run(cwd, [cwd])).stdout).get('Total').duplicates, 4, 'its own copies are no media');
});

test('one run at a time works on a ledger', async () => {
  const cwd = makeFolder();
  const { child, ended } = start(cwd, whole.media, '--delay-ms', '60');
  await untilUploaded(cwd, 1);
  const { stderr } = await run(cwd, [whole.media], 1);
  assert.match(stderr, /^Another run is working with the ledger .*; wait for its end, or stop it\n$/);
  child.kill('SIGINT');
  assert.equal((await ended).code, 130);
});

test('bad arguments end with 2, a bad ledger with 1, each with a message', async () => {
  const cwd = makeFolder();
  writeFileSync(path.join(cwd, 'file'), 'no ledger, only text that is long enough to be looked at'.repeat(20));
  const bad = [
    [['--fail-rate', '1.5'], /--fail-rate needs a number from 0 to 1, not '1.5'/],
    [['--seed', '-1'], /--seed/],
    [['--seed=x'], /--seed needs a whole number/],
    [['--attempts', '0'], /--attempts needs a whole number from 1/],
    [['--delay-ms', ''], /--delay-ms needs/],
    [['--database='], /--database needs a path/],
    [['nowhere'], /There is no folder 'nowhere'/],
    [['file'], /'file' is not a folder/],
    [['a', 'b'], /One folder is expected, not 2/],
    [['--unknown'], /Unknown option '--unknown'/],
  ];
  const cases = [...bad.map((entry) => [...entry, 2]), [['--database', 'file'], /./, 1]];
  await Promise.all(
    cases.map(async ([args, message, code]) => {
      const { stdout, stderr } = await run(cwd, args, code);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /\n {4}at /, 'no stack');
      assert.equal(stdout, '');
    }),
  );
  assert.match((await run(cwd, ['--help'])).stdout, /^Usage: npm start/);
});

test('on a terminal a chat has a bar with counts, a percentage and an ETA', () => {
  let written = '';
  const stream = { isTTY: true, columns: 120, write: (text) => (written += text), cursorTo() {}, clearLine() {} };
  const session = { chat_name: 'Family', total_files: 4, success_count: 1, duplicate_count: 1, error_count: 0 };
  const progress = new Progress(stream);
  progress.start({ ...session, processed_files: 0 });
  progress.update({ ...session, processed_files: 2 });
  progress.stop();
  assert.match(written, /Family \[#{12}-{12}\] 50% \| 2\/4 files \| 1 uploaded, 1 duplicates, 0 errors \| ETA \d+s/);
});
