// @ts-check
'use strict';

const { DatabaseError, invalidArgument, kindOf, transactionState } = require('./error.js');
const { decodeRows } = require('./rows.js');
const { shapeOf } = require('./shape.js');
const { objectsOf } = require('./statement.js');

/**
 * Owns the driver object, which has the surface of better-sqlite3's `Database`, and synchronous
 * transactions.
 *
 * @typedef {import('../binding.js').Connection} Connection
 * @typedef {import('./shape.js').Form} Form
 */

/** What better-sqlite3's `Database` has and this one has not, and what to use. */
const LEFT_OUT = {
  aggregate: 'gather the rows in JavaScript',
  backup: 'copy the database with exec("VACUUM INTO \'file\'")',
  function: 'map the rows in JavaScript',
  loadExtension: 'no code is loaded into this process',
  serialize: 'copy the database with exec("VACUUM INTO \'file\'")',
  table: 'insert the rows into a temporary table',
  unsafeMode: 'read the rows with all() before writing',
};

class Database {
  #handle;
  #session;
  #bigints = false;

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
    return new Statement(this, this.#session, sql, this.#bigints);
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
    return readPragma(this.#handle, source, options, this.#bigints);
  }

  /**
   * Says whether statements that are prepared from now on give integers as bigints.
   *
   * @param {boolean} [toggle]
   */
  defaultSafeIntegers(toggle) {
    this.#bigints = readToggle('defaultSafeIntegers', toggle);
    return this;
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

for (const [operation, instead] of Object.entries(LEFT_OUT)) {
  Object.defineProperty(Database.prototype, operation, {
    value: () => {
      throw new DatabaseError(`${operation}: this driver has no such method; ${instead}`, {
        code: 'DB_NOT_SUPPORTED',
        operation,
      });
    },
    configurable: true,
    writable: true,
  });
}

/** A prepared statement, with the surface of better-sqlite3's `Statement`. */
class Statement {
  #statement;
  #session;
  /** @type {Form} */
  #form = 'object';
  #bigints;
  /** @type {unknown[] | undefined} */
  #bound;
  #iterators = { open: 0 };
  /** @type {{ columns: readonly string[], shape: import('./shape.js').Shape } | undefined} */
  #shape;
  /** @type {import('./statement.js').FindShape} */
  #findShape;

  /**
   * @param {Database} database
   * @param {import('./statement.js').StatementSession} session
   * @param {string} sql
   * @param {boolean} bigints
   */
  constructor(database, session, sql, bigints) {
    this.#session = session;
    this.#statement = session.statement(sql, 'prepare');
    this.#bigints = bigints;
    this.#findShape = objectsOf;
    this.database = database;
    this.source = sql;
    this.reader = this.#statement.reader;
    this.readonly = this.#statement.readonly;
  }

  /** Whether an iterator of it is open. */
  get busy() {
    return this.#iterators.open > 0;
  }

  /** @param {unknown[]} params */
  run(...params) {
    return this.#statement.run(this.#params('run', params), this.#bigints);
  }

  /** @param {unknown[]} params */
  get(...params) {
    return this.#statement.get(this.#params('get', params), this.#bigints, this.#findShape);
  }

  /** @param {unknown[]} params */
  all(...params) {
    return this.#statement.all(this.#params('all', params), this.#bigints, this.#findShape);
  }

  /** @param {unknown[]} params */
  iterate(...params) {
    const values = this.#params('iterate', params);
    return this.#statement.iterate(values, this.#bigints, this.#findShape, this.#iterators);
  }

  /**
   * Keeps parameters for every later run.
   *
   * @param {unknown[]} params
   */
  bind(...params) {
    if (this.#bound !== undefined) throw boundAlready('bind');
    this.#bound = this.#statement.read('bind', toParams(params));
    return this;
  }

  /** @param {boolean} [toggle] */
  pluck(toggle) {
    return this.#setForm('pluck', toggle);
  }

  /** @param {boolean} [toggle] */
  raw(toggle) {
    return this.#setForm('raw', toggle);
  }

  /** @param {boolean} [toggle] */
  expand(toggle) {
    return this.#setForm('expand', toggle);
  }

  /** @param {boolean} [toggle] */
  safeIntegers(toggle) {
    this.#bigints = readToggle('safeIntegers', toggle);
    return this;
  }

  columns() {
    this.#requireReader('columns');
    return this.#session.handle.columns(this.source, 'columns').map(({ name, column, table, database, type }) => ({
      name,
      column: column ?? null,
      table: table ?? null,
      database: database ?? null,
      type: type ?? null,
    }));
  }

  /**
   * @param {Form} form
   * @param {boolean} [toggle]
   */
  #setForm(form, toggle) {
    const isOn = readToggle(form, toggle);
    this.#requireReader(form);
    // Each of the forms turns the others off.
    if (isOn) this.#form = form;
    else if (this.#form === form) this.#form = 'object';
    this.#shape = undefined;
    this.#findShape = this.#form === 'object' ? objectsOf : (statement) => this.#findOwnShape(statement);
    return this;
  }

  /** @param {import('./statement.js').KnownStatement} statement */
  #findOwnShape({ columns }) {
    if (this.#shape?.columns !== columns) {
      const tables =
        this.#form === 'expand'
          ? this.#session.handle.columns(this.source, 'expand').map(({ table }) => table)
          : undefined;
      this.#shape = { columns, shape: shapeOf(this.#form, columns, tables) };
    }
    return this.#shape.shape;
  }

  /** @param {string} operation */
  #requireReader(operation) {
    if (!this.reader) {
      throw invalidArgument(operation, 'this statement', 'gives no rows; use it with run() alone');
    }
  }

  /**
   * @param {string} operation
   * @param {unknown[]} args
   */
  #params(operation, args) {
    if (this.#bound === undefined) return toParams(args);
    if (args.length > 0) throw boundAlready(operation);
    return this.#bound;
  }
}

/** @param {string} operation */
function boundAlready(operation) {
  return invalidArgument(operation, 'params', 'were bound for ever by bind(); prepare another statement for others');
}

/**
 * @param {string} operation
 * @param {boolean} [toggle]
 */
function readToggle(operation, toggle = true) {
  if (typeof toggle !== 'boolean') {
    throw invalidArgument(operation, 'toggle', `must be a boolean, not ${kindOf(toggle)}`);
  }
  return toggle;
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
