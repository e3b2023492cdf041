// @ts-check
'use strict';

const { invalidArgument, kindOf, transactionState } = require('./error.js');
const { decodeRows } = require('./rows.js');
const { shapeOf } = require('./shape.js');

/**
 * Owns the driver object, which has the surface of better-sqlite3's `Database`, and synchronous
 * transactions.
 *
 * @typedef {import('../binding.js').Connection} Connection
 */

class Database {
  #handle;
  #session;

  /**
   * @param {Connection} handle
   * @param {import('./statement.js').StatementSession} session
   */
  constructor(handle, session) {
    this.#handle = handle;
    this.#session = session;
  }

  get open() {
    return this.#handle.isOpen;
  }

  get inTransaction() {
    return this.#handle.inTransaction;
  }

  get name() {
    return this.#handle.path;
  }

  get readonly() {
    return this.#handle.readonly;
  }

  get memory() {
    return this.#handle.memory;
  }

  /** @param {string} sql */
  prepare(sql) {
    return new Statement(this, this.#session.statement(sql, 'prepare'));
  }

  /** @param {string} sql */
  exec(sql) {
    this.#handle.exec(sql);
    return this;
  }

  /**
   * @param {string} source the pragma, without the word PRAGMA
   * @param {{ simple?: boolean }} [options]
   */
  pragma(source, options) {
    return readPragma(this.#handle, source, options);
  }

  /**
   * Makes a function that runs `run` in a transaction; nested, in a savepoint.
   *
   * @template {(...args: any[]) => any} F
   * @param {F} run
   */
  transaction(run) {
    if (typeof run !== 'function') {
      throw invalidArgument('transaction', 'fn', `must be a function, not ${kindOf(run)}`);
    }
    const handle = this.#handle;
    /** @param {string} mode */
    const wrap = (mode) =>
      /**
       * @this {any}
       * @param {Parameters<F>} args
       * @returns {ReturnType<F>}
       */
      function runInTransaction(...args) {
        return runTransaction(handle, () => run.apply(this, args), mode);
      };
    const deferred = wrap('deferred');
    return Object.assign(deferred, {
      database: this,
      default: deferred,
      deferred,
      immediate: wrap('immediate'),
      exclusive: wrap('exclusive'),
    });
  }

  close() {
    this.#session.close();
    return this;
  }
}

class Statement {
  #statement;

  /**
   * @param {Database} database
   * @param {import('./statement.js').KnownStatement} statement
   */
  constructor(database, statement) {
    this.#statement = statement;
    this.database = database;
    this.source = statement.sql;
    this.reader = statement.reader;
    this.readonly = statement.readonly;
  }

  /** @param {unknown[]} params */
  run(...params) {
    return this.#statement.run(toParams(params));
  }

  /** @param {unknown[]} params */
  get(...params) {
    return this.#statement.get(toParams(params));
  }

  /** @param {unknown[]} params */
  all(...params) {
    return this.#statement.all(toParams(params));
  }
}

/**
 * Reads or sets a pragma; simple is the first column of the first row, whatever its name.
 *
 * @param {Connection} handle
 * @param {string} source
 * @param {{ simple?: boolean }} [options]
 * @param {boolean} [bigints]
 */
function readPragma(handle, source, options, bigints = false) {
  const packed = handle.pragma(source, bigints);
  const rows = decodeRows(/** @type {any} */ (packed), shapeOf(options?.simple ? 'pluck' : 'object', packed[4]).build);
  return options?.simple ? rows[0] : rows;
}

/**
 * Brings arguments into the form that the addon takes: one object of names, or one array.
 *
 * @param {unknown[]} args values, arrays of them, or one object
 */
function toParams(args) {
  if (args.length === 1) {
    const [first] = args;
    if (typeof first !== 'object' || first === null || ArrayBuffer.isView(first)) return args;
    return first;
  }
  return args.some(Array.isArray) ? args.flat() : args;
}

/**
 * Runs a function in a transaction, or in a savepoint when one is open already.
 *
 * @template T
 * @param {import('../binding.js').Connection} handle
 * @param {() => T} run
 * @param {string} [mode] how an outer transaction begins
 * @returns {T}
 */
function runTransaction(handle, run, mode) {
  if (typeof run !== 'function') {
    throw invalidArgument('transaction', 'fn', `must be a function, not ${kindOf(run)}`);
  }
  if (Object.prototype.toString.call(run) === '[object AsyncFunction]') throw refuseAsync();
  const nested = handle.begin(mode);
  try {
    const value = run();
    if (isThenable(value)) {
      Promise.resolve(value).catch(() => {});
      throw refuseAsync();
    }
    handle.commit(nested);
    return value;
  } catch (error) {
    try {
      handle.rollBack(nested);
    } catch {
      // The function closed the handle or ended the transaction itself: its own error says more.
    }
    throw error;
  }
}

/** @param {unknown} value */
function isThenable(value) {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function refuseAsync() {
  return transactionState(
    'transaction',
    'an asynchronous function would run on after the transaction has ended; ' +
      'give a synchronous one, or use DatabaseManager.transaction()',
  );
}

module.exports = { Database, readPragma, runTransaction };
