'use strict';

/**
 * Owns one play: a seeded mix of hostile calls on every class, from outside and from inside getters,
 * iterators and transactions; what comes of each call is judged, and what the files hold compared
 * with what was acknowledged.
 */

const { AsyncLocalStorage } = require('node:async_hooks');
const path = require('node:path');
const index = require('../../../index.js');
const { CODES } = require('./codes.js');
const { Dice } = require('./dice.js');
const { Expected, show } = require('./expected.js');
const { managerRules } = require('./manager-rules.js');
const { compareRows, quietWorks } = require('./quiet.js');
const { EVENT_METHODS, SLOW, compareWithTypes, isGetterOf, membersOf, shown } = require('./surface.js');
const { syncRules } = require('./sync-rules.js');
const { Hostile } = require('./values.js');

const { DatabaseError, DatabaseManager, DatabaseMigrator, SqliteConnection } = index;

const DEADLINE_MS = 30_000;
const LONGEST_SYNC_MS = 10_000;
const BARRIER_CALLS = 300;
const MOST_PENDING = 12;
const MOST_OBJECTS = 24;
const MAX_DEPTH = 2;

/** Methods whose results are called in their turn. */
const TAKEN = new Set(['prepare', 'getDatabase', 'iterate', 'transaction']);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Play {
  faults = [];
  calls = 0;
  called = new Map();
  inUse = new Set();
  planted = new Set();
  expected = new Expected();
  rows = new Map();
  outcomes = { resolved: 0, refused: 0, planted: 0, native: 0 };
  #number = 0;
  #depth = 0;
  #pending = new Set();
  #scopes = new AsyncLocalStorage();
  /** @type {any[]} */
  #objects = [];
  snapshot;

  /**
   * @param {{ seed: number, folder: string, count: number, deadline?: number }} options
   */
  constructor({ seed, folder, count, deadline = DEADLINE_MS }) {
    this.folder = folder;
    this.count = count;
    this.deadline = deadline;
    this.dice = new Dice(seed);
    this.hostile = new Hostile(this.dice, { act: () => this.act(), planted: this.planted });
    this.managerRules = managerRules(this);
    this.syncRules = syncRules(this);
  }

  get file() {
    return path.join(this.folder, 'ledger.db');
  }

  get rowsFile() {
    return path.join(this.folder, 'rows.db');
  }

  unique() {
    this.#number += 1;
    return this.#number;
  }

  fault(what) {
    if (this.faults.length < 20) this.faults.push(what.slice(0, 600));
  }

  /** A path inside the folder, where nothing of ours lies; what is no text stays as it is. */
  folderPath(value) {
    if (typeof value !== 'string' || value === '' || /[\0\ud800-\udfff]/.test(value)) return value;
    if (/^backup-\d+$/.test(value)) return path.join(this.folder, value);
    return path.join(this.folder, 'missing', value.slice(0, 40));
  }

  // --- the play -------------------------------------------------------------------------------

  async run() {
    this.db = new DatabaseManager({ path: this.file, timeout: 1000 });
    await this.db.connect();
    await this.db.initializeSchema();
    this.tracked = this.#openTracked();
    this.tracked.connection.exec('CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v)');
    this.#openWild();
    for (const problem of this.#compareSurface()) this.fault(problem);
    while (this.calls < this.count && this.faults.length === 0) {
      const until = this.calls + BARRIER_CALLS;
      for (let turn = 0; this.calls < until && turn < BARRIER_CALLS; turn += 1) {
        this.playOne();
        if (this.#pending.size > this.dice.below(MOST_PENDING)) await this.#some();
        else if (this.dice.chance(0.05)) await new Promise((resolve) => setImmediate(resolve));
        if (!this.db.isConnected() && this.dice.chance(0.3)) await this.db.connect().catch(() => {});
      }
      await this.#barrier();
    }
    return { calls: this.calls, faults: this.faults, called: [...this.called.keys()], outcomes: this.outcomes };
  }

  #compareSurface() {
    const connection = new SqliteConnection({ path: ':memory:' });
    const statement = connection.prepare('SELECT 1');
    const database = connection.getDatabase();
    const samples = {
      DatabaseManager: this.db,
      SqliteConnection: connection,
      PreparedStatement: statement,
      Database: database,
      Statement: database.prepare('SELECT 1'),
      DatabaseMigrator: new DatabaseMigrator(connection),
    };
    return compareWithTypes(samples, index);
  }

  /** Plays one call on something; the promise is fulfilled when the call has settled. */
  playOne() {
    const { dice } = this;
    const kind = dice.below(100);
    if (kind < 45) return this.#onManager();
    if (kind < 70) return this.#onObject(this.#pickObject(false));
    if (kind < 88) return this.#onObject(this.#pickObject(true));
    if (kind < 96) return this.#onFunction();
    return this.#onMigrator();
  }

  /** What getters and traps do. */
  act() {
    if (this.#depth >= MAX_DEPTH) return;
    this.#depth += 1;
    try {
      const { dice } = this;
      dice.pick([
        () => this.#onManager(),
        () => this.#onObject(this.#pickObject(false)),
        () => this.#onObject(this.#pickObject(true)),
        () => dice.chance(0.2) && this.tracked.connection.close(),
        () => dice.chance(0.1) && this.#call('DatabaseManager', this.db, 'disconnect', { args: [] }),
        () => globalThis.gc?.({ type: 'minor' }),
        () => {},
      ])();
    } finally {
      this.#depth -= 1;
    }
  }

  // --- targets --------------------------------------------------------------------------------

  #openTracked() {
    const connection = new SqliteConnection({ path: this.rowsFile });
    const target = { type: 'SqliteConnection', object: connection, isWild: false };
    const owner = { connection, scopes: [] };
    target.owner = owner;
    this.#keep(target);
    return owner;
  }

  /** Mostly one of its own: whoever waits for a lock plays nothing else. */
  #wildFile() {
    return path.join(this.folder, this.dice.chance(0.03) ? 'shared.db' : `wild-${this.unique()}.db`);
  }

  #openWild() {
    const file = this.dice.pick([':memory:', this.#wildFile()]);
    const connection = new SqliteConnection({ path: file, timeout: 1000 });
    this.#keep({ type: 'SqliteConnection', object: connection, isWild: true });
  }

  /** Keeps an object to call; the oldest are forgotten, as a caller forgets them. */
  #keep(target) {
    if (this.#objects.length >= MOST_OBJECTS) this.#objects.splice(this.dice.below(MOST_OBJECTS / 2), 1);
    this.#objects.push(target);
  }

  #pickObject(isWild) {
    if (!isWild && (!isOpen(this.tracked.connection) || this.dice.chance(0.002))) this.tracked = this.#openTracked();
    if (isWild && this.dice.chance(0.02)) this.#openWild();
    let some = this.#objects.filter((target) => target.isWild === isWild);
    if (some.length === 0) {
      if (isWild) this.#openWild();
      else this.tracked = this.#openTracked();
      some = this.#objects.filter((target) => target.isWild === isWild);
    }
    return this.dice.pick(some);
  }

  #onManager() {
    const members = [...membersOf(this.db), ...EVENT_METHODS];
    let name = this.dice.pick(members);
    if (SLOW.has(shown(name).replace(/[[\]]/g, '')) && this.dice.chance(0.85)) name = this.dice.pick(members);
    const rule = this.managerRules[name];
    return this.#call('DatabaseManager', this.db, name, () => rule?.() ?? { args: this.hostile.list(3) });
  }

  #onObject(target) {
    const members = membersOf(target.object);
    // The engine's own iterators, which give the rows of what writes, have no class.
    const name = this.dice.pick(members.length > 0 ? members : ['next', Symbol.iterator]);
    const rule = this.syncRules[target.type]?.[name];
    const isGetter = isGetterOf(target.object, name);
    let result;
    const make = () => {
      const made = rule?.(target) ?? { args: isGetter ? [] : this.hostile.list(3) };
      return made;
    };
    const settled = this.#call(target.type, target.object, name, make, (value, made) => {
      result = value;
      made.after?.();
    });
    if (result !== undefined) this.#take(target, name, result);
    return settled;
  }

  /** Goes on with what a call gave: statements, iterators, functions. */
  #take({ type: from, isWild, owner }, name, result) {
    const { dice } = this;
    // What a transaction's function gave may be hostile.
    if (!TAKEN.has(name) || (name === 'transaction' && from !== 'Database')) return;
    const type = result.constructor?.name;
    if (type === 'PreparedStatement' || type === 'Statement') {
      this.#keep({ type, object: result, isWild, owner, kind: result.source ?? this.lastSql });
    } else if (type === 'Database' && dice.chance(0.3)) {
      this.#keep({ type, object: result, isWild, owner });
    } else if (name === 'iterate') {
      if (dice.chance(0.3)) this.#keep({ type: 'RowIterator', object: result, isWild, owner });
      else this.#consume(result);
    } else if (name === 'transaction' && typeof result === 'function') {
      const variant = dice.pick(['default', 'deferred', 'immediate', 'exclusive']);
      this.#call('TransactionFunction', result, variant, {
        args: this.hostile.list(1),
        scoped: isWild ? undefined : owner,
      });
    }
    if (dice.chance(0.02)) globalThis.gc?.();
  }

  /** Loops over an iterator and does things meanwhile. */
  #consume(iterator) {
    this.calls += 1;
    try {
      let rows = 0;
      for (const _ of iterator) {
        if (this.dice.chance(0.1)) this.act();
        rows += 1;
        if (rows > 400 || this.dice.chance(0.02)) break;
        if (this.dice.chance(0.005)) this.hostile.explode();
      }
    } catch (error) {
      this.judge(error, 'a loop over an iterator');
    }
  }

  #onFunction() {
    const { dice, hostile } = this;
    const config = () =>
      dice.chance(0.3)
        ? hostile.value()
        : hostile.shell({
            path: dice.chance(0.7)
              ? dice.pick([this.#wildFile(), path.join(this.folder, 'missing', 'x.db'), this.folder])
              : this.folderPath(hostile.value()),
            timeout: dice.chance(0.3) ? hostile.value() : 1000,
            readonly: dice.chance(0.2) ? hostile.value() : undefined,
            ...(dice.chance(0.2)
              ? { [dice.pick(['mmapSize', 'cacheSize', 'preset', 'synchronous', 'create'])]: hostile.value() }
              : {}),
          });
    const names = Object.keys(index).filter((name) => typeof index[name] === 'function');
    const name = dice.pick(names);
    const makes = {
      DatabaseManager: () => [config()],
      SqliteConnection: () => [config()],
      createConnection: () => [config()],
      validateConfig: () => [config()],
      DatabaseMigrator: () => [
        dice.chance(0.5) ? hostile.value() : new SqliteConnection({ path: ':memory:' }),
        dice.chance(0.5) ? hostile.value() : { migrations: [hostile.value()] },
      ],
      DatabaseError: () => ['message', { code: 'DB_X', operation: 'x', cause: hostile.value() }],
    };
    const isClass = /^[A-Z]/.test(name);
    const holder = { [name]: (...args) => (isClass ? new index[name](...args) : index[name](...args)) };
    return this.#call(
      'index',
      holder,
      name,
      () => ({ args: (makes[name] ?? (() => hostile.list(3)))() }),
      (value) => {
        // Some are closed, some forgotten.
        if (value instanceof SqliteConnection && dice.chance(0.7)) value.close();
        if (value instanceof DatabaseManager && dice.chance(0.3))
          this.#call('other manager', value, 'connect', { args: [] }, () => value.disconnect());
      },
    );
  }

  #onMigrator() {
    const { dice, hostile } = this;
    if (!this.migrator || dice.chance(0.2)) {
      const connection = new SqliteConnection({
        path: dice.pick([':memory:', this.#wildFile()]),
        timeout: 1000,
      });
      const step = () =>
        dice.pick([
          () => 'CREATE TABLE IF NOT EXISTS m(x)',
          () => dice.pick(['COMMIT', 'BEGIN', 'SELECT', 'DROP TABLE m', hostile.text()]),
          () => () => hostile.trap(undefined)(),
          () => async () => {
            await pause(dice.below(2));
            hostile.trap(undefined)();
          },
          () => (given) => given.close(),
          () => (given) => given.run('INSERT INTO m VALUES (?)', [hostile.value()]),
        ])();
      const migrations = [2, 3, 4].map((version) => ({
        version,
        description: 'step',
        up: step(),
        down: dice.chance(0.7) ? step() : undefined,
      }));
      this.migrator = new DatabaseMigrator(connection, { migrations });
    }
    const name = dice.pick(membersOf(this.migrator));
    const args = {
      rollback: () => [dice.chance(0.5) ? dice.below(4) : hostile.value()],
      recordMigration: () => [hostile.value(), hostile.value()],
    };
    return this.#call('DatabaseMigrator', this.migrator, name, () => ({
      args: (args[name] ?? (() => hostile.list(2)))(),
    }));
  }

  // --- one call -------------------------------------------------------------------------------

  /**
   * Makes a call and judges what comes of it.
   *
   * @param {string} type
   * @param {any} object
   * @param {string | symbol} name
   * @param {any} rule its arguments and effect, or what makes them
   * @param {(value: any, made: any) => void} [onValue] hears what it returned, or resolved to
   * @returns {Promise<void>} fulfilled when it has settled
   */
  #call(type, object, name, rule, onValue) {
    const { hostile } = this;
    const before = hostile.engineThrows;
    // Node's own methods refuse a listener in Node's own way; a caller's class is not to be called.
    const isNodes = EVENT_METHODS.includes(name) || type === 'TransactionFunction';
    hostile.engineThrows = false;
    const made = typeof rule === 'function' ? rule() : rule;
    const label = `${type}.${shown(name)}`;
    this.calls += 1;
    this.called.set(label, (this.called.get(label) ?? 0) + 1);
    this.lastSql = made.args[0];
    if (made.isRare && this.dice.chance(0.9)) return Promise.resolve();
    const keys = made.keys ?? [];
    for (const key of keys) this.inUse.add(key);
    const scope = this.#scopes.getStore();
    const begun = performance.now();
    if (made.scoped) made.scoped.scopes.push([]);
    let result;
    let thrown;
    try {
      result = isGetterOf(object, name) ? object[name] : object[name](...made.args);
    } catch (error) {
      thrown = { error };
    }
    const inner = made.scoped?.scopes.pop();
    const throwsNatively = isNodes || hostile.engineThrows;
    hostile.engineThrows = before;
    const took = performance.now() - begun;
    if (took > LONGEST_SYNC_MS) this.fault(`${label} kept the loop for ${Math.round(took)} ms`);
    if (thrown) {
      for (const key of keys) this.inUse.delete(key);
      this.judge(thrown.error, label, throwsNatively);
      return Promise.resolve();
    }
    if (made.scoped) for (const effect of inner) this.#applyRows(made.scoped, effect);
    if (made.rows && !(result instanceof Promise)) this.#applyRows(made.rows, made.effect);
    if (!(result instanceof Promise)) {
      this.outcomes.resolved += 1;
      if (made.isIteration) return this.#follow(label, this.#consumeAsync(result), made, keys, scope, throwsNatively);
      onValue?.(result, made);
      return Promise.resolve();
    }
    return this.#follow(label, result, made, keys, scope, throwsNatively, onValue);
  }

  #applyRows(owner, effect) {
    const outer = owner.scopes.at(-1);
    if (outer) outer.push(effect);
    else effect(this.rows);
  }

  /** Waits for a promise with a deadline, and applies what it has done. */
  #follow(label, promise, made, keys, scope, throwsNatively, onValue) {
    const settled = promise.then(
      (value) => {
        this.outcomes.resolved += 1;
        onValue?.(value, made);
        this.#applied(label, made, value, keys, scope, throwsNatively);
      },
      (error) => {
        this.judge(error, label, throwsNatively || made.isIteration);
        this.#release(keys, undefined);
        this.#release(made.scope?.keys ?? [], undefined);
      },
    );
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => {
        this.fault(`${label} does not settle`);
        resolve(undefined);
      }, this.deadline);
    });
    const watched = Promise.race([settled, late]).finally(() => {
      clearTimeout(timer);
      this.#pending.delete(watched);
    });
    this.#pending.add(watched);
    return settled;
  }

  #applied(label, made, value, keys, scope, throwsNatively) {
    const apply = made.effect && ((model) => this.#attempt(label, () => made.effect(model, value, throwsNatively)));
    if (scope) {
      if (apply) scope.effects.push(apply);
      this.#release([...keys, ...(made.scope?.keys ?? [])], scope);
      return;
    }
    apply?.(this.expected);
    this.#release([...keys, ...(made.scope?.keys ?? [])], undefined);
  }

  /** Lets go of keys: those of a transaction when it has ended. */
  #release(keys, scope) {
    if (scope) scope.keys.push(...keys);
    else for (const key of keys) this.inUse.delete(key);
  }

  #attempt(label, work) {
    try {
      work();
    } catch (error) {
      this.fault(`${label}: ${error.stack}`);
    }
  }

  /**
   * Judges an error: it is the hostile value's own, or has a code that the contract knows.
   *
   * @param {any} error
   * @param {string} label
   * @param {boolean} [throwsNatively] whether the engine itself throws at the arguments
   */
  judge(error, label, throwsNatively = false) {
    if (this.planted.has(error)) {
      this.outcomes.planted += 1;
    } else if (error instanceof DatabaseError) {
      this.outcomes.refused += 1;
      const isTyped =
        typeof error.operation === 'string' && typeof error.retryable === 'boolean' && error.message !== '';
      if (!CODES.has(error.code) || error.code === 'DB_INTERNAL' || !isTyped)
        this.fault(`${label}: ${error.code}: ${error.stack}`);
    } else {
      const isNative = error instanceof TypeError || error instanceof RangeError;
      this.outcomes.native += 1;
      const isTold = isNative && (typeof error.code === 'string' || throwsNatively);
      if (!isTold) this.fault(`${label}: no code: ${error?.stack ?? show(error)}`);
    }
  }

  // --- inside ---------------------------------------------------------------------------------

  transactionRule(options) {
    const scope = { effects: [], keys: [] };
    const run = () => this.#scopes.run(scope, () => this.#body());
    return {
      args: [this.dice.chance(0.08) ? this.hostile.value() : run, ...options()],
      scope,
      effect: (model) => {
        for (const effect of scope.effects) effect(model);
      },
    };
  }

  async #body() {
    const { dice, hostile } = this;
    for (let left = dice.below(5); left > 0; left -= 1) {
      const settled = dice.chance(0.8) ? this.#onManager() : this.playOne();
      if (dice.chance(0.8)) await settled;
      if (dice.chance(0.05)) await pause(dice.below(3));
    }
    if (dice.chance(0.25)) hostile.explode();
    if (dice.chance(0.9)) return undefined;
    // Inside a list: the last look at a value's own `then` comes when the promise is resolved with it,
    // behind the commit, and a getter that throws only then is nobody's rollback. Others are honest.
    if (dice.chance(0.3)) return hostile.thenable();
    return [hostile.value()];
  }

  /** The function of a synchronous transaction. */
  syncBody(target) {
    return () => {
      const { dice } = this;
      this.#depth += 1;
      try {
        for (let left = dice.below(4); left > 0 && this.#depth <= MAX_DEPTH; left -= 1)
          this.#onObject(dice.chance(0.7) ? target : this.#pickObject(target.isWild));
        if (dice.chance(0.25)) this.hostile.explode();
        return dice.chance(0.1) ? this.hostile.value() : 1;
      } finally {
        this.#depth -= 1;
      }
    };
  }

  async #consumeAsync(records) {
    const { dice, hostile } = this;
    if (dice.chance(0.1)) return records[dice.pick(['return', 'next'])](hostile.value());
    let count = 0;
    for await (const _ of records) {
      count += 1;
      if (dice.chance(0.05)) this.act();
      if (dice.chance(0.02)) hostile.explode();
      if (count > 60 || dice.chance(0.05)) break;
    }
    return undefined;
  }

  // --- looking at it --------------------------------------------------------------------------

  async #some() {
    await Promise.race([...this.#pending, pause(20)]);
  }

  /** Waits until nothing is under way, and compares the files with what was acknowledged. */
  async #barrier() {
    while (this.#pending.size > 0 && this.faults.length === 0)
      await Promise.race([Promise.allSettled([...this.#pending]), pause(100)]);
    if (this.faults.length > 0) return;
    await this.db.connect();
    await this.#idle();
    await this.#compare('after some calls');
    await this.#quietWork();
  }

  /** The function of a transaction whose call was aborted may still run. */
  async #idle() {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.db.transaction(() => {});
      } catch (error) {
        if (error.code !== 'DB_BUSY' || attempt > 500) throw error;
        await pause(20);
      }
    }
  }

  async #compare(when) {
    for (const problem of await this.expected.differences(this.db)) this.fault(`${when}: ${problem}`);
    for (const problem of compareRows(this.rowsFile, this.rows)) this.fault(`${when}: ${problem}`);
  }

  /** Now and then, work that changes everything, or nothing. */
  async #quietWork() {
    const work = this.dice.pick(quietWorks(this));
    try {
      await work();
    } catch (error) {
      this.fault(`quiet work: ${error.stack}`);
    }
    await this.#compare(`after ${work}`.slice(0, 200));
  }
}

function isOpen(connection) {
  return connection.getDatabase().open;
}

module.exports = { Play };
