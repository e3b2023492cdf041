// @ts-check
'use strict';

const { DatabaseError, invalidArgument, kindOf } = require('./error.js');
const { Packer } = require('./packer.js');
const { decodeRows, hasMore, readChanges, sharedCodes } = require('./rows.js');
const { shapeOf } = require('./shape.js');

/**
 * Owns a statement's way from JavaScript: its text and number, its parameters out of the caller's
 * array or object, its rows out of what the addon packs.
 *
 * All of the caller's code (getters, proxies) runs here, before the addon is called.
 *
 * @typedef {import('../binding.js').Connection} Handle
 * @typedef {import('./rows.js').Packed} Packed
 * @typedef {any[] | Record<string, any>} Params
 * @typedef {Session} StatementSession for other modules, which a class is no type to
 * @typedef {SqlStatement} KnownStatement
 *
 * @typedef {import('./shape.js').Shape} Shape
 * @typedef {(statement: SqlStatement) => Shape} FindShape tells what rows are to look like
 *
 * @typedef {(key: number, ...values: any[]) => any} Call gives `null` when the key is unknown
 * @typedef {object} Calls the addon's functions (`src/node/direct.rs`)
 * @property {Call} get
 * @property {Call} all
 * @property {Call} run
 * @property {() => Packed} more
 * @property {Call} iterate
 * @property {(cursor: number, limit: number) => Packed} next
 * @property {(cursor: number) => void} end
 * @property {(batch: number, text: string, codes: Int32Array, blobs?: Uint8Array) => number} stage
 * @property {(batch: number) => void} discard
 * @property {Call} runMany
 */

/** Flags in the low bits of a statement's key. */
const BIG_INTEGERS = 1;
const NAMED = 2;
const LIST = 4;
const FLAGS = 8;

/** How many parameters are handed over one by one. */
const MAX_SINGLE = 32;

/** How many statements a connection knows by their text. */
const MAX_KNOWN = 64;

/** How many rows cross together into `runMany`. */
const STAGED_ROWS = 256;

/** How many rows an iterator asks for: few at first, since its loop may end soon. */
const FIRST_ROWS = 16;
const MAX_ROWS = 0x7fff_ffff;

/** What the statements of one connection share. */
class Session {
  /** @type {Map<string, SqlStatement>} */
  #known = new Map();
  /** How many reads the loop's present turn has made, as far as that matters. */
  #reads = 0;

  /** @param {Handle} handle */
  constructor(handle) {
    this.handle = handle;
    this.isClosed = false;
    /** @type {Calls} */
    this.calls = /** @type {any} */ (handle.functions());
  }

  /**
   * Finds a statement by its text, or prepares it.
   *
   * @param {string} sql
   * @param {string} operation the public method
   */
  statement(sql, operation) {
    let statement = this.#known.get(sql);
    if (statement === undefined) {
      statement = new SqlStatement(this, sql, operation);
      if (this.#known.size >= MAX_KNOWN) {
        this.#known.delete(/** @type {string} */ (this.#known.keys().next().value));
      }
      this.#known.set(sql, statement);
    }
    return statement;
  }

  /**
   * Notes that a read begins. A small one outside a transaction is mostly locking: from the second of a
   * turn on, the lock stays until the loop goes on. Each still sees what is committed when it begins.
   */
  noteRead() {
    if (this.#reads === 2) return;
    this.#reads += 1;
    if (this.#reads === 2) this.handle.keepReadLock(true);
    else setImmediate(this.#endTurn);
  }

  #endTurn = () => {
    if (this.#reads === 2) this.handle.keepReadLock(false);
    this.#reads = 0;
  };

  /** Closes the connection: no statement is known any more. */
  close() {
    this.#known.clear();
    this.isClosed = true;
    this.handle.close();
  }
}

/** A text that the connection has prepared, and prepares again when it has to. */
class SqlStatement {
  /** @type {Shape | undefined} */
  #objects;

  /**
   * @param {Session} session
   * @param {string} sql
   * @param {string} operation
   */
  constructor(session, sql, operation) {
    /** @type {Session} */
    this.session = session;
    this.sql = sql;
    const info = session.handle.prepare(sql, operation);
    this.key = info.id * FLAGS;
    this.columns = info.columns;
    this.parameters = info.parameters;
    this.reader = info.reader;
    this.readonly = info.readonly;
  }

  /** The shape of rows as plain objects. */
  get objects() {
    this.#objects ??= shapeOf('object', this.columns);
    return this.#objects;
  }

  /** @param {string} operation */
  #prepareAgain(operation) {
    const info = this.session.handle.prepare(this.sql, operation);
    this.#change(info.id, info.columns);
  }

  /**
   * @param {number} id
   * @param {string[]} columns
   */
  #change(id, columns) {
    this.key = id * FLAGS;
    if (columns.length !== this.columns.length || columns.some((name, index) => name !== this.columns[index])) {
      this.columns = columns;
      this.#objects = undefined;
    }
  }

  /**
   * Calls one of the addon's functions with the caller's parameters.
   *
   * @param {Call} call
   * @param {string} operation
   * @param {Params | null | undefined} params
   * @param {number} flags
   * @returns {any}
   */
  call(call, operation, params, flags) {
    const { length } = this.parameters;
    if (length === 0 && (params === undefined || params === null)) {
      const result = call(this.key + flags);
      if (result !== null) return result;
      return this.#callAgain(call, operation, [], flags);
    }
    if (length === 1 && Array.isArray(params) && params.length === 1) {
      const value = params[0];
      const result = call(this.key + flags, value);
      if (result !== null) return result;
      return this.#callAgain(call, operation, [value], flags);
    }
    const values = this.read(operation, params);
    return this.#callWith(call, operation, values, isNamed(params) ? flags + NAMED : flags);
  }

  /**
   * Reads the caller's parameters, in the order of the statement's.
   *
   * @param {string} operation
   * @param {Params | null | undefined} params
   * @returns {any[]}
   */
  read(operation, params) {
    if (!isNamed(params)) return this.#readList(operation, params);
    return this.#readNamed(operation, /** @type {Record<string, any>} */ (params));
  }

  /**
   * @param {Call} call
   * @param {string} operation
   * @param {any[]} values
   * @param {number} flags
   */
  #callWith(call, operation, values, flags) {
    const result =
      values.length <= MAX_SINGLE ? call(this.key + flags, ...values) : call(this.key + flags + LIST, values);
    return result === null ? this.#callAgain(call, operation, values, flags) : result;
  }

  /**
   * The connection has let go of the statement.
   *
   * @param {Call} call
   * @param {string} operation
   * @param {any[]} values
   * @param {number} flags
   */
  #callAgain(call, operation, values, flags) {
    this.#prepareAgain(operation);
    if (values.length <= MAX_SINGLE) return call(this.key + flags, ...values);
    return call(this.key + flags + LIST, values);
  }

  /**
   * @param {string} operation
   * @param {unknown} params
   */
  #readList(operation, params) {
    if (params !== undefined && params !== null && !Array.isArray(params)) {
      throw invalidArgument(operation, 'params', `must be an array or an object, not ${kindOf(params)}`);
    }
    const given = params?.length ?? 0;
    const expected = this.parameters.length;
    if (given !== expected) {
      throw invalidArgument(operation, 'params', `holds ${given} value(s), but the statement takes ${expected}`);
    }
    // A copy: what a getter does to the array changes nothing of what was counted.
    const values = [];
    for (let index = 0; index < expected; index += 1) values.push(params?.[index]);
    return values;
  }

  /**
   * @param {string} operation
   * @param {Record<string, any>} params
   */
  #readNamed(operation, params) {
    const values = [];
    for (const name of this.parameters) {
      if (name === '') {
        throw invalidArgument(
          operation,
          'params',
          'is an object, but the statement has a parameter without a name; give an array',
        );
      }
      const value = params[name];
      if (value === undefined && !(name in params)) {
        throw invalidArgument(operation, `params.${name}`, 'is missing');
      }
      values.push(value);
    }
    return values;
  }

  /**
   * Takes note when the statement has other columns since a change of the schema.
   *
   * @param {any} packed
   */
  #noteShape(packed) {
    if (packed.length === 5) this.#change(packed[3], packed[4]);
  }

  /**
   * @param {Params | null | undefined} params
   * @param {boolean} [bigints]
   */
  run(params, bigints = false) {
    this.call(this.session.calls.run, 'run', params, bigints ? BIG_INTEGERS : 0);
    return readChanges(bigints);
  }

  /**
   * Runs the statement with each of the rows, in one transaction. All of them are read and staged
   * before the first runs: what a getter does comes before, never between.
   *
   * @param {Iterable<Params>} rows
   */
  runMany(rows) {
    const { calls } = this.session;
    const packer = new Packer();
    let batch = 0;
    let count = 0;
    let flags = 0;
    try {
      for (const row of readRows(rows)) {
        if (isNamed(row)) flags = NAMED;
        this.#packRow(packer, row, count);
        count += 1;
        if (count % STAGED_ROWS === 0) batch = stage(calls, batch, packer);
      }
      if (count % STAGED_ROWS !== 0) batch = stage(calls, batch, packer);
      if (calls.runMany(this.key + flags, batch) === null) {
        this.#prepareAgain('runMany');
        calls.runMany(this.key + flags, batch);
      }
    } finally {
      if (batch !== 0) calls.discard(batch);
    }
    return readChanges(false);
  }

  /**
   * @param {InstanceType<typeof Packer>} packer
   * @param {Params} row
   * @param {number} index
   */
  #packRow(packer, row, index) {
    const { parameters } = this;
    if (isNamed(row)) {
      const record = /** @type {Record<string, any>} */ (row);
      for (const name of parameters) {
        const value = record[name];
        if (value === undefined) this.#checkNamed(record, name, index);
        packer.push(value);
      }
    } else {
      if (!Array.isArray(row)) {
        throw invalidArgument('runMany', `rows[${index}]`, `must be an array or an object, not ${kindOf(row)}`);
      }
      if (row.length !== parameters.length) {
        const problem = `holds ${row.length} value(s), but the statement takes ${parameters.length}`;
        throw invalidArgument('runMany', `rows[${index}]`, problem);
      }
      for (let place = 0; place < parameters.length; place += 1) packer.push(row[place]);
    }
    // A row without parameters is one value, so that there is something to count.
    if (parameters.length === 0) packer.push(null);
  }

  /**
   * @param {Record<string, any>} row
   * @param {string} name
   * @param {number} index
   */
  #checkNamed(row, name, index) {
    if (name === '') {
      const problem = 'is an object, but the statement has a parameter without a name; give an array';
      throw invalidArgument('runMany', `rows[${index}]`, problem);
    }
    if (!(name in row)) throw invalidArgument('runMany', `rows[${index}].${name}`, 'is missing');
  }

  /**
   * @param {Params | null | undefined} params
   * @param {boolean} [bigints]
   * @param {FindShape} [shape]
   */
  get(params, bigints = false, shape = objectsOf) {
    if (this.readonly) this.session.noteRead();
    const packed = this.call(this.session.calls.get, 'get', params, bigints ? BIG_INTEGERS : 0);
    if (typeof packed === 'string') {
      return sharedCodes[0] === 0 ? undefined : shape(this).buildFirst(packed, sharedCodes, undefined);
    }
    this.#noteShape(packed);
    const [text, codes, blobs] = packed;
    return codes[0] === 0 ? undefined : shape(this).buildFirst(text, codes, blobs);
  }

  /**
   * @param {Params | null | undefined} params
   * @param {boolean} [bigints]
   * @param {FindShape} [shape]
   * @returns {any[]}
   */
  all(params, bigints = false, shape = objectsOf) {
    const { calls } = this.session;
    if (this.readonly) this.session.noteRead();
    let packed = this.call(calls.all, 'all', params, bigints ? BIG_INTEGERS : 0);
    if (typeof packed !== 'string') this.#noteShape(packed);
    const { build } = shape(this);
    /** @type {any[]} */
    const rows = [];
    let more = hasMore();
    decodeRows(packed, build, rows);
    while (more) {
      packed = calls.more();
      more = hasMore();
      decodeRows(packed, build, rows);
    }
    return rows;
  }

  /**
   * @param {Params | null | undefined} params
   * @param {boolean} [bigints]
   * @param {FindShape} [shape]
   * @param {{ open: number }} [counter] counts the iterators that are open
   * @returns {IterableIterator<any>}
   */
  iterate(params, bigints = false, shape = objectsOf, counter = { open: 0 }) {
    // What writes is done at once; only its rows can still be gone through one by one.
    if (!this.readonly || !this.reader) return this.all(params, bigints, shape).values();
    const cursor = this.call(this.session.calls.iterate, 'iterate', params, bigints ? BIG_INTEGERS : 0);
    return /** @type {any} */ (new RowIterator(this, cursor, shape, counter));
  }

  /**
   * Asks for more of an iterator's rows.
   *
   * @param {number} cursor
   * @param {number} limit
   * @param {FindShape} shape
   */
  next(cursor, limit, shape) {
    const packed = this.session.calls.next(cursor, limit);
    if (typeof packed !== 'string') this.#noteShape(packed);
    const more = hasMore();
    return { rows: decodeRows(packed, shape(this).build), more };
  }
}

/**
 * @param {Calls} calls
 * @param {number} batch
 * @param {InstanceType<typeof Packer>} packer
 */
function stage(calls, batch, packer) {
  const [text, codes, blobs] = packer.finish();
  return blobs === undefined ? calls.stage(batch, text, codes) : calls.stage(batch, text, codes, blobs);
}

/**
 * @param {Iterable<Params>} rows
 * @returns {Iterable<Params>}
 */
function readRows(rows) {
  if (typeof rows !== 'object' || rows === null || typeof rows[Symbol.iterator] !== 'function') {
    throw invalidArgument('runMany', 'rows', `must be an array of arrays or objects, not ${kindOf(rows)}`);
  }
  return rows;
}

/**
 * @param {unknown} params
 */
function isNamed(params) {
  return typeof params === 'object' && params !== null && !Array.isArray(params);
}

/** @param {SqlStatement} statement */
function objectsOf(statement) {
  return statement.objects;
}

/** An iterator that nobody has ended must not hold its statement, and the log, for ever. */
const abandoned = new FinalizationRegistry(
  /** @param {{ session: Session, cursor: number, counter: { open: number } }} held */
  ({ session, cursor, counter }) => {
    counter.open -= 1;
    session.calls.end(cursor);
  },
);

/** What all iterators inherit: `Symbol.iterator`, and newer engines' methods. */
const IteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([].values()));

/** Goes through a statement's rows; they are read in chunks, and made when they are asked for. */
class RowIterator {
  #statement;
  #cursor;
  #shape;
  #counter;
  /** @type {any[]} */
  #rows = [];
  #at = 0;
  #more = true;
  #isOpen = true;
  #limit = FIRST_ROWS;

  /**
   * @param {SqlStatement} statement
   * @param {number} cursor
   * @param {FindShape} shape
   * @param {{ open: number }} counter
   */
  constructor(statement, cursor, shape, counter) {
    this.#statement = statement;
    this.#cursor = cursor;
    this.#shape = shape;
    this.#counter = counter;
    counter.open += 1;
    abandoned.register(this, { session: statement.session, cursor, counter }, this);
  }

  next() {
    if (this.#at < this.#rows.length && !this.#statement.session.isClosed) {
      return { value: this.#rows[this.#at++], done: false };
    }
    return this.#readOn();
  }

  #readOn() {
    // What was read before the connection closed is not given after: how much that is depends on
    // the chunks.
    if (this.#more || (this.#isOpen && this.#statement.session.isClosed)) {
      try {
        const { rows, more } = this.#statement.next(this.#cursor, this.#limit, this.#shape);
        this.#rows = rows;
        this.#more = more;
        this.#limit = this.#limit === FIRST_ROWS ? FIRST_ROWS * FIRST_ROWS : MAX_ROWS;
        if (rows.length > 0) {
          this.#at = 1;
          return { value: rows[0], done: false };
        }
      } catch (error) {
        this.#end();
        throw error;
      }
    }
    this.#end();
    return { value: undefined, done: true };
  }

  /** @param {any} [value] */
  return(value) {
    this.#end();
    return { value, done: true };
  }

  #end() {
    this.#rows = [];
    this.#at = 0;
    this.#more = false;
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#counter.open -= 1;
    abandoned.unregister(this);
    this.#statement.session.calls.end(this.#cursor);
  }
}

Object.setPrototypeOf(RowIterator.prototype, IteratorPrototype);

/**
 * @param {string} operation
 */
function finalized(operation) {
  return new DatabaseError(`${operation}: the statement is finalized; prepare it again`, {
    code: 'DB_STATEMENT_FINALIZED',
    operation,
  });
}

module.exports = { Session, SqlStatement, finalized, objectsOf };
