/// <reference lib="esnext.disposable" />

/**
 * A crash-safe SQLite ledger for an uploader of WhatsApp media.
 *
 * Record fields are snake_case, methods camelCase. Times are ISO 8601 in UTC with milliseconds
 * and `Z` (`2026-01-31T12:00:00.000Z`); other ISO 8601 forms and SQLite's own are normalised on
 * the way in. An absent optional field is `undefined`, never `null`; on input `null` means none.
 */

import type {
  AddFileHashOptions,
  ConfigRecord,
  DatabaseStats,
  FileHash,
  NewFileHash,
  NewUploadError,
  NewUploadSession,
  SessionStatus,
  UploadError,
  UploadSession,
  UploadSessionChanges,
  UploadSessionDeltas,
} from './types/record.js';
import type { IntegrityOptions, IntegrityReport, RepairOptions, RepairReport } from './types/recovery.js';

export * from './types/connection.js';
export * from './types/record.js';
export * from './types/recovery.js';

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

/** How far the copy of a backup is. */
export interface BackupProgress {
  /** Pages copied; it goes back when a file without write-ahead logging was written to meanwhile. */
  copied_pages: number;
  /** All pages of the database. */
  total_pages: number;
}

export interface BackupOptions extends CallOptions {
  /**
   * Called on the event loop now and then, and at the end, never after the promise has settled. What it
   * throws stops the work, and is what the promise rejects with.
   *
   * @default none
   */
  onProgress?: ((progress: BackupProgress) => void) | undefined;
  /**
   * Whether a file at the path that is no database is replaced.
   *
   * @default false
   */
  overwrite?: boolean | undefined;
}

/** A backup that was made. */
export interface BackupReport {
  /** Its absolute path. */
  path: string;
  /** Its size. */
  bytes: number;
  /** Its pages. */
  pages: number;
}

/** How far a restore is. */
export interface RestoreProgress {
  /** `reading` the file's rows, `keeping` what the ledger holds, `writing` into it. */
  phase: 'reading' | 'keeping' | 'writing';
  /** Rows that are read, or pages that are kept or written. */
  done: number;
  /** All of them. */
  total: number;
}

export interface RestoreOptions extends CallOptions {
  /**
   * Called on the event loop now and then, and at the end, never after the promise has settled. What it
   * throws stops the work, unless it is written already, and is what the promise rejects with.
   *
   * @default none
   */
  onProgress?: ((progress: RestoreProgress) => void) | undefined;
}

/** What became of a table's rows. */
export interface RestoredRows {
  /** Those that are in the ledger now. */
  restored: number;
  /** Those that the ledger's rules do not accept: they are only in the file that was restored from. */
  skipped: number;
}

/** A restore that was made. */
export interface RestoreReport {
  /** Where what the ledger held before is kept; absent for `:memory:`. */
  kept?: string;
  tables: Record<'upload_sessions' | 'file_hashes' | 'upload_errors' | 'config', RestoredRows>;
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
   * Says of each hash whether it is recorded, in the order asked; a hash asked twice is there once. More than 2,048
   * are looked up in pieces, between which the event loop goes on: each sees what is committed then.
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
   * Checks the file, its write-ahead log, its structure and its rows; changes nothing.
   *
   * Works whether or not the manager is connected, or could be. Damage is a finding, not an error.
   * A database in memory must be connected and is checked on the event loop.
   */
  checkIntegrity(options?: IntegrityOptions): Promise<IntegrityReport>;

  /**
   * Gets the rows of a damaged file into a new one, verifies it and puts it in the old one's place,
   * which is kept beside it with its log as `<path>.corrupt-<time>`.
   *
   * Rejects with `DB_IN_USE` while anybody has the file open, this manager included, unless
   * `dry_run` is set; with `DB_NOTHING_TO_REPAIR` when the file holds nothing of a ledger. Nothing
   * has changed then.
   */
  repair(options?: RepairOptions): Promise<RepairReport>;

  /**
   * Rebuilds the file without free pages, off the event loop (`:memory:`: on it).
   *
   * @throws {DatabaseError} `DB_TRANSACTION_STATE` inside a transaction, `DB_ABORTED`
   */
  vacuum(options?: CallOptions): Promise<void>;
  /**
   * Copies the ledger into one file that only this user may read, while it is in use: all that was
   * written before the call. Works on another thread (`:memory:`: at once, on the event loop).
   *
   * The copy is checked before it gets its name, in one step that the disk has when this resolves;
   * a backup that was there is kept until then. The file needs no other beside it and opens on
   * read-only media too (it is outside write-ahead logging until it is opened as a ledger). With
   * `enableWAL`, no writer waits for it, and the log cannot be emptied meanwhile; without, the copy is
   * made in slices, and keeps writers out only when they made it begin again too often.
   *
   * @param path where the backup is to be; its folder must exist, its last part may be no symbolic
   * link. A database there that is not in use is replaced, anything else only with `overwrite`.
   * @throws {DatabaseError} `DB_FILE_EXISTS`, `DB_IN_USE`, `DB_NOT_A_FILE`, `DB_FOLDER_MISSING` or
   * `DB_FILE_ACCESS` of the path; `SQLITE_CORRUPT` when the ledger is damaged, `DB_ABORTED`,
   * `DB_TRANSACTION_STATE` inside a transaction. Nothing is left of a copy that failed.
   * @example
   * await db.backup('/backups/ledger.db', {
   *   onProgress: ({ copied_pages, total_pages }) => console.log(`${copied_pages} of ${total_pages}`),
   * });
   */
  backup(path: string, options?: BackupOptions): Promise<BackupReport>;
  /**
   * Replaces all that the ledger holds with the rows of a backup, as one transaction that other
   * processes see like any commit. Works on another thread (`:memory:`: at once, on the event loop).
   *
   * The file is not trusted: rows that the ledger's rules accept are copied into the schema that this
   * version makes; no view, trigger, index or other table of the file is run or kept, and none of the
   * ledger's own file either. What the ledger held until now is first kept beside it, whole, as
   * `<path>.before-restore-<time>`; nobody can write between the two. Calls made before this one end
   * first, calls made after it wait for it.
   *
   * @throws {DatabaseError} `DB_FILE_MISSING`, `DB_NOT_A_FILE` or `DB_INVALID_ARGUMENT` of the path;
   * `SQLITE_NOTADB`, `SQLITE_CORRUPT`, `DB_SCHEMA_TOO_NEW`, `DB_NOT_RESTORABLE` of the file;
   * `SQLITE_BUSY` behind another connection's lock, `DB_ABORTED`, `DB_TRANSACTION_STATE` inside a
   * transaction. Then the ledger is as it was.
   * @example
   * const { kept, tables } = await db.restore('/backups/ledger.db');
   * console.log(`${tables.file_hashes.restored} files are back; what was there is in ${kept}`);
   */
  restore(path: string, options?: RestoreOptions): Promise<RestoreReport>;
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
