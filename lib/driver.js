// @ts-check
'use strict';

const { invalidArgument, kindOf, transactionState } = require('./error.js');
const { allRows, firstRow } = require('./rows.js');

/**
 * Owns the driver object, which has the surface of better-sqlite3's `Database`, and synchronous
 * transactions.
 *
 * @typedef {import('../binding.js').Connection} Connection
 */

class Database {
  #handle;

  /** @param {Connection} handle */
  constructor(handle) {
    this.#handle = handle;
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
    return new Statement(this, this.#handle, sql);
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
    const result = this.#handle.pragma(source);
    // The first column of the first row, whatever its name.
    return options?.simple ? result[1][0] : allRows(result);
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
    this.#handle.close();
    return this;
  }
}

class Statement {
  #handle;

  /**
   * @param {Database} database
   * @param {Connection} handle
   * @param {string} sql
   */
  constructor(database, handle, sql) {
    const { reader, readonly } = handle.prepare(sql);
    this.#handle = handle;
    this.database = database;
    this.source = sql;
    this.reader = reader;
    this.readonly = readonly;
  }

  /** @param {unknown[]} params */
  run(...params) {
    return this.#handle.run(this.source, toParams(params));
  }

  /** @param {unknown[]} params */
  get(...params) {
    return firstRow(this.#handle.get(this.source, toParams(params)));
  }

  /** @param {unknown[]} params */
  all(...params) {
    return allRows(this.#handle.all(this.source, toParams(params)));
  }
}

/**
 * Brings arguments into the form that the addon takes: one object of names, or one array.
 *
 * @param {unknown[]} args values, arrays of them, or one object
 */
function toParams(args) {
  const [first] = args;
  const isNamed = typeof first === 'object' && first !== null && !Array.isArray(first) && !ArrayBuffer.isView(first);
  return args.length === 1 && isNamed ? first : args.flat();
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

module.exports = { Database, runTransaction };
