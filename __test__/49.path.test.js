'use strict';

/**
 * What a path names, on whatever system this runs: one file by several names, what Windows reads into a path,
 * and how far a sync is asked to go. Here stands what needs the addon; the rules alone are tested in Rust.
 */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { createConnection, DatabaseManager } = require('../index.js');
const { code, makeFolder, newFileHash, openLedger } = require('./support/ledger.js');

const INSERT = `INSERT INTO file_hashes (hash, file_path, file_name, file_size, mime_type, upload_service, chat_id,
  uploaded_at) VALUES (?, 'p', 'n', 1, 'm', 'photos', 'c', '2026-01-31T12:00:00.000Z')`;

const FOR_WINDOWS = { skip: process.platform === 'win32' ? false : 'only Windows reads paths so' };

/** Other names of a file, by what differs. */
const OTHER_NAMES = {
  'a link to its folder': (file) => {
    const link = `${path.dirname(file)}-link`;
    fs.symlinkSync(path.dirname(file), link, 'junction');
    return path.join(link, path.basename(file));
  },
  case: (file) => path.join(path.dirname(file), path.basename(file).toUpperCase()),
};

/** Says why a file has no such other name here; false when it has. */
function whyNot(difference) {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-names-'));
  const file = path.join(folder, 'ledger.db');
  try {
    fs.writeFileSync(file, '');
    return fs.existsSync(OTHER_NAMES[difference](file))
      ? false
      : `names that differ in ${difference} are two files here`;
  } catch (error) {
    return `this system makes none (${error.code})`;
  } finally {
    fs.rmSync(`${folder}-link`, { recursive: true, force: true });
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

for (const difference of Object.keys(OTHER_NAMES)) {
  test(`a file is known by another name that differs in ${difference}`, { skip: whyNot(difference) }, async (t) => {
    const folder = path.join(makeFolder(t), 'folder');
    fs.mkdirSync(folder);
    const file = path.join(folder, 'ledger.db');
    const db = await openLedger(t, { path: file });
    const other = OTHER_NAMES[difference](file);
    const connection = createConnection({ path: other, timeout: 1_000 });
    try {
      await db.transaction(async () => {
        await db.addFileHash(newFileHash('mine'));
        assert.throws(() => connection.run(INSERT, ['other']), /asynchronous transaction of this process/);
      });
      // Often enough that a snapshot is held, which must not hide the other's commit.
      for (let n = 0; n < 5; n += 1) assert.equal(await db.isFileUploaded('other'), false);
      connection.run(INSERT, ['other']);
      assert.equal(await db.isFileUploaded('other'), true);
      await assert.rejects(db.backup(other, { overwrite: true }), /the ledger's own file/);
      assert.deepEqual(fs.readdirSync(folder).sort(), ['ledger.db', 'ledger.db-shm', 'ledger.db-wal']);
    } finally {
      connection.close();
    }
  });
}

test('every sync is asked to pass the cache of the drive, and commits wait as the option says', (t) => {
  const folder = makeFolder(t);
  const [normal, full, extra] = [1, 2, 3];
  for (const [enableWAL, synchronous, expected] of [
    [true, 'NORMAL', normal],
    [true, 'FULL', full],
    [false, 'NORMAL', full],
    [false, 'FULL', extra],
  ]) {
    const file = path.join(folder, `${enableWAL}-${synchronous}.db`);
    const connection = createConnection({ path: file, enableWAL, synchronous });
    try {
      const pragma = (name) => Object.values(connection.get(`PRAGMA ${name}`))[0];
      assert.equal(pragma('synchronous'), expected, `${enableWAL} ${synchronous}`);
      assert.equal(pragma('fullfsync'), 1);
      assert.equal(pragma('checkpoint_fullfsync'), 1);
    } finally {
      connection.close();
    }
  }
});

test('the longest path opens, and a longer one leaves nothing behind', (t) => {
  const limit = process.platform === 'win32' ? 1032 : 504;
  // Windows takes paths of any length to the letter alone; elsewhere a link would not count.
  let folder = path.toNamespacedPath(fs.realpathSync(makeFolder(t)));
  while (folder.length + 102 < limit) folder += `${path.sep}${'a'.repeat(100)}`;
  fs.mkdirSync(folder, { recursive: true });
  const longest = `${folder}${path.sep}${'b'.repeat(limit - folder.length - 1)}`;
  createConnection({ path: longest }).close();
  const open = () => createConnection({ path: `${longest}b` });
  assert.throws(open, (error) => code('DB_INVALID_CONFIG')(error) && /choose a shorter one/.test(error.message));
  assert.deepEqual(fs.readdirSync(folder), [path.basename(longest)]);
});

test('a path that is taken to the letter may be long', FOR_WINDOWS, async (t) => {
  const folder = `\\\\?\\${path.join(makeFolder(t), 'a'.repeat(150), 'b'.repeat(150))}`;
  fs.mkdirSync(folder, { recursive: true });
  const file = `${folder}\\ledger.db`;
  assert.ok(file.length > 300);
  const db = await openLedger(t, { path: file });
  await db.addFileHash(newFileHash('h'));
  await db.flush();
  assert.ok(fs.existsSync(`${file}-wal`));
  const copy = `${folder}\\copy.db`;
  await db.backup(copy);
  await db.disconnect();
  for (const each of [file, copy]) {
    const connection = createConnection({ path: each });
    assert.equal(connection.get('SELECT count(*) AS n FROM file_hashes').n, 1);
    connection.close();
  }
});

test('what Windows would take for another file is refused and says what to do', FOR_WINDOWS, async (t) => {
  const folder = makeFolder(t);
  const db = await openLedger(t, { path: path.join(folder, 'ledger.db') });
  const before = fs.readdirSync(folder).sort();
  const paths = {
    NUL: /device.*another name/,
    [`${folder}\\com1.db`]: /device.*another name/,
    '\\\\.\\PhysicalDrive0': /device.*own path/,
    [`\\\\.\\${folder}\\a.db`]: /device.*own path/,
    'C:a.db': /present folder of its drive.*whole path/,
    [`${folder}\\a.db.`]: /ends with a dot or a space/,
    [`${folder}\\a.db `]: /ends with a dot or a space/,
    [`${folder}\\a.db:b`]: /colon/,
    [`\\\\?\\${folder}/a.db`]: /to the letter/,
    [`\\\\?\\${folder}\\..\\a.db`]: /to the letter/,
    '\\\\?\\a.db': /to the letter/,
  };
  for (const [file, expected] of Object.entries(paths)) {
    for (const open of [() => new DatabaseManager({ path: file }), () => createConnection({ path: file })]) {
      assert.throws(open, (error) => code('DB_INVALID_CONFIG')(error) && expected.test(error.message), file);
    }
    for (const call of [() => db.backup(file), () => db.restore(file)]) {
      await assert.rejects(call, (error) => code('DB_INVALID_ARGUMENT')(error) && expected.test(error.message), file);
    }
  }
  await assert.rejects(db.backup(`${folder}\\new\\`), code('DB_NOT_A_FILE'));
  assert.deepEqual(fs.readdirSync(folder).sort(), before);
});

test('a file that a virus scanner holds for a moment is waited for', FOR_WINDOWS, async (t) => {
  const folder = makeFolder(t);
  const db = await openLedger(t, { path: path.join(folder, 'ledger.db') });
  const target = path.join(folder, 'backup.db');
  await db.backup(target);
  // Shared with nobody: what libuv calls UV_FS_O_EXLOCK.
  const descriptor = fs.openSync(target, fs.constants.O_RDWR | 0x10000000);
  const timer = setTimeout(() => fs.closeSync(descriptor), 300);
  t.after(() => clearTimeout(timer));
  await db.backup(target, { overwrite: true });
  assert.deepEqual(fs.readdirSync(folder).sort(), ['backup.db', 'ledger.db', 'ledger.db-shm', 'ledger.db-wal']);
});
