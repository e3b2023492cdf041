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
  /** A UUID unless it was given. */
  id: string;
  /** The chat whose files are uploaded. */
  chat_id: string;
  /** The chat's name, for people. */
  chat_name: string;
  /** When it began, ISO 8601. */
  start_time: string;
  /** When it last changed, ISO 8601. */
  last_update: string;
  /** How many files it is to handle. */
  total_files: number;
  /** How many of them are done, however they ended. */
  processed_files: number;
  /** How many were uploaded. */
  success_count: number;
  /** How many failed. */
  error_count: number;
  /** How many were known already. */
  duplicate_count: number;
  /** How far it has come. */
  status: SessionStatus;
  /** The file behind which it can go on. */
  last_processed_file?: string;
  /** When the row was made, ISO 8601. */
  created_at: string;
}

/** What `createSession` takes. Counters are whole numbers from 0 to 2^53-1. */
export interface NewUploadSession {
  /** The chat whose files are uploaded. */
  chat_id: string;
  /** The chat's name, for people. */
  chat_name: string;
  /** ISO 8601. */
  start_time: string;
  /** ISO 8601. */
  last_update: string;
  /** How many files it is to handle. */
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
  /** @default none */
  last_processed_file?: string | null;
  /** @default a new UUID */
  id?: string | null;
  /** @default now */
  created_at?: string | null;
}

/** What `updateSession` can set; `last_update` becomes now unless it is given. */
export interface UploadSessionChanges {
  /** @default unchanged */
  chat_id?: string;
  /** @default unchanged */
  chat_name?: string;
  /** @default unchanged */
  start_time?: string;
  /** @default now */
  last_update?: string;
  /** @default unchanged */
  total_files?: number;
  /** @default unchanged */
  processed_files?: number;
  /** @default unchanged */
  success_count?: number;
  /** @default unchanged */
  error_count?: number;
  /** @default unchanged */
  duplicate_count?: number;
  /** @default unchanged */
  status?: SessionStatus;
  /** `null` clears it. @default unchanged */
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
  /** Where it was found. */
  file_path: string;
  /** Its name without the folder. */
  file_name: string;
  /** Its size in bytes. */
  file_size: number;
  /** What it is, such as `image/jpeg`. */
  mime_type: string;
  /** Where it was uploaded to. */
  upload_service: UploadService;
  /** The service's own id. */
  upload_id?: string;
  /** The chat that it is from. */
  chat_id: string;
  /** When it was uploaded, ISO 8601. */
  uploaded_at: string;
}

/** What `addFileHash` and, many at once, `addFileHashes` take. */
export interface NewFileHash extends Omit<FileHash, 'upload_id' | 'uploaded_at'> {
  /** @default none */
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
  /** Given by the ledger, in ascending order. */
  id: number;
  /** The session in which it happened. */
  session_id: string;
  /** The file that failed. */
  file_path: string;
  /** A word of yours for its kind. */
  error_type: string;
  /** What went wrong. */
  error_message: string;
  /** How often the file was tried again. */
  retry_count: number;
  /** When it was logged, ISO 8601. */
  timestamp: string;
}

/** What `logError` and, many at once, `logErrors` take. */
export interface NewUploadError {
  /** A session that exists. */
  session_id: string;
  /** The file that failed. */
  file_path: string;
  /** A word of yours for its kind. */
  error_type: string;
  /** What went wrong. */
  error_message: string;
  /** @default 0 */
  retry_count?: number | null;
}

/** One setting. */
export interface ConfigRecord {
  /** Its name. */
  key: string;
  /** Its value as JSON text. */
  value: string;
  /** When it was last set, ISO 8601. */
  updated_at: string;
}

/** One applied migration. */
export interface SchemaVersion {
  /** The version that it brought the schema to. */
  version: number;
  /** When it was applied, ISO 8601. */
  applied_at: string;
  /** What it did. */
  description?: string;
}

/** What the ledger holds, in numbers. */
export interface DatabaseStats {
  /** Sessions of every status. */
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
  /** The size of the write-ahead log's file, in bytes; 0 without one. */
  walSize: number;
  /** Why the last checkpoint failed, until one has moved the whole log into the file. */
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
   * once it survives a power loss. `flush()` waits for the latter when it is wanted.
   * @default 'NORMAL'
   */
  synchronous?: 'NORMAL' | 'FULL';
  /**
   * How much of the file is mapped into memory, in bytes.
   * @default 268435456, or 0 with the preset `'phone'`
   */
  mmapSize?: number;
  /**
   * SQLite's `cache_size`: pages when positive, KiB when negative.
   * @default -64000, or -2000 with the preset `'phone'`
   */
  cacheSize?: number;
  /**
   * `'phone'` changes two defaults for a machine with little memory: `mmapSize` to 0 and `cacheSize`
   * to -2000; an option that is given counts for more.
   * @default none
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
 * const config = validateConfig({ path: './data/whatsapp-uploader.db', preset: 'phone' });
 * console.log(config.cacheSize); // -2000
 */
export function validateConfig(config: DatabaseConfig): ResolvedConfig;

// --- errors -----------------------------------------------------------------------------------

/**
 * The one class of this package's errors; no message holds values of yours or whole SQL texts.
 *
 * @example
 * try {
 *   await db.addFileHash(fileHash);
 * } catch (error) {
 *   if (!(error instanceof DatabaseError) || !error.retryable) throw error;
 *   await tryAgainLater();
 * }
 */
export class DatabaseError extends Error {
  /** Makes an error; a program needs this in its tests at most. */
  constructor(
    message: string,
    details: { code: string; operation: string; retryable?: boolean; errno?: number; cause?: unknown },
  );
  /** The same for every error of this class. */
  readonly name: 'DatabaseError';
  /** SQLite's own name, such as `SQLITE_CONSTRAINT_UNIQUE`, or ours, `DB_*`. */
  readonly code: string;
  /** SQLite's extended result code, when there is one. */
  readonly errno?: number;
  /** The method that failed. */
  readonly operation: string;
  /** Whether the same call may succeed a little later. */
  readonly retryable: boolean;
  /** What it came from, where that says more: of `DB_ABORTED` the signal's reason. */
  readonly cause?: unknown;
}

// --- the asynchronous manager -----------------------------------------------------------------

/** As much of an `AbortSignal` as is needed here: any will do. */
export interface AbortSignalLike {
  /** Whether it was aborted. */
  readonly aborted: boolean;
  /** What it was aborted with. */
  readonly reason?: unknown;
  /** Has `listener` called when it is aborted. */
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  /** Lets go of a listener. */
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** What every asynchronous method takes last. */
export interface CallOptions {
  /**
   * Takes the call out while it waits, or stops its work in pieces or on another thread: it rejects
   * with `DB_ABORTED`, whose cause is the signal's reason. A call whose commit has begun goes on.
   *
   * @default none
   */
  signal?: AbortSignalLike | null;
}

/** What became of one record of a batch; a rejection's reason is a {@link DatabaseError}. */
export type BatchOutcome<T> = PromiseSettledResult<T>;

/** One session's part of a batch. */
export interface UploadSessionUpdate {
  /** The session to change. */
  id: string;
  /** What to set, as `updateSession` takes it. */
  changes: UploadSessionChanges;
}

/** How far an iteration goes. */
export interface Iteration extends CallOptions {
  /** At most so many records. @default all */
  limit?: number;
}

/** Over which files `iterateFileHashes` goes. */
export interface FileHashIteration extends Iteration {
  /** Only this chat's. @default every chat's */
  chat_id?: string;
  /** Begin behind the file with this hash. @default at the first */
  after?: string;
}

/** Over which sessions `iterateSessions` goes. */
export interface SessionIteration extends Iteration {
  /** Only those of this status. @default all */
  status?: SessionStatus;
  /** Begin behind the session with this id. @default at the first */
  after?: string;
}

/** Over which errors `iterateErrors` goes. */
export interface ErrorIteration extends Iteration {
  /** Only this session's. @default every session's */
  session_id?: string;
  /** Begin behind the error with this id. @default at the first */
  after?: number;
}

/** What a {@link DatabaseManager} tells of, and with what. */
export interface DatabaseManagerEvents {
  /**
   * Moving the write-ahead log into the file failed; its records are safe in the log, and it is
   * tried again. Unheard, it is a warning of the process.
   */
  checkpointError: DatabaseError;
  /**
   * The file was opened again, between two calls: another one has its name (`'replaced'`), or its
   * handle failed at I/O (`'IOERR'`, with that error).
   */
  reconnect: { reason: 'IOERR' | 'replaced'; error?: DatabaseError };
}

/**
 * The ledger: every method that works on the file returns a promise, or an asynchronous iterator.
 *
 * A call sees the effect of every call made before it on the same manager, awaited or not. Writes
 * made together share a commit; each promise still settles by itself.
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
  /** Takes note of the configuration; nothing is opened yet. @throws {DatabaseError} `DB_INVALID_CONFIG` */
  constructor(config: DatabaseConfig);

  /**
   * Opens the database, off the event loop. Connecting twice is harmless.
   *
   * @throws {DatabaseError} `DB_FILE_MISSING`, `DB_FOLDER_MISSING`, `DB_JOURNAL_MODE` and others
   */
  connect(): Promise<void>;
  /**
   * Refuses new calls, lets queued writes end, rolls open transactions back and closes.
   *
   * Called twice it returns the same promise. `connect()` works again afterwards.
   *
   * @throws {DatabaseError} `DB_TRANSACTION_STATE` inside a transaction
   */
  disconnect(): Promise<void>;
  /** Says whether calls can run now. */
  isConnected(): boolean;
  /**
   * Has a listener called at each event; see {@link DatabaseManagerEvents}.
   *
   * @example
   * db.on('checkpointError', (error) => console.error(error.code));
   */
  on<E extends keyof DatabaseManagerEvents>(event: E, listener: (detail: DatabaseManagerEvents[E]) => void): this;
  /** Has a listener called at the next event. */
  once<E extends keyof DatabaseManagerEvents>(event: E, listener: (detail: DatabaseManagerEvents[E]) => void): this;
  /** Lets go of a listener. */
  off<E extends keyof DatabaseManagerEvents>(event: E, listener: (detail: DatabaseManagerEvents[E]) => void): this;
  /** `disconnect()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;

  /**
   * Brings the schema to {@link SCHEMA_VERSION}; does nothing when it is there.
   *
   * @throws {DatabaseError} `DB_SCHEMA_TOO_NEW`, `DB_SCHEMA_MISMATCH`, `DB_MIGRATION_FAILED`
   */
  initializeSchema(options?: CallOptions): Promise<void>;
  /** Returns the schema's version; 0 before the first migration. */
  getSchemaVersion(options?: CallOptions): Promise<number>;

  /**
   * Creates a session and returns its id.
   *
   * @throws {DatabaseError} `SQLITE_CONSTRAINT_PRIMARYKEY` when the id that was given is there
   */
  createSession(session: NewUploadSession, options?: CallOptions): Promise<string>;
  /** Returns a session, if it is there. */
  getSession(id: string, options?: CallOptions): Promise<UploadSession | undefined>;
  /** Sets columns of a session. @throws {DatabaseError} `DB_NOT_FOUND` */
  updateSession(id: string, changes: UploadSessionChanges, options?: CallOptions): Promise<void>;
  /** Adds to a session's counters, so that two writers lose nothing. @throws {DatabaseError} `DB_NOT_FOUND` */
  incrementSession(id: string, deltas: UploadSessionDeltas, options?: CallOptions): Promise<void>;
  /**
   * Lists sessions, of one status or of all, newest first.
   *
   * This and the two other lists, `findFileHashes` and `getErrors`, read up to 1,000 records at
   * once. A longer one is read on another thread, as it is committed when that begins, and built
   * over several turns of the event loop. Inside a transaction it is read page by page, while other
   * calls of the transaction wait; `:memory:` is read at once.
   */
  listSessions(status?: SessionStatus, options?: CallOptions): Promise<UploadSession[]>;
  /**
   * Iterates over sessions, of one status or of all, newest first, page by page: nothing is held
   * between pages, so a slow reader is in nobody's way. Options that are not valid throw at once.
   *
   * @throws {DatabaseError} `DB_NOT_FOUND`, from `next()`, when there is no session `after`
   */
  iterateSessions(options?: SessionIteration): AsyncGenerator<UploadSession, void, undefined>;
  /**
   * Updates many sessions in one transaction, each with an outcome of its own, in their order: one
   * that is not there fails alone.
   *
   * @throws {DatabaseError} when the commit fails: then nothing of it was kept
   */
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
  /** Returns the file with a hash, if it is there. */
  getFileHash(hash: string, options?: CallOptions): Promise<FileHash | undefined>;
  /** Lists a chat's files in the order of their insertion; see {@link listSessions}. */
  findFileHashes(chatId: string, options?: CallOptions): Promise<FileHash[]>;
  /**
   * As {@link iterateSessions}, over files: of one chat or of all, in the order of their insertion.
   *
   * @example
   * for await (const file of db.iterateFileHashes({ chat_id: 'chat123' })) console.log(file.file_name);
   */
  iterateFileHashes(options?: FileHashIteration): AsyncGenerator<FileHash, void, undefined>;
  /**
   * Records many files in one transaction, each with an outcome of its own, in their order: a bad
   * record, or one whose hash is there, fails alone. With `onConflict: 'replace'` a row that was
   * overwritten is `'added'` too.
   *
   * @throws {DatabaseError} when the commit fails: then nothing of it was kept
   * @example
   * const outcomes = await db.addFileHashes(files, { onConflict: 'ignore' });
   * const failed = files.filter((_, index) => outcomes[index].status === 'rejected');
   */
  addFileHashes(
    records: readonly NewFileHash[],
    options?: AddFileHashOptions,
  ): Promise<BatchOutcome<'added' | 'ignored'>[]>;
  /**
   * Says of each hash whether it is recorded, in the order asked; a hash asked twice is there once.
   *
   * @example
   * const known = await db.findUploaded(files.map(({ hash }) => hash));
   * const wanted = files.filter(({ hash }) => !known.get(hash));
   */
  findUploaded(hashes: readonly string[], options?: CallOptions): Promise<Map<string, boolean>>;
  /** Forgets a hash, if it is there. */
  deleteFileHash(hash: string, options?: CallOptions): Promise<void>;
  /** Says whether a hash is recorded. */
  isFileUploaded(hash: string, options?: CallOptions): Promise<boolean>;

  /** Logs an error and returns its id. @throws {DatabaseError} `SQLITE_CONSTRAINT_FOREIGNKEY` for an unknown session */
  logError(error: NewUploadError, options?: CallOptions): Promise<number>;
  /** Lists a session's errors by id; see {@link listSessions}. */
  getErrors(sessionId: string, options?: CallOptions): Promise<UploadError[]>;
  /** As {@link iterateSessions}, over errors: of one session or of all, by id. */
  iterateErrors(options?: ErrorIteration): AsyncGenerator<UploadError, void, undefined>;
  /**
   * Logs many errors in one transaction, each with an outcome of its own, in their order: its id,
   * or why it failed, alone.
   *
   * @throws {DatabaseError} when the commit fails: then nothing of it was kept
   */
  logErrors(errors: readonly NewUploadError[], options?: CallOptions): Promise<BatchOutcome<number>[]>;
  /** Counts one more retry and returns the new count. @throws {DatabaseError} `DB_NOT_FOUND` */
  incrementRetryCount(errorId: number, options?: CallOptions): Promise<number>;
  /** Deletes a session's errors. */
  clearErrors(sessionId: string, options?: CallOptions): Promise<void>;

  /**
   * Sets a setting to any value that JSON can hold, nested at most 126 deep.
   *
   * @throws {DatabaseError} `DB_INVALID_ARGUMENT` for what JSON would change or lose
   */
  setConfig(key: string, value: unknown, options?: CallOptions): Promise<void>;
  /** Returns a setting's value, if it is there. */
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
   * meanwhile is outside: its writes wait, its reads see the last committed state. They wait for
   * that too, but only as long as the turn of the event loop in which the transaction began, or,
   * in `:memory:`, the transaction. Nested calls are savepoints. A signal that is aborted before
   * COMMIT rolls it back.
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

  /**
   * Rebuilds the file without free pages, off the event loop (`:memory:`: on it).
   *
   * @throws {DatabaseError} `DB_TRANSACTION_STATE` inside a transaction, `DB_ABORTED`
   */
  vacuum(options?: CallOptions): Promise<void>;
  /**
   * Measures the indexes for the query planner, off the event loop (`:memory:`: on it).
   *
   * @throws {DatabaseError} `DB_TRANSACTION_STATE` inside a transaction, `DB_ABORTED`
   */
  analyze(options?: CallOptions): Promise<void>;
  /**
   * Waits for the writes and transactions made before it, then until the disk has every write
   * acknowledged so far: those survive a power loss, too. Reads need not wait for it. With
   * `synchronous: 'FULL'` each write waits for the disk by itself.
   *
   * @throws {DatabaseError} `SQLITE_IOERR_FSYNC` when the disk refuses; later calls reject, too,
   * until all of it could be written anew; `DB_TRANSACTION_STATE` inside a transaction
   * @example
   * await db.addFileHash(fileHash);
   * await db.flush(); // only now
   * await deleteFromPhone(fileHash.file_path);
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
  /** Runs it and says what it has changed. @throws {DatabaseError} `DB_ITERATOR_OPEN` and SQLite's own */
  run(params?: Params): RunResult;
  /** Runs it and returns its first row. */
  get<T = any>(params?: Params): T | undefined;
  /** Runs it and returns all its rows. */
  all<T = any>(params?: Params): T[];
  /**
   * Goes through the rows one by one; they are read as they are asked for. While an iterator is
   * open, writes on its connection throw `DB_ITERATOR_OPEN`. A `for` loop closes it on every way
   * out. A statement that writes (`RETURNING`) is done at once.
   *
   * @throws {DatabaseError} `DB_CLOSED`, from `next()`, once the connection is closed
   */
  iterate<T = any>(params?: Params): IterableIterator<T>;
  /**
   * Runs the statement with each of the rows (arrays or objects), in one transaction: all or
   * nothing. `changes` is their sum, `lastInsertRowid` the last.
   *
   * @throws {DatabaseError} `DB_INVALID_ARGUMENT`, which names `rows[i]`, and SQLite's own
   * @example
   * connection.prepare('INSERT INTO tag (name) VALUES (?)').runMany([['beach'], ['party']]);
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
  /** Runs one statement and says what it has changed. @throws {DatabaseError} `DB_BUSY` and SQLite's own */
  run(sql: string, params?: Params): RunResult;
  /** Runs one statement and returns its first row. */
  get<T = any>(sql: string, params?: Params): T | undefined;
  /** Runs one statement and returns all its rows. */
  all<T = any>(sql: string, params?: Params): T[];
  /**
   * Goes through the rows one by one; see {@link PreparedStatement.iterate}.
   *
   * @example
   * for (const { hash } of connection.iterate<{ hash: string }>('SELECT hash FROM file_hashes')) console.log(hash);
   */
  iterate<T = any>(sql: string, params?: Params): IterableIterator<T>;
  /** Runs any number of statements without parameters. */
  exec(sql: string): void;
  /** Reads or sets a pragma: `pragma('user_version', { simple: true })`. */
  pragma(source: string, options?: { simple?: boolean }): any;
  /** Prepares one statement, to be run often. @throws {DatabaseError} SQLite's own, for what it cannot parse */
  prepare(sql: string): PreparedStatement;
  /**
   * Runs `fn` in a transaction and returns what it returns; nested calls are savepoints.
   *
   * @throws {DatabaseError} `DB_TRANSACTION_STATE` for an asynchronous function, `DB_BUSY` when
   * an asynchronous transaction of this process is open on the same file
   * @example
   * connection.transaction(() => {
   *   connection.run('DELETE FROM upload_errors WHERE session_id = ?', [id]);
   *   connection.run('DELETE FROM upload_sessions WHERE id = ?', [id]);
   * });
   */
  transaction<T>(fn: () => T extends PromiseLike<unknown> ? never : T): T;
  /** Closes the connection; a second time does nothing. */
  close(): void;
  /** Returns the driver object, which has the members below in the manner of better-sqlite3's `Database`. */
  getDatabase(): Database;
}

/**
 * Opens a synchronous connection, as `new SqliteConnection(config)` does.
 *
 * @throws {DatabaseError} `DB_INVALID_CONFIG`, `DB_FILE_MISSING`, `DB_FOLDER_MISSING` and others
 * @example
 * const connection = createConnection({ path: './data/whatsapp-uploader.db', readonly: true });
 * console.log(connection.all('SELECT status, count(*) AS n FROM upload_sessions GROUP BY status'));
 * connection.close();
 */
export function createConnection(config: DatabaseConfig): SqliteConnection;

/**
 * The driver object underneath a {@link SqliteConnection}.
 *
 * @example
 * const kysely = new Kysely({ dialect: new SqliteDialect({ database: connection.getDatabase() }) });
 */
export interface Database {
  /** Whether the connection is open. */
  readonly open: boolean;
  /** Whether a transaction is open on it. */
  readonly inTransaction: boolean;
  /** The path that it was opened with. */
  readonly name: string;
  /** Whether it was opened with `readonly`. */
  readonly readonly: boolean;
  /** Whether it is a database in memory. */
  readonly memory: boolean;
  /** Prepares one statement. */
  prepare(sql: string): Statement;
  /** Runs any number of statements. */
  exec(sql: string): this;
  /** Reads or sets a pragma: `pragma('user_version', { simple: true })`. */
  pragma(source: string, options?: { simple?: boolean }): any;
  /** Says whether statements prepared from now on give integers as bigints. */
  defaultSafeIntegers(toggle?: boolean): this;
  /** Makes a function that runs `fn` in a transaction. */
  transaction<F extends (...args: any[]) => any>(fn: F): TransactionFunction<F>;
  /** Closes the connection; a second time does nothing. */
  close(): this;
}

/** A function that runs in a transaction, and its variants by how the transaction begins. */
export type TransactionFunction<F extends (...args: any[]) => any> = TransactionVariant<F> & {
  /** The driver object that it belongs to. */
  readonly database: Database;
  /** As the function itself: `deferred`. */
  readonly default: TransactionVariant<F>;
  /** Locks nothing before its first statement. */
  readonly deferred: TransactionVariant<F>;
  /** Takes the write lock as it begins. */
  readonly immediate: TransactionVariant<F>;
  /** Keeps readers out, too, where there is no write-ahead log. */
  readonly exclusive: TransactionVariant<F>;
};

/** A function that takes and returns what `F` does. */
export type TransactionVariant<F extends (...args: any[]) => any> = (...args: Parameters<F>) => ReturnType<F>;

/** A prepared statement of the driver object; parameters as arguments, one array or one object. */
export interface Statement {
  /** The driver object that it belongs to. */
  readonly database: Database;
  /** Its SQL. */
  readonly source: string;
  /** Whether it gives rows. */
  readonly reader: boolean;
  /** Whether it changes nothing. */
  readonly readonly: boolean;
  /** Whether an iterator of it is open. */
  readonly busy: boolean;
  /** Runs it and says what it has changed; with `safeIntegers` the row id is a bigint. */
  run(...params: any[]): { changes: number; lastInsertRowid: number | bigint };
  /** Runs it and returns its first row. */
  get(...params: any[]): any;
  /** Runs it and returns all its rows. */
  all(...params: any[]): any[];
  /** Goes through the rows one by one; see {@link PreparedStatement.iterate}. */
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
  /** Says what its columns are. @throws {DatabaseError} `DB_INVALID_ARGUMENT` when it gives no rows */
  columns(): ColumnDefinition[];
}

/** Where a column comes from; `null` for an expression. */
export interface ColumnDefinition {
  /** Its name in the result. */
  name: string;
  /** Its name in the table. */
  column: string | null;
  /** The table. */
  table: string | null;
  /** The database, such as `main`. */
  database: string | null;
  /** The type that the table declares. */
  type: string | null;
}

// --- migrations -------------------------------------------------------------------------------

/** A step of a migration: SQL text, or a function of the connection, which may be asynchronous. */
export type MigrationStep = string | ((connection: SqliteConnection) => void | Promise<void>);

/** One version of a schema. */
export interface Migration {
  /** A whole number, 1 or more. */
  version: number;
  /** What it does, for people and the history. */
  description: string;
  /** Brings the schema from the version before to this one. */
  up: MigrationStep;
  /** Goes back; a version without it cannot be rolled back. */
  down?: MigrationStep;
}

/** A migration by name. */
export interface MigrationInfo {
  /** The version that it brings the schema to. */
  version: number;
  /** What it does. */
  description: string;
}

/**
 * Brings a database to the newest version of a list, one transaction a step.
 *
 * Two processes that start together apply each step once. While it runs, the connection is the
 * migrator's alone.
 *
 * @example
 * const migrator = new DatabaseMigrator(connection, {
 *   migrations: [{ version: 2, description: 'tags', up: 'CREATE TABLE tag (name TEXT)', down: 'DROP TABLE tag' }],
 * });
 * await migrator.migrate();
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
  /** Says whether `migrate()` has something to do. @throws {DatabaseError} `DB_SCHEMA_TOO_NEW` */
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
