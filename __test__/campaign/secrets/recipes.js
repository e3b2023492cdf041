'use strict';

/**
 * Owns the ways in which calls fail while a secret is bound, stored or named as a value: each recipe
 * makes one call fail, or gives a report or a statistic, and returns what came of it.
 */

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const {
  DatabaseManager,
  DatabaseMigrator,
  SqliteConnection,
  createConnection,
  validateConfig,
} = require('../../../index.js');
const { newError, newFileHash, newSession } = require('../../support/ledger.js');

/** What fails when something of it is secret: `(scene) => anything, or throws`. */
const VALUES = [
  (secret) => secret,
  (secret) => `${secret}\ud800`,
  (secret) => [secret],
  (secret) => ({ secret }),
  (secret) => Symbol(secret),
  (secret) => Object(secret),
  (secret) => Buffer.from(secret),
  (secret) => ({ toString: () => secret, valueOf: () => secret }),
  (secret) => () => secret,
  (secret) => BigInt(`0x${Buffer.from(secret).toString('hex')}`),
  (secret) => new Map([[secret, secret]]),
];

const RECORDS = {
  createSession: () => [
    newSession({ id: 'new', last_processed_file: 'a', status: 'running', created_at: '2026-01-31T12:00:00.000Z' }),
  ],
  updateSession: () => [
    's',
    { chat_id: 'c', chat_name: 'c', start_time: 'x', total_files: 1, status: 'paused', last_processed_file: 'a' },
  ],
  incrementSession: () => ['s', { total_files: 1, error_count: 1 }],
  addFileHash: () => [newFileHash('new')],
  logError: () => [newError('s')],
};
const FIRST_ARGUMENTS = [
  'getSession',
  'deleteSession',
  'getFileHash',
  'findFileHashes',
  'deleteFileHash',
  'isFileUploaded',
  'getErrors',
  'clearErrors',
  'incrementRetryCount',
  'listSessions',
  'getConfig',
  'deleteConfig',
  'setConfig',
];
const OPTIONS = [
  'vacuum',
  'analyze',
  'flush',
  'getStats',
  'listConfig',
  'checkIntegrity',
  'repair',
  'initializeSchema',
  'iterateSessions',
  'iterateFileHashes',
  'iterateErrors',
];

/**
 * SQL that fails while it is prepared or run, around a text literal, a bound value or what was meant as a
 * literal. What stands in brackets is a name, which a message may repeat.
 */
const SQL = [
  (s) => [`SELECT '${s}' FROM`, []],
  (s) => [`SELECT '${s}`, []],
  (s) => [`SELECT "${s}"`, []],
  (s) => [`SELECT absent FROM config WHERE value = '${s}'`, []],
  (s) => [`INSERT INTO config VALUES ('k', '${s}')`, []],
  (s) => [`INSERT INTO config VALUES ('${s}', NULL, 'x')`, []],
  (s) => ['INSERT INTO config VALUES (?, ?, ?)', ['taken', s, s]],
  (s) => ['INSERT INTO config VALUES (?, ?, NULL)', [s, s]],
  (s) => ["SELECT json_extract('{}', ?)", [s]],
  (s) => ['SELECT json(?)', [`{${s}`]],
  (s) => ["SELECT json_set('{}', ?, 1)", [s]],
  (s) => ["SELECT 1 LIKE 'x' ESCAPE ?", [s]],
  (s) => ['SELECT abs(?), zeroblob(1e12)', [s]],
  (s) => ['ATTACH ? AS other', [s]],
  (s) => [`ATTACH 'missing/${s}' AS other`, []],
  (s) => ['VACUUM INTO ?', [`/missing/${s}`]],
  (s) => ['SELECT load_extension(?)', [s]],
  (s) => [`PRAGMA user_version = '${s}'`, []],
  (s) => [`CREATE TABLE config(a DEFAULT '${s}')`, []],
  (s) => [`CREATE VIRTUAL TABLE v USING nothing('${s}')`, []],
  (s) => [`CREATE VIRTUAL TABLE v USING fts5(a, tokenize='${s}')`, []],
  (s) => [`SELECT strftime('%Y', '${s}') FROM nothing`, []],
  (s) => [`SELECT CAST(x'ff' AS TEXT) AS t, '${s}'`, []],
  (s) => ['SELECT 9223372036854775807, ?', [s]],
  (s) => [`SELECT '${s}'; SELECT 2`, []],
  (s) => ['SELECT ?', [s, s]],
  (s) => ['SELECT ?', [{ s }]],
  (s) => ['SELECT ?', [`${s}\ud800`]],
  (s) => ['SELECT :a', { b: s }],
  (s) => [`INSERT INTO guarded VALUES ('${s}')`, []],
  (s) => ['INSERT INTO guarded VALUES (?)', [s]],
  (s) => ['INSERT INTO raised VALUES (?)', [s]],
  (s) => ['INSERT INTO strict VALUES (?)', [s]],
  (s) => [`INSERT INTO strict VALUES ('${s}')`, []],
  (s) => ['INSERT INTO unique_expression VALUES (?)', [s]],
  (s) => [`SELECT * FROM config WHERE value MATCH '${s}'`, []],
  (s) => [`WITH a AS (SELECT '${s}') SELECT * FROM a, b`, []],
  (s) => [`SELECT round('${s}', 1, 2, 3)`, []],
  (s) => [`SELECT '${s}' COLLATE nothing`, []],
  (s) => [`-- ${s}`, []],
  (s) => [`SELECT @${s}, 1 FROM`, []],
];

/** Rows that another tool may have left. */
const FOREIGN_ROWS = [
  (s) => `UPDATE config SET value = '{${s}'`,
  (s) => `UPDATE config SET updated_at = '${s}'`,
  (s) => `UPDATE upload_sessions SET status = '${s}'`,
  (s) => `UPDATE upload_sessions SET start_time = '${s}'`,
  (s) => `UPDATE upload_sessions SET total_files = '${s}'`,
  (s) => `UPDATE file_hashes SET upload_service = '${s}'`,
  (s) => `UPDATE file_hashes SET file_size = '${s}'`,
  (s) => `UPDATE file_hashes SET uploaded_at = x'${Buffer.from(s).toString('hex')}'`,
  (s) => `UPDATE upload_errors SET retry_count = '${s}'`,
  (s) => `UPDATE upload_errors SET session_id = '${s}'`,
  (s) => `INSERT INTO config VALUES (CAST(x'ff${Buffer.from(s).toString('hex')}' AS TEXT), '"x"', 'x')`,
  (s) => `INSERT OR REPLACE INTO config VALUES ('__whatsapp_uploader_last_vacuum', '"${s}', '${s}')`,
  (s) => `UPDATE schema_migrations SET description = '${s}', applied_at = '${s}'`,
  (s) => `CREATE VIEW v AS SELECT '${s}'`,
  (s) => `CREATE TRIGGER g BEFORE INSERT ON config BEGIN SELECT RAISE(ABORT, '${s}'); END`,
  (s) => `CREATE TRIGGER g BEFORE UPDATE ON upload_sessions BEGIN SELECT RAISE(ABORT, '${s}'); END`,
  (s) => `CREATE UNIQUE INDEX x ON config(value || '${s}')`,
];

/** Everything that reads or checks a ledger, after a foreign row. */
async function readAll(db, hear) {
  const calls = [
    () => db.listConfig(),
    () => db.getConfig('taken'),
    () => db.setConfig('taken', 1),
    () => db.setConfig('other', 1),
    () => db.listSessions(),
    () => db.getSession('s'),
    () => db.updateSession('s', { total_files: 2 }),
    () => db.incrementSession('s', { total_files: 1 }),
    () => db.getFileHash('taken'),
    () => db.findFileHashes('chat123'),
    () => db.getErrors('s'),
    () => db.incrementRetryCount(1),
    () => db.getStats(),
    () => db.initializeSchema(),
    () => db.vacuum(),
  ];
  for (const call of calls) await hear(call, { values: false });
  await hear(() => db.checkIntegrity({ deep: true }));
}

/**
 * Every recipe: `(scene, hear)`, where `hear(call)` notes how a call failed, or what it gave. A value that
 * a getter of records gives is the caller's own, and is not looked at.
 */
const RECIPES = [
  ...Object.entries(RECORDS).flatMap(([method, make]) =>
    Object.keys(make().at(-1)).map((field) => async ({ db, value }, hear) => {
      const args = make();
      args.at(-1)[field] = value;
      await hear(() => db[method](...args), { values: false });
    }),
  ),
  ...Object.entries(RECORDS).map(([method, make]) => async ({ db, secret }, hear) => {
    const args = make();
    args.at(-1)[`field_${secret.slice(0, 0)}x`] = secret;
    await hear(() => db[method](...args), { values: false });
  }),
  ...FIRST_ARGUMENTS.map((method) => async ({ db, value }, hear) => {
    await hear(() => db[method](value, value), { values: false });
    await hear(() => db[method](value, 1, { signal: value }), { values: false });
  }),
  ...OPTIONS.map((method) => async ({ db, value }, hear) => {
    for (const name of [
      'signal',
      'limit',
      'after',
      'deep',
      'max_ms',
      'onProgress',
      'dry_run',
      'status',
      'chat_id',
      'session_id',
    ]) {
      await hear(
        async () => {
          const made = db[method]({ [name]: value });
          return typeof made?.next === 'function' ? made.next() : made;
        },
        { values: false },
      );
    }
  }),
  async ({ db, secret, value }, hear) => {
    await hear(() => db.addFileHash(newFileHash('taken', { file_path: secret, upload_id: secret, chat_id: secret })));
    await hear(() => db.createSession(newSession({ id: 's', chat_name: secret })));
    await hear(() => db.logError(newError(secret, { error_message: secret })));
    await hear(() => db.updateSession(secret, { chat_name: secret }));
    await hear(() =>
      db.addFileHashes([newFileHash(''), newFileHash('taken', { file_name: secret }), { secret }, value]),
    );
    await hear(() => db.logErrors([newError(secret), newError('s', { error_message: value })]));
    await hear(() =>
      db.updateSessions([
        { id: secret, changes: { chat_name: secret } },
        { id: 's', changes: { status: secret } },
      ]),
    );
    await hear(() => db.findUploaded([secret, value]), { values: false });
  },
  async ({ db, secret }, hear) => {
    const cyclic = { secret };
    cyclic.cyclic = cyclic;
    for (const given of [
      cyclic,
      [undefined, secret],
      { secret, n: Number.NaN },
      { secret, big: 1n },
      () => secret,
      Symbol(secret),
    ]) {
      await hear(() => db.setConfig('k', given));
      await hear(() => db.setConfig(secret, given));
    }
    await hear(() => db.setConfig('__whatsapp_uploader_last_vacuum', secret));
  },
  async ({ db, secret }, hear) => {
    await hear(() => db.transaction(secret));
    await hear(() => db.transaction(async () => db.vacuum(secret)));
    await hear(() => db.transaction(() => db.addFileHash(newFileHash('taken', { chat_id: secret }))));
    let late;
    await db.transaction(async () => {
      late = () => db.setConfig('late', secret);
      setImmediate(() => {
        late = late().catch((error) => error);
      });
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await hear(async () => {
      throw await late;
    });
  },
  async ({ file, secret }, hear) => {
    const closed = new DatabaseManager({ path: file });
    for (const method of Object.keys(RECORDS)) await hear(() => closed[method](secret, { secret }));
    await hear(() => closed.setConfig('k', secret));
  },
  ...SQL.map((make) => async ({ connection, secret }, hear) => {
    const [sql, params] = make(secret);
    for (const method of ['run', 'get', 'all', 'iterate', 'prepare', 'exec', 'pragma']) {
      await hear(
        () => {
          const made = connection[method](sql, params);
          return method === 'iterate' ? [...made] : method === 'prepare' ? made.run(params) : made;
        },
        { values: false },
      );
    }
    await hear(() => connection.prepare(sql).runMany([params]), { values: false });
    await hear(() => connection.getDatabase().prepare(sql).all(params), { values: false });
    await hear(() => connection.getDatabase().prepare(sql).bind(params, params), { values: false });
  }),
  ...SQL.slice(0, 12).map((make) => async ({ secret }, hear) => {
    const other = new SqliteConnection({ path: ':memory:' });
    const migrator = new DatabaseMigrator(other, {
      migrations: [{ version: 2, description: 'step', up: make(secret)[0], down: `x '${secret}'` }],
    });
    await hear(() => migrator.migrate());
    await hear(() => migrator.dryRun());
    await hear(() => migrator.rollback(0));
    await hear(() => migrator.recordMigration(secret, secret));
    await hear(
      () => new DatabaseMigrator(other, { migrations: [{ version: secret, description: secret, up: secret }] }),
    );
    other.close();
  }),
  ...FOREIGN_ROWS.map((make) => async ({ file, secret, folder }, hear) => {
    const other = createConnection({ path: file, enableForeignKeys: false });
    const db = new DatabaseManager({ path: file });
    await db.connect();
    try {
      // Another tool need not keep to the rules.
      other.exec('PRAGMA ignore_check_constraints = 1');
      other.exec(make(secret));
    } finally {
      other.close();
    }
    await readAll(db, hear);
    const copy = path.join(folder, 'foreign.db');
    await hear(() => db.backup(copy, { overwrite: true }));
    await db.disconnect();
    const target = new DatabaseManager({ path: path.join(folder, 'target.db') });
    await target.connect();
    await target.initializeSchema();
    await hear(() => target.restore(copy));
    await target.disconnect();
    await hear(() => new DatabaseManager({ path: file }).repair({ dry_run: true }));
    await hear(() => new DatabaseManager({ path: file }).repair());
    await hear(() => new DatabaseManager({ path: file }).checkIntegrity({ deep: true }));
  }),
  async ({ folder, secret }, hear) => {
    const damaged = path.join(folder, 'damaged.db');
    writeFileSync(damaged, secret.repeat(400));
    const db = new DatabaseManager({ path: damaged });
    await hear(() => db.connect());
    await hear(() => db.checkIntegrity({ deep: true }));
    await hear(() => db.repair());
    await hear(() => createConnection({ path: damaged }));
  },
  async ({ value }, hear) => {
    for (const name of [
      'path',
      'timeout',
      'readonly',
      'enableWAL',
      'mmapSize',
      'cacheSize',
      'synchronous',
      'preset',
      'create',
    ]) {
      // A path is named by its own errors, as it has to be; whatever is no path is not.
      if (name === 'path' && typeof value === 'string') continue;
      await hear(() => validateConfig({ path: ':memory:', [name]: value }));
      await hear(() => createConnection({ path: ':memory:', [name]: value }));
      await hear(() => new DatabaseManager({ path: ':memory:', [name]: value }));
    }
  },
  async ({ connection, secret }, hear) => {
    await hear(() => connection.transaction(secret));
    await hear(() =>
      connection.transaction(() => connection.run('INSERT INTO config VALUES (?, ?, ?)', ['taken', secret, secret])),
    );
    const iterator = connection.iterate('SELECT ?1 UNION ALL SELECT 2', [secret]);
    iterator.next();
    await hear(() => connection.run('INSERT INTO config VALUES (?, ?, ?)', ['x', secret, secret]));
    iterator.return();
    const statement = connection.prepare('SELECT ?');
    statement.finalize();
    await hear(() => statement.run([secret]));
    const database = connection.getDatabase();
    for (const name of ['aggregate', 'backup', 'function', 'loadExtension', 'serialize', 'table', 'unsafeMode'])
      await hear(() => database[name](secret));
    await hear(() => database.prepare('SELECT ?').pluck(secret));
    await hear(() => database.defaultSafeIntegers(secret));
  },
  async ({ db, secret, file }, hear) => {
    const other = createConnection({ path: file, timeout: 1000 });
    let held;
    const open = db.transaction(
      () =>
        new Promise((resolve) => {
          held = resolve;
          db.setConfig('held', secret).then(() => {
            hear(() => other.run("INSERT INTO config VALUES (?, ?, 'x')", [secret, secret]));
            hear(() => other.exec(`INSERT INTO config VALUES ('a', '${secret}', 'x')`));
            resolve();
          });
        }),
    );
    await open;
    held();
    other.close();
  },
];

module.exports = { RECIPES, VALUES };
