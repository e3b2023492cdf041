/// <reference lib="esnext.disposable" />

/**
 * A crash-safe SQLite ledger for an uploader of WhatsApp media.
 *
 * Record fields are snake_case, methods camelCase. Times are ISO 8601 in UTC with milliseconds
 * and `Z` (`2026-01-31T12:00:00.000Z`); other ISO 8601 forms and SQLite's own are normalised on
 * the way in. An absent optional field is `undefined`, never `null`; on input `null` means none.
 */

// --- records ----------------------------------------------------------------------------------

/** How far an upload session has come. */
export type SessionStatus = 'running' | 'completed' | 'paused' | 'failed';

/** Where a file was uploaded to. */
export type UploadService = 'photos' | 'drive';

/** One run over one chat's files. */
export interface UploadSession {
  id: string;
  chat_id: string;
  chat_name: string;
  /** ISO 8601. */
  start_time: string;
  /** ISO 8601. */
  last_update: string;
  total_files: number;
  processed_files: number;
  success_count: number;
  error_count: number;
  duplicate_count: number;
  status: SessionStatus;
  last_processed_file?: string;
  /** ISO 8601. */
  created_at: string;
}

/** What `createSession` takes. Counters are whole numbers from 0 to 2^53-1. */
export interface NewUploadSession {
  chat_id: string;
  chat_name: string;
  start_time: string;
  last_update: string;
  total_files: number;
  /** @default 0 */
  processed_files?: number | null;
  /** @default 0 */
  success_count?: number | null;
  /** @default 0 */
  error_count?: number | null;
  /** @default 0 */
  duplicate_count?: number | null;
  /** @default 'running' */
  status?: SessionStatus | null;
  last_processed_file?: string | null;
  /** @default a new UUID */
  id?: string | null;
  /** @default now */
  created_at?: string | null;
}

/** What `updateSession` can set; `last_update` becomes now unless it is given. */
export interface UploadSessionChanges {
  chat_id?: string;
  chat_name?: string;
  start_time?: string;
  /** @default now */
  last_update?: string;
  total_files?: number;
  processed_files?: number;
  success_count?: number;
  error_count?: number;
  duplicate_count?: number;
  status?: SessionStatus;
  /** `null` clears it. */
  last_processed_file?: string | null;
}

/** What `incrementSession` adds; negative numbers take away. */
export interface UploadSessionDeltas {
  /** @default 0 */
  total_files?: number | null;
  /** @default 0 */
  processed_files?: number | null;
  /** @default 0 */
  success_count?: number | null;
  /** @default 0 */
  error_count?: number | null;
  /** @default 0 */
  duplicate_count?: number | null;
}

/** One uploaded file, known by its content's hash. */
export interface FileHash {
  /** SHA-256 in lower-case hex by custom; any text that is not empty. */
  hash: string;
  file_path: string;
  file_name: string;
  /** In bytes. */
  file_size: number;
  mime_type: string;
  upload_service: UploadService;
  /** The service's own id. */
  upload_id?: string;
  chat_id: string;
  /** ISO 8601. */
  uploaded_at: string;
}

/** What `addFileHash` takes. */
export interface NewFileHash extends Omit<FileHash, 'upload_id' | 'uploaded_at'> {
  upload_id?: string | null;
  /** @default now */
  uploaded_at?: string | null;
}

/** What to do when the hash is recorded already. */
export interface AddFileHashOptions extends CallOptions {
  /**
   * `'ignore'` keeps the row that is there, `'replace'` overwrites it in its place.
   * @default reject with `SQLITE_CONSTRAINT_PRIMARYKEY`
   */
  onConflict?: 'ignore' | 'replace' | null;
}

/** One failure of one file. */
export interface UploadError {
  id: number;
  session_id: string;
  file_path: string;
  error_type: string;
  error_message: string;
  retry_count: number;
  /** ISO 8601. */
  timestamp: string;
}

/** What `logError` takes. */
export interface NewUploadError {
  session_id: string;
  file_path: string;
  error_type: string;
  error_message: string;
  /** @default 0 */
  retry_count?: number | null;
}

/** One setting. */
export interface ConfigRecord {
  key: string;
  /** JSON text. */
  value: string;
  /** ISO 8601. */
  updated_at: string;
}

/** One applied migration. */
export interface SchemaVersion {
  version: number;
  /** ISO 8601. */
  applied_at: string;
  description?: string;
}

/** What the ledger holds, in numbers. */
export interface DatabaseStats {
  totalSessions: number;
  /** Sessions that are `running`. */
  activeSessions: number;
  /** Distinct uploaded files: rows of `file_hashes`. */
  totalFiles: number;
  /** The sum of the sessions' `success_count`. */
  successfulUploads: number;
  /** The sum of the sessions' `error_count`. */
  failedUploads: number;
  /** The sum of the sessions' `duplicate_count`. */
  duplicatesFound: number;
  /** Pages times page size, in bytes. */
  databaseSize: number;
  /** When `vacuum` last ended, ISO 8601. */
  lastVacuum?: string;
  /** The size of the write-ahead log's file, in bytes. */
  walSize: number;
  /** Why the last checkpoint failed, if it did. */
  checkpointError?: DatabaseError;
}

// --- configuration ----------------------------------------------------------------------------

/** How a database is opened. */
export interface DatabaseConfig {
  /** The database file, or `:memory:`. Its folder must exist. */
  path: string;
  /** Write-ahead logging instead of a rollback journal. @default true */
  enableWAL?: boolean;
  /** Enforcement of foreign keys. @default true */
  enableForeignKeys?: boolean;
  /** How long a call waits for another's lock, in milliseconds, at least 1000. @default 5000 */
  timeout?: number;
  /** No writing at all. @default false */
  readonly?: boolean;
  /** Whether a missing file is created, with mode 0600. @default true, or false when `readonly` */
  create?: boolean;
  /**
   * When a write is acknowledged: `'NORMAL'` once it survives a crash of the process, `'FULL'`
   * once it survives a power loss.
   * @default 'NORMAL'
   */
  synchronous?: 'NORMAL' | 'FULL';
  /** How much of the file is mapped into memory, in bytes. @default 268435456 */
  mmapSize?: number;
  /** SQLite's `cache_size`: pages when positive, KiB when negative. @default -64000 */
  cacheSize?: number;
  /**
   * `'phone'`: defaults for a machine with little memory, `mmapSize` 0 and `cacheSize` -2000. What
   * is given besides counts for more. @default none
   */
  preset?: 'phone';
}

/** A configuration with every option decided; what a preset stands for is in it. */
export type ResolvedConfig = Required<Omit<DatabaseConfig, 'preset'>>;

/** The defaults of {@link DatabaseConfig}, without a path. */
export const DEFAULT_CONFIG: Readonly<Omit<ResolvedConfig, 'path'>>;

/** The schema version that this package reads and writes. */
export const SCHEMA_VERSION: number;

/**
 * Checks a configuration and fills in the defaults.
 *
 * @throws {DatabaseError} `DB_INVALID_CONFIG`, which lists every problem at once
 * @example
 * const config = validateConfig({ path: './data/whatsapp-uploader.db' });
 */
export function validateConfig(config: DatabaseConfig): ResolvedConfig;

// --- errors -----------------------------------------------------------------------------------

/** The one class of this package's errors; no message holds values of yours or whole SQL texts. */
export class DatabaseError extends Error {
  constructor(
    message: string,
    details: { code: string; operation: string; retryable?: boolean; errno?: number; cause?: unknown },
  );
  readonly name: 'DatabaseError';
  /** SQLite's own name, such as `SQLITE_CONSTRAINT_UNIQUE`, or ours, `DB_*`. */
  readonly code: string;
  /** SQLite's extended result code, when there is one. */
  readonly errno?: number;
  /** The method that failed. */
  readonly operation: string;
  /** Whether the same call may succeed a little later. */
  readonly retryable: boolean;
  readonly cause?: unknown;
}

// --- the asynchronous manager -----------------------------------------------------------------

/** As much of an `AbortSignal` as is needed here: any will do. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** What every asynchronous method takes last. */
export interface CallOptions {
  /**
   * Takes the call out of the queue, or interrupts its work on another thread: it rejects with
   * `DB_ABORTED`, whose cause is the signal's reason. A call whose commit has begun goes on.
   */
  signal?: AbortSignalLike | null;
}

/** What became of one record of a batch; a rejection's reason is a {@link DatabaseError}. */
export type BatchOutcome<T> = PromiseSettledResult<T>;

/** One session's part of a batch. */
export interface UploadSessionUpdate {
  id: string;
  changes: UploadSessionChanges;
}

/** How far an iteration goes. */
export interface Iteration extends CallOptions {
  /** At most so many records. @default all */
  limit?: number;
}

export interface FileHashIteration extends Iteration {
  /** Only this chat's. */
  chat_id?: string;
  /** Begin behind the file with this hash. */
  after?: string;
}

export interface SessionIteration extends Iteration {
  /** Only those of this status. */
  status?: SessionStatus;
  /** Begin behind the session with this id. */
  after?: string;
}

export interface ErrorIteration extends Iteration {
  /** Only this session's. */
  session_id?: string;
  /** Begin behind the error with this id. */
  after?: number;
}

/** What a {@link DatabaseManager} tells of. */
export interface DatabaseManagerEvents {
  checkpointError: DatabaseError;
  reconnect: { reason: 'IOERR' | 'replaced'; error?: DatabaseError };
}

/**
 * The ledger: every method but `isConnected` returns a promise.
 *
 * A call sees the effect of every call made before it on the same manager, awaited or not.
 *
 * @example
 * const db = new DatabaseManager({ path: './data/whatsapp-uploader.db' });
 * await db.connect();
 * await db.initializeSchema();
 * if (!(await db.isFileUploaded(hash))) {
 *   // upload it
 * }
 * await db.disconnect();
 */
export class DatabaseManager {
  /** @throws {DatabaseError} `DB_INVALID_CONFIG` */
  constructor(config: DatabaseConfig);

  /** Opens the database, off the event loop. Connecting twice is harmless. */
  connect(): Promise<void>;
  /**
   * Refuses new calls, lets queued writes end, rolls open transactions back and closes.
   *
   * Called twice it returns the same promise; inside a transaction it rejects. `connect()` works
   * again afterwards.
   */
  disconnect(): Promise<void>;
  /** Says whether calls can run now. */
  isConnected(): boolean;
  /**
   * `'checkpointError'`: moving the write-ahead log into the file failed; its records are safe in
   * the log, and it is tried again. Unheard, it is a warning of the process.
   *
   * `'reconnect'`: the file was replaced underneath, or its handle failed at I/O, and it was opened
   * again.
   */
  on<E extends keyof DatabaseManagerEvents>(event: E, listener: (detail: DatabaseManagerEvents[E]) => void): this;
  once<E extends keyof DatabaseManagerEvents>(event: E, listener: (detail: DatabaseManagerEvents[E]) => void): this;
  off<E extends keyof DatabaseManagerEvents>(event: E, listener: (detail: DatabaseManagerEvents[E]) => void): this;
  /** `disconnect()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;

  /** Brings the schema to {@link SCHEMA_VERSION}; does nothing when it is there. */
  initializeSchema(options?: CallOptions): Promise<void>;
  /** Returns the schema's version; 0 before the first migration. */
  getSchemaVersion(options?: CallOptions): Promise<number>;

  /** Creates a session and returns its id. */
  createSession(session: NewUploadSession, options?: CallOptions): Promise<string>;
  getSession(id: string, options?: CallOptions): Promise<UploadSession | undefined>;
  /** Sets columns of a session. @throws {DatabaseError} `DB_NOT_FOUND` */
  updateSession(id: string, changes: UploadSessionChanges, options?: CallOptions): Promise<void>;
  /** Adds to a session's counters, so that two writers lose nothing. @throws {DatabaseError} `DB_NOT_FOUND` */
  incrementSession(id: string, deltas: UploadSessionDeltas, options?: CallOptions): Promise<void>;
  /** Lists sessions, of one status or of all, newest first. */
  listSessions(status?: SessionStatus, options?: CallOptions): Promise<UploadSession[]>;
  /**
   * Iterates over sessions, of one status or of all, newest first, page by page: nothing is held
   * between pages, so a slow reader is in nobody's way.
   *
   * @throws {DatabaseError} `DB_NOT_FOUND` when there is no session `after`
   */
  iterateSessions(options?: SessionIteration): AsyncGenerator<UploadSession, void, undefined>;
  /** Updates many sessions in one transaction, each with an outcome of its own, in their order. */
  updateSessions(updates: readonly UploadSessionUpdate[], options?: CallOptions): Promise<BatchOutcome<void>[]>;
  /** Deletes a session with its errors, if it is there. */
  deleteSession(id: string, options?: CallOptions): Promise<void>;

  /**
   * Records an uploaded file.
   *
   * @throws {DatabaseError} `SQLITE_CONSTRAINT_PRIMARYKEY` when the hash is there and `options`
   * do not say otherwise
   */
  addFileHash(fileHash: NewFileHash, options?: AddFileHashOptions): Promise<void>;
  getFileHash(hash: string, options?: CallOptions): Promise<FileHash | undefined>;
  /** Lists a chat's files in the order of their insertion. */
  findFileHashes(chatId: string, options?: CallOptions): Promise<FileHash[]>;
  /** As {@link iterateSessions}, over files: of one chat or of all, in the order of their insertion. */
  iterateFileHashes(options?: FileHashIteration): AsyncGenerator<FileHash, void, undefined>;
  /**
   * Records many files in one transaction, each with an outcome of its own, in their order: a bad
   * record, or one whose hash is there, fails alone.
   *
   * @example
   * const outcomes = await db.addFileHashes(files, { onConflict: 'ignore' });
   * const failed = files.filter((_, index) => outcomes[index].status === 'rejected');
   */
  addFileHashes(
    records: readonly NewFileHash[],
    options?: AddFileHashOptions,
  ): Promise<BatchOutcome<'added' | 'ignored'>[]>;
  /** Says of each hash whether it is recorded, in the order asked. */
  findUploaded(hashes: readonly string[], options?: CallOptions): Promise<Map<string, boolean>>;
  /** Forgets a hash, if it is there. */
  deleteFileHash(hash: string, options?: CallOptions): Promise<void>;
  /** Says whether a hash is recorded. */
  isFileUploaded(hash: string, options?: CallOptions): Promise<boolean>;

  /** Logs an error and returns its id. @throws {DatabaseError} `SQLITE_CONSTRAINT_FOREIGNKEY` for an unknown session */
  logError(error: NewUploadError, options?: CallOptions): Promise<number>;
  /** Lists a session's errors by id. */
  getErrors(sessionId: string, options?: CallOptions): Promise<UploadError[]>;
  /** As {@link iterateSessions}, over errors: of one session or of all, by id. */
  iterateErrors(options?: ErrorIteration): AsyncGenerator<UploadError, void, undefined>;
  /** Logs many errors in one transaction and returns their ids, each with an outcome of its own. */
  logErrors(errors: readonly NewUploadError[], options?: CallOptions): Promise<BatchOutcome<number>[]>;
  /** Counts one more retry and returns the new count. @throws {DatabaseError} `DB_NOT_FOUND` */
  incrementRetryCount(errorId: number, options?: CallOptions): Promise<number>;
  /** Deletes a session's errors. */
  clearErrors(sessionId: string, options?: CallOptions): Promise<void>;

  /** Sets a setting to any value that JSON can hold, nested at most 126 deep. */
  setConfig(key: string, value: unknown, options?: CallOptions): Promise<void>;
  getConfig<T = unknown>(key: string, options?: CallOptions): Promise<T | undefined>;
  /** Deletes a setting, if it is there. */
  deleteConfig(key: string, options?: CallOptions): Promise<void>;
  /** Lists settings by key. */
  listConfig(options?: CallOptions): Promise<ConfigRecord[]>;

  /**
   * Runs `fn` in a transaction and returns what it returns; when it rejects, everything is
   * rolled back and its own error comes out.
   *
   * What `fn` calls on this manager, at any await depth, is inside; what other code calls
   * meanwhile is outside: its writes wait, its reads see the last committed state. Nested calls
   * are savepoints.
   *
   * @throws {DatabaseError} `DB_BUSY` when it waited behind a transaction older than `timeout`,
   * `DB_TRANSACTION_ABORTED` when SQLite or `disconnect()` ended it, `DB_ABORTED` when the signal did
   * @example
   * await db.transaction(async () => {
   *   await db.addFileHash(fileHash);
   *   await db.incrementSession(sessionId, { processed_files: 1, success_count: 1 });
   * });
   */
  transaction<T>(fn: () => T | Promise<T>, options?: CallOptions): Promise<T>;

  /** Rebuilds the file without free pages, off the event loop (`:memory:`: on it). */
  vacuum(options?: CallOptions): Promise<void>;
  /** Measures the indexes for the query planner, off the event loop (`:memory:`: on it). */
  analyze(options?: CallOptions): Promise<void>;
  /**
   * Waits until the disk has every write that was acknowledged before the call: those survive a
   * power loss, too. With `synchronous: 'FULL'` each write waits for that by itself.
   *
   * @throws {DatabaseError} `SQLITE_IOERR_FSYNC` when the disk refuses; later calls reject, too,
   * until all of it could be written anew
   */
  flush(options?: CallOptions): Promise<void>;
  /** Counts what the ledger holds. */
  getStats(options?: CallOptions): Promise<DatabaseStats>;
}

// --- the synchronous connection ---------------------------------------------------------------

/** A value that SQLite can store; `undefined` is stored as NULL. Not NaN. */
export type SqliteValue = string | number | bigint | Uint8Array | null | undefined;

/** An array for `?`, or an object for `:name`, `@name` and `$name`, keys without the prefix. */
export type Params = readonly SqliteValue[] | Readonly<Record<string, SqliteValue>>;

/** What a statement has changed. */
export interface RunResult {
  /** Rows inserted, updated or deleted. */
  changes: number;
  /** The row id of the connection's last insert. */
  lastInsertRowid: number;
}

/** A prepared statement of a {@link SqliteConnection}. */
export interface PreparedStatement {
  run(params?: Params): RunResult;
  get<T = any>(params?: Params): T | undefined;
  all<T = any>(params?: Params): T[];
  /**
   * Goes through the rows one by one; they are read as they are asked for. While an iterator is
   * open, writes on its connection throw `DB_ITERATOR_OPEN`. A `for` loop closes it on every way
   * out. A statement that writes (`RETURNING`) is done at once.
   */
  iterate<T = any>(params?: Params): IterableIterator<T>;
  /**
   * Runs the statement with each of the rows (arrays or objects), in one transaction: all or
   * nothing. `changes` is their sum, `lastInsertRowid` the last.
   */
  runMany(rows: Iterable<Params>): RunResult;
  /** Ends the statement; using it afterwards throws `DB_STATEMENT_FINALIZED`. */
  finalize(): void;
  /** As {@link finalize}, for `using`; where the engine has `Symbol.dispose`. */
  [Symbol.dispose](): void;
}

/**
 * A synchronous connection for SQL of your own.
 *
 * Integers come as numbers; one beyond 2^53-1 throws `DB_INTEGER_RANGE` rather than be rounded.
 *
 * @example
 * const connection = createConnection({ path: './data/whatsapp-uploader.db' });
 * const row = connection.get<{ n: number }>('SELECT count(*) AS n FROM file_hashes');
 */
export class SqliteConnection {
  /** @throws {DatabaseError} `DB_INVALID_CONFIG`, `DB_FILE_MISSING`, `DB_FOLDER_MISSING` and others */
  constructor(config: DatabaseConfig);
  /** Runs one statement. */
  run(sql: string, params?: Params): RunResult;
  /** Runs one statement and returns its first row. */
  get<T = any>(sql: string, params?: Params): T | undefined;
  /** Runs one statement and returns all its rows. */
  all<T = any>(sql: string, params?: Params): T[];
  /** Goes through the rows one by one; see {@link PreparedStatement.iterate}. */
  iterate<T = any>(sql: string, params?: Params): IterableIterator<T>;
  /** Runs any number of statements without parameters. */
  exec(sql: string): void;
  /** Reads or sets a pragma: `pragma('user_version', { simple: true })`. */
  pragma(source: string, options?: { simple?: boolean }): any;
  prepare(sql: string): PreparedStatement;
  /**
   * Runs `fn` in a transaction and returns what it returns; nested calls are savepoints.
   *
   * @throws {DatabaseError} `DB_TRANSACTION_STATE` for an asynchronous function, `DB_BUSY` when
   * an asynchronous transaction of this process is open on the same file
   */
  transaction<T>(fn: () => T extends PromiseLike<unknown> ? never : T): T;
  /** Closes the connection; a second time does nothing. */
  close(): void;
  /** Returns the driver object, which has the members below in the manner of better-sqlite3's `Database`. */
  getDatabase(): Database;
}

/** Opens a synchronous connection. */
export function createConnection(config: DatabaseConfig): SqliteConnection;

/** The driver object underneath a {@link SqliteConnection}. */
export interface Database {
  readonly open: boolean;
  readonly inTransaction: boolean;
  readonly name: string;
  readonly readonly: boolean;
  readonly memory: boolean;
  prepare(sql: string): Statement;
  /** Runs any number of statements. */
  exec(sql: string): this;
  /** Reads or sets a pragma: `pragma('user_version', { simple: true })`. */
  pragma(source: string, options?: { simple?: boolean }): any;
  /** Says whether statements prepared from now on give integers as bigints. */
  defaultSafeIntegers(toggle?: boolean): this;
  /** Makes a function that runs `fn` in a transaction. */
  transaction<F extends (...args: any[]) => any>(fn: F): TransactionFunction<F>;
  close(): this;
}

/** A function that runs in a transaction, and its variants by how the transaction begins. */
export type TransactionFunction<F extends (...args: any[]) => any> = TransactionVariant<F> & {
  readonly database: Database;
  readonly default: TransactionVariant<F>;
  readonly deferred: TransactionVariant<F>;
  readonly immediate: TransactionVariant<F>;
  readonly exclusive: TransactionVariant<F>;
};

/** A function that takes and returns what `F` does. */
export type TransactionVariant<F extends (...args: any[]) => any> = (...args: Parameters<F>) => ReturnType<F>;

/** A prepared statement of the driver object; parameters as arguments, one array or one object. */
export interface Statement {
  readonly database: Database;
  readonly source: string;
  /** Whether it gives rows. */
  readonly reader: boolean;
  /** Whether it changes nothing. */
  readonly readonly: boolean;
  /** Whether an iterator of it is open. */
  readonly busy: boolean;
  run(...params: any[]): RunResult;
  get(...params: any[]): any;
  all(...params: any[]): any[];
  iterate(...params: any[]): IterableIterator<any>;
  /** Keeps parameters for every later run, which then takes none. */
  bind(...params: any[]): this;
  /** Gives the first column alone. Each of the three forms turns the others off. */
  pluck(toggle?: boolean): this;
  /** Gives rows as arrays. */
  raw(toggle?: boolean): this;
  /** Gives an object for each table; what comes from no table is under `$`. */
  expand(toggle?: boolean): this;
  /** Gives integers as bigints. */
  safeIntegers(toggle?: boolean): this;
  columns(): ColumnDefinition[];
}

/** Where a column comes from; `null` for an expression. */
export interface ColumnDefinition {
  name: string;
  column: string | null;
  table: string | null;
  database: string | null;
  type: string | null;
}

// --- migrations -------------------------------------------------------------------------------

/** A step of a migration: SQL text, or a function of the connection, which may be asynchronous. */
export type MigrationStep = string | ((connection: SqliteConnection) => void | Promise<void>);

/** One version of a schema. */
export interface Migration {
  /** A whole number, 1 or more. */
  version: number;
  description: string;
  up: MigrationStep;
  down?: MigrationStep;
}

/** A migration by name. */
export interface MigrationInfo {
  version: number;
  description: string;
}

/**
 * Brings a database to the newest version of a list, one transaction a step.
 *
 * Two processes that start together apply each step once. While it runs, the connection is the
 * migrator's alone.
 */
export class DatabaseMigrator {
  /**
   * @param options.migrations versions above {@link SCHEMA_VERSION} come behind the package's
   * own; a list that begins at or below it takes the place of them
   * @throws {DatabaseError} `DB_MIGRATION_ORDER` when versions do not ascend from 1 or later
   */
  constructor(connection: SqliteConnection, options?: { migrations?: readonly Migration[] });
  /** Returns the file's version; 0 before the first migration. */
  getCurrentVersion(): Promise<number>;
  /** Returns the newest version of the list. */
  getTargetVersion(): number;
  /** @throws {DatabaseError} `DB_SCHEMA_TOO_NEW` */
  needsMigration(): Promise<boolean>;
  /**
   * Applies what is pending and returns it.
   *
   * @throws {DatabaseError} `DB_MIGRATION_FAILED`, which names the step and keeps its cause;
   * `DB_SCHEMA_TOO_NEW`, `DB_MIGRATION_ORDER`
   */
  migrate(): Promise<MigrationInfo[]>;
  /** Makes the ledger's schema, and its row of history, where they are missing. */
  createInitialSchema(): Promise<void>;
  /** Makes the table of the history, where it is missing. */
  createMigrationTable(): Promise<void>;
  /** Adds a row to the history. */
  recordMigration(version: number, description: string): Promise<void>;
  /** Returns what `migrate()` would apply. */
  plan(): Promise<MigrationInfo[]>;
  /** Applies what is pending, undoes it all, and returns it: its steps' errors show early. */
  dryRun(): Promise<MigrationInfo[]>;
  /** Goes back to a version, newest step first. **The rows of dropped tables are lost.** */
  rollback(toVersion: number): Promise<MigrationInfo[]>;
  /** Returns the versions that the file has seen. */
  history(): Promise<SchemaVersion[]>;
}
