// Types: what must compile, and, under @ts-expect-error, what must not. Compiled, never run.

import {
  type AbortSignalLike,
  type AddFileHashOptions,
  type BackupReport,
  type BatchOutcome,
  type CallOptions,
  type ColumnDefinition,
  type ConfigRecord,
  createConnection,
  type Database,
  type DatabaseConfig,
  DatabaseError,
  DatabaseManager,
  type DatabaseManagerEvents,
  DatabaseMigrator,
  type DatabaseStats,
  DEFAULT_CONFIG,
  type FileHash,
  type FileHashIteration,
  type Migration,
  type NewFileHash,
  type PreparedStatement,
  type ResolvedConfig,
  type RestoreReport,
  type RunResult,
  SCHEMA_VERSION,
  type SchemaVersion,
  type SqliteConnection,
  type UploadError,
  type UploadSession,
  validateConfig,
} from '../../index.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual>(_: Actual, ..._same: Same<Actual, Expected> extends true ? [] : [never]) => {};
}

const now = new Date().toISOString();
const config: DatabaseConfig = { path: 'a.db' };
expectType<ResolvedConfig>()(validateConfig(config));
expectType<number>()(SCHEMA_VERSION);
expectType<number>()(DEFAULT_CONFIG.timeout);
// @ts-expect-error a path is needed
validateConfig({});
// @ts-expect-error no such option
validateConfig({ path: 'a.db', verbose: true });
// @ts-expect-error not a mode
validateConfig({ path: 'a.db', synchronous: 'OFF' });
// @ts-expect-error the defaults are frozen
DEFAULT_CONFIG.timeout = 1;
validateConfig({ path: 'a.db', preset: 'phone', cacheSize: -4000 });
// @ts-expect-error no such preset
validateConfig({ path: 'a.db', preset: 'tablet' });
// @ts-expect-error what a preset stands for is in the configuration, not its name
validateConfig(config).preset;

async function manager(db: DatabaseManager) {
  expectType<void>()(await db.connect());
  expectType<boolean>()(db.isConnected());
  expectType<number>()(await db.getSchemaVersion());
  const id = await db.createSession({
    chat_id: 'c',
    chat_name: 'n',
    start_time: now,
    last_update: now,
    total_files: 1,
  });
  expectType<string>()(id);
  expectType<UploadSession | undefined>()(await db.getSession(id));
  expectType<UploadSession[]>()(await db.listSessions('running'));
  expectType<'running' | 'completed' | 'paused' | 'failed' | undefined>()((await db.getSession(id))?.status);
  expectType<string | undefined>()((await db.listSessions())[0]?.last_processed_file);
  await db.updateSession(id, { status: 'paused', last_processed_file: null });
  await db.incrementSession(id, { success_count: 1 });
  // @ts-expect-error total_files is missing
  await db.createSession({ chat_id: 'c', chat_name: 'n', start_time: now, last_update: now });
  // @ts-expect-error no such status
  await db.updateSession(id, { status: 'done' });
  // @ts-expect-error an id cannot be changed
  await db.updateSession(id, { id: 'other' });
  // @ts-expect-error no such status
  await db.listSessions('done');
  // @ts-expect-error an absent field is undefined, never null
  const none: null = (await db.listSessions())[0].last_processed_file;
  void none;

  expectType<FileHash | undefined>()(await db.getFileHash('h'));
  expectType<FileHash[]>()(await db.findFileHashes('c'));
  expectType<boolean>()(await db.isFileUploaded('h'));
  const file = {
    hash: 'h',
    file_path: 'p',
    file_name: 'f',
    file_size: 1,
    mime_type: 'm',
    upload_service: 'photos' as const,
    chat_id: 'c',
  };
  await db.addFileHash(file);
  await db.addFileHash({ ...file, upload_id: null }, { onConflict: 'ignore' });
  // @ts-expect-error no such service
  await db.addFileHash({ ...file, upload_service: 'dropbox' });
  // @ts-expect-error no such resolution
  await db.addFileHash(file, { onConflict: 'merge' });

  expectType<number>()(await db.logError({ session_id: id, file_path: 'p', error_type: 't', error_message: 'm' }));
  expectType<UploadError[]>()(await db.getErrors(id));
  // @ts-expect-error an error's id is a number
  await db.incrementRetryCount('1');

  await db.setConfig('key', { any: ['json'] });
  expectType<unknown>()(await db.getConfig('key'));
  expectType<{ n: number } | undefined>()(await db.getConfig<{ n: number }>('key'));
  expectType<ConfigRecord[]>()(await db.listConfig());

  expectType<number>()(await db.transaction(async () => 7));
  expectType<string>()(await db.transaction(() => 'x'));
  // @ts-expect-error a function is needed
  await db.transaction(Promise.resolve());
  expectType<DatabaseStats>()(await db.getStats());
  expectType<string | undefined>()((await db.getStats()).lastVacuum);
  expectType<number>()((await db.getStats()).walSize);
  expectType<DatabaseError | undefined>()((await db.getStats()).checkpointError);
  expectType<void>()(await db.flush());
  await using scoped = new DatabaseManager(config);
  scoped.isConnected();
}

async function batches(db: DatabaseManager, files: readonly NewFileHash[]) {
  const outcomes = await db.addFileHashes(files, { onConflict: 'replace' });
  expectType<BatchOutcome<'added' | 'ignored'>[]>()(outcomes);
  expectType<PromiseSettledResult<'added' | 'ignored'>[]>()(outcomes);
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') expectType<'added' | 'ignored'>()(outcome.value);
    // @ts-expect-error a record that failed has no value
    else outcome.value;
  }
  const error = { session_id: 's', file_path: 'p', error_type: 't', error_message: 'm' };
  expectType<BatchOutcome<number>[]>()(await db.logErrors([error, { ...error, retry_count: null }]));
  const updates = await db.updateSessions([{ id: 's', changes: { status: 'paused', last_processed_file: null } }]);
  expectType<BatchOutcome<void>[]>()(updates);
  expectType<Map<string, boolean>>()(await db.findUploaded(['h'] as const));
  // @ts-expect-error a list of records is needed
  await db.addFileHashes(files[0]);
  // @ts-expect-error file_size is missing
  await db.addFileHashes([{ ...files[0], file_size: undefined }]);
  // @ts-expect-error no such resolution
  await db.addFileHashes(files, { onConflict: 'merge' });
  // @ts-expect-error errors conflict with nothing
  await db.logErrors([error], { onConflict: 'ignore' });
  // @ts-expect-error what to change stands under `changes`
  await db.updateSessions([{ id: 's', status: 'paused' }]);
  // @ts-expect-error an id cannot be changed
  await db.updateSessions([{ id: 's', changes: { id: 'other' } }]);
  // @ts-expect-error hashes are strings
  await db.findUploaded([1]);
}

async function iterators(db: DatabaseManager, signal: AbortSignalLike) {
  const options: FileHashIteration = { chat_id: 'c', after: 'h', limit: 10, signal };
  for await (const file of db.iterateFileHashes(options)) expectType<FileHash>()(file);
  for await (const session of db.iterateSessions({ status: 'paused' })) expectType<UploadSession>()(session);
  for await (const error of db.iterateErrors({ session_id: 's', after: 7 })) expectType<UploadError>()(error);
  expectType<IteratorResult<FileHash, void>>()(await db.iterateFileHashes().next());
  // @ts-expect-error an asynchronous iterator
  for (const file of db.iterateFileHashes()) void file;
  // @ts-expect-error an error's id is a number
  db.iterateErrors({ after: '7' });
  // @ts-expect-error no such status
  db.iterateSessions({ status: 'done' });
  // @ts-expect-error files are of a chat, not of a session
  db.iterateFileHashes({ session_id: 's' });
  // @ts-expect-error what names a field is written like it
  db.iterateSessions({ chatId: 'c' });
}

async function signals(db: DatabaseManager, signal: AbortSignalLike) {
  const options: CallOptions & AddFileHashOptions = { signal };
  await db.initializeSchema(options);
  await db.getSchemaVersion(options);
  await db.getSession('s', options);
  await db.listSessions(undefined, options);
  await db.listSessions('running', { signal: null });
  await db.updateSession('s', { status: 'paused' }, options);
  await db.incrementSession('s', { success_count: 1 }, options);
  await db.deleteSession('s', options);
  await db.getFileHash('h', options);
  await db.isFileUploaded('h', options);
  await db.findFileHashes('c', options);
  await db.findUploaded(['h'], options);
  await db.deleteFileHash('h', options);
  await db.getErrors('s', options);
  await db.incrementRetryCount(1, options);
  await db.clearErrors('s', options);
  await db.setConfig('key', 1, options);
  await db.getConfig('key', options);
  await db.deleteConfig('key', options);
  await db.listConfig(options);
  expectType<number>()(await db.transaction(() => 7, options));
  await db.vacuum(options);
  expectType<boolean>()((await db.checkIntegrity({ deep: true, max_ms: 5, ...options })).ok);
  expectType<string | undefined>()((await db.repair({ dry_run: true, onProgress: ({ done }) => done })).kept);
  // @ts-expect-error: no such option
  await db.repair({ force: true });
  expectType<BackupReport>()(await db.backup('a', { ...options, overwrite: true, onProgress: (p) => p.copied_pages }));
  expectType<RestoreReport>()(await db.restore('a', { ...options, onProgress: ({ phase }) => phase }));
  // @ts-expect-error -- a path is a text
  await db.backup(1);
  // @ts-expect-error -- a restore overwrites anyway
  await db.restore('a', { overwrite: true });
  await db.analyze(options);
  await db.flush(options);
  await db.getStats(options);
  // @ts-expect-error the signal stands in an object
  await db.getStats(signal);
  // @ts-expect-error a signal, not its controller
  await db.getStats({ signal: { abort() {} } });
  // @ts-expect-error no such option
  await db.vacuum({ timeout: 1 });
  // @ts-expect-error connecting takes no signal
  await db.connect(options);
}

function events(db: DatabaseManager) {
  const listener = (error: DatabaseError) => void error.code;
  expectType<DatabaseManager>()(db.on('checkpointError', listener).off('checkpointError', listener));
  db.once('reconnect', (detail) => {
    expectType<DatabaseManagerEvents['reconnect']>()(detail);
    expectType<'IOERR' | 'replaced'>()(detail.reason);
    expectType<DatabaseError | undefined>()(detail.error);
  });
  // @ts-expect-error no such event
  db.on('error', listener);
  // @ts-expect-error this event has no code
  db.on('reconnect', ({ code }) => void code);
}

function connection() {
  const db = createConnection(config);
  expectType<SqliteConnection>()(db);
  expectType<{ n: number } | undefined>()(db.get<{ n: number }>('SELECT 1 AS n'));
  expectType<{ n: number }[]>()(db.all<{ n: number }>('SELECT 1 AS n', [1, 'x', 2n, null, new Uint8Array(1)]));
  expectType<any>()(db.get('SELECT 1'));
  expectType<{ changes: number; lastInsertRowid: number }>()({ ...db.run('DELETE FROM t WHERE a = :a', { a: 1 }) });
  const statement = db.prepare('SELECT 1');
  expectType<PreparedStatement>()(statement);
  expectType<RunResult>()(statement.runMany([[1], { a: 2 }]));
  expectType<IterableIterator<{ n: number }>>()(statement.iterate<{ n: number }>([1]));
  for (const row of db.iterate<{ n: number }>('SELECT 1 AS n')) expectType<number>()(row.n);
  expectType<void>()(db.exec('SELECT 1'));
  db.pragma('user_version', { simple: true });
  const driven = db.getDatabase().defaultSafeIntegers().prepare('SELECT 1').raw().pluck(false).expand(false);
  expectType<ColumnDefinition[]>()(driven.safeIntegers().bind(1).columns());
  expectType<boolean>()(driven.busy);
  expectType<number | bigint>()(driven.run().lastInsertRowid);
  expectType<{ n: number } | undefined>()(statement.get<{ n: number }>());
  expectType<number>()(db.transaction(() => 7));
  expectType<Database>()(db.getDatabase());
  statement[Symbol.dispose]();
  statement.finalize();
  // @ts-expect-error rows, not a row's values
  statement.runMany([1, 2]);
  // @ts-expect-error the rows come one by one
  statement.iterate().length;
  // @ts-expect-error statements without parameters
  db.exec('DELETE FROM t WHERE a = ?', [1]);
  // @ts-expect-error a date is no value of SQLite's
  db.run('SELECT ?', [new Date()]);
  // @ts-expect-error parameters come in an array or an object
  db.run('SELECT ?', 7);
  // @ts-expect-error an asynchronous function cannot run in a synchronous transaction
  db.transaction(async () => 7);
  const insert = db.getDatabase().transaction((a: number, b: string) => `${a}${b}`);
  expectType<string>()(insert(1, 'x'));
  expectType<string>()(insert.immediate(1, 'x'));
  // @ts-expect-error the function's own parameters
  insert('x', 1);
}

async function migrations() {
  const list: Migration[] = [
    { version: 2, description: 'sql', up: 'SELECT 1', down: 'SELECT 2' },
    { version: 3, description: 'code', up: async (db) => void db.run('SELECT 1') },
  ];
  const migrator = new DatabaseMigrator(createConnection(config), { migrations: list });
  expectType<number>()(migrator.getTargetVersion());
  expectType<SchemaVersion[]>()(await migrator.history());
  expectType<boolean>()(await migrator.needsMigration());
  // @ts-expect-error a description is needed
  new DatabaseMigrator(createConnection(config), { migrations: [{ version: 2, up: 'SELECT 1' }] });
}

function errors(error: unknown) {
  if (error instanceof DatabaseError) {
    expectType<string>()(error.code);
    expectType<number | undefined>()(error.errno);
    expectType<boolean>()(error.retryable);
    // @ts-expect-error codes are read, not written
    error.code = 'x';
  }
}

export { batches, connection, errors, events, iterators, manager, migrations, signals };
