// The synchronous connection, its statements, the driver object, and migrations.

import type { DatabaseConfig, SCHEMA_VERSION } from '../index.js';
import type { SchemaVersion } from './record.js';

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
