// @ts-check
'use strict';

const { Database, readPragma, runTransaction } = require('./driver.js');
const native = require('./native.js');
const { Session, finalized } = require('./statement.js');

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
  #session;

  static {
    handleOf = (connection) => connection.#handle;
  }

  /**
   * @param {import('../index').DatabaseConfig} config
   * @param {string} [operation] the public name that was called, for errors
   */
  constructor(config, operation = 'SqliteConnection') {
    this.#handle = native.Connection.open(config, operation);
    this.#session = new Session(this.#handle);
  }

  /**
   * @param {string} sql
   * @param {Params} [params]
   */
  run(sql, params) {
    return this.#session.statement(sql, 'run').run(params);
  }

  /**
   * @template [T=any]
   * @param {string} sql
   * @param {Params} [params]
   * @returns {T | undefined}
   */
  get(sql, params) {
    return this.#session.statement(sql, 'get').get(params);
  }

  /**
   * @template [T=any]
   * @param {string} sql
   * @param {Params} [params]
   * @returns {T[]}
   */
  all(sql, params) {
    return this.#session.statement(sql, 'all').all(params);
  }

  /**
   * @template [T=any]
   * @param {string} sql
   * @param {Params} [params]
   * @returns {IterableIterator<T>}
   */
  iterate(sql, params) {
    return this.#session.statement(sql, 'iterate').iterate(params);
  }

  /** @param {string} sql */
  exec(sql) {
    this.#handle.exec(sql);
  }

  /**
   * @param {string} source
   * @param {{ simple?: boolean }} [options]
   */
  pragma(source, options) {
    return readPragma(this.#handle, source, options);
  }

  /** @param {string} sql */
  prepare(sql) {
    return new PreparedStatement(this.#session.statement(sql, 'prepare'));
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
    this.#session.close();
  }

  getDatabase() {
    this.#database ??= new Database(this.#handle, this.#session);
    return this.#database;
  }
}

class PreparedStatement {
  #statement;
  #isFinalized = false;

  /** @param {import('./statement.js').KnownStatement} statement */
  constructor(statement) {
    this.#statement = statement;
  }

  /** @param {Params} [params] */
  run(params) {
    if (this.#isFinalized) throw finalized('run');
    return this.#statement.run(params);
  }

  /** @param {Params} [params] */
  get(params) {
    if (this.#isFinalized) throw finalized('get');
    return this.#statement.get(params);
  }

  /** @param {Params} [params] */
  all(params) {
    if (this.#isFinalized) throw finalized('all');
    return this.#statement.all(params);
  }

  /** @param {Params} [params] */
  iterate(params) {
    if (this.#isFinalized) throw finalized('iterate');
    return this.#statement.iterate(params);
  }

  /** @param {Iterable<Params>} rows */
  runMany(rows) {
    if (this.#isFinalized) throw finalized('runMany');
    return this.#statement.runMany(rows);
  }

  finalize() {
    this.#isFinalized = true;
  }

  [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
    this.finalize();
  }
}

/** @param {import('../index').DatabaseConfig} config */
function createConnection(config) {
  return new SqliteConnection(config, 'createConnection');
}

module.exports = { PreparedStatement, SqliteConnection, createConnection, handleOf };
