// @ts-check
'use strict';

const { Database, runTransaction } = require('./driver.js');
const { DatabaseError } = require('./error.js');
const native = require('./native.js');
const { allRows, firstRow } = require('./rows.js');

/**
 * Owns the public synchronous classes, `SqliteConnection` and `PreparedStatement`.
 *
 * @typedef {any[] | Record<string, any>} Params
 */

/** Finds a connection's addon handle, for other modules of this package. @type {(connection: SqliteConnection) => import('../binding.js').Connection} */
let handleOf;

class SqliteConnection {
  /** @type {InstanceType<typeof Database> | undefined} */
  #database;
  #handle;

  static {
    handleOf = (connection) => connection.#handle;
  }

  /**
   * @param {import('../index').DatabaseConfig} config
   * @param {string} [operation] the public name that was called, for errors
   */
  constructor(config, operation = 'SqliteConnection') {
    this.#handle = native.Connection.open(config, operation);
  }

  /**
   * @param {string} sql
   * @param {Params} [params]
   */
  run(sql, params) {
    return this.#handle.run(sql, params);
  }

  /**
   * @template [T=any]
   * @param {string} sql
   * @param {Params} [params]
   * @returns {T | undefined}
   */
  get(sql, params) {
    return /** @type {T | undefined} */ (firstRow(this.#handle.get(sql, params)));
  }

  /**
   * @template [T=any]
   * @param {string} sql
   * @param {Params} [params]
   * @returns {T[]}
   */
  all(sql, params) {
    return /** @type {T[]} */ (allRows(this.#handle.all(sql, params)));
  }

  /** @param {string} sql */
  prepare(sql) {
    this.#handle.prepare(sql);
    return new PreparedStatement(this, sql);
  }

  /**
   * @template T
   * @param {() => T} run
   * @returns {T}
   */
  transaction(run) {
    return runTransaction(this.#handle, run);
  }

  close() {
    this.#handle.close();
  }

  getDatabase() {
    this.#database ??= new Database(this.#handle);
    return this.#database;
  }
}

class PreparedStatement {
  #connection;
  #sql;
  #isFinalized = false;

  /**
   * @param {SqliteConnection} connection
   * @param {string} sql
   */
  constructor(connection, sql) {
    this.#connection = connection;
    this.#sql = sql;
  }

  /** @param {Params} [params] */
  run(params) {
    this.#requireUsable('run');
    return this.#connection.run(this.#sql, params);
  }

  /** @param {Params} [params] */
  get(params) {
    this.#requireUsable('get');
    return this.#connection.get(this.#sql, params);
  }

  /** @param {Params} [params] */
  all(params) {
    this.#requireUsable('all');
    return this.#connection.all(this.#sql, params);
  }

  finalize() {
    this.#isFinalized = true;
  }

  /** @param {string} operation */
  #requireUsable(operation) {
    if (this.#isFinalized) {
      throw new DatabaseError(`${operation}: the statement is finalized; prepare it again`, {
        code: 'DB_STATEMENT_FINALIZED',
        operation,
      });
    }
  }
}

/** @param {import('../index').DatabaseConfig} config */
function createConnection(config) {
  return new SqliteConnection(config, 'createConnection');
}

module.exports = { PreparedStatement, SqliteConnection, createConnection, handleOf };
