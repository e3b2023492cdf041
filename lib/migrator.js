// @ts-check
'use strict';

const { SqliteConnection, handleOf } = require('./connection.js');
const { DatabaseError, invalidArgument, kindOf } = require('./error.js');
const native = require('./native.js');
const { readFields } = require('./record.js');

/**
 * Owns the public `DatabaseMigrator`: the way through migrations whose steps may be asynchronous.
 *
 * Which versions are pending, what a step's transaction is and what ends it are Rust's; between
 * taking the lock and ending the step there is only the caller's own SQL or function.
 *
 * @typedef {import('../index').Migration} Migration
 * @typedef {import('../index').MigrationInfo} MigrationInfo
 */

/** Runs of one connection's migrators wait for each other. @type {WeakMap<InstanceType<typeof SqliteConnection>, Promise<unknown>>} */
const running = new WeakMap();

class DatabaseMigrator {
  #connection;
  #handle;
  /** @type {Migration[]} */
  #migrations;
  /** @type {number[]} */
  #versions;

  /**
   * @param {InstanceType<typeof SqliteConnection>} connection
   * @param {{ migrations?: readonly Migration[] }} [options]
   */
  constructor(connection, options) {
    if (!(connection instanceof SqliteConnection)) {
      throw invalidArgument('DatabaseMigrator', 'connection', `must be a SqliteConnection, not ${kindOf(connection)}`);
    }
    this.#connection = connection;
    this.#handle = handleOf(connection);
    const [migrations] = readFields('DatabaseMigrator', 'options', options ?? {}, ['migrations']);
    this.#migrations = completeList(readMigrations(migrations ?? []));
    this.#versions = this.#migrations.map(({ version }) => version);
    native.checkMigrationVersions(this.#versions);
  }

  async getCurrentVersion() {
    return this.#handle.schemaVersion('getCurrentVersion');
  }

  getTargetVersion() {
    return this.#versions.at(-1) ?? 0;
  }

  async needsMigration() {
    return this.#pending('needsMigration').length > 0;
  }

  async history() {
    return this.#handle.migrationHistory();
  }

  async plan() {
    return this.#pending('plan').map(describe);
  }

  async createMigrationTable() {
    this.#handle.createMigrationTable();
  }

  async createInitialSchema() {
    this.#handle.createInitialSchema();
  }

  /**
   * @param {number} version
   * @param {string} description
   */
  async recordMigration(version, description) {
    this.#handle.recordMigration(version, description);
  }

  migrate() {
    return this.#alone(async () => {
      /** @type {MigrationInfo[]} */
      const applied = [];
      // Looking before locking lets every start but the first go without the write lock.
      while (this.#pending('migrate').length > 0) {
        await this.#locked('migrate', true, async () => {
          const [next] = this.#pending('migrate');
          if (next) applied.push(await this.#apply('migrate', next));
        });
      }
      return applied;
    });
  }

  dryRun() {
    return this.#alone(async () => {
      /** @type {MigrationInfo[]} */
      const applied = [];
      await this.#locked('dryRun', false, async () => {
        for (const migration of this.#pending('dryRun')) applied.push(await this.#apply('dryRun', migration));
      });
      return applied;
    });
  }

  /** @param {number} toVersion */
  rollback(toVersion) {
    return this.#alone(async () => {
      if (typeof toVersion !== 'number') {
        throw invalidArgument('rollback', 'toVersion', `must be a number, not ${kindOf(toVersion)}`);
      }
      this.#handle.checkRollback(toVersion);
      for (const version of this.#handle.appliedVersions('rollback')) {
        if (version > toVersion) this.#requireDown(version);
      }
      /** @type {MigrationInfo[]} */
      const undone = [];
      while (this.#handle.schemaVersion('rollback') > toVersion) {
        await this.#locked('rollback', true, async () => {
          const version = this.#handle.schemaVersion('rollback');
          if (version <= toVersion) return;
          const { migration, down } = this.#requireDown(version);
          await this.#step('rollback', migration, async () => {
            await this.#run(migration, down, false);
            this.#handle.undoMigration(version);
          });
          undone.push(describe(migration));
        });
      }
      return undone;
    });
  }

  /** @param {string} operation the public method */
  #pending(operation) {
    const pending = new Set(this.#handle.pendingMigrations(operation, this.#versions));
    return this.#migrations.filter(({ version }) => pending.has(version));
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #alone(work) {
    const before = running.get(this.#connection) ?? Promise.resolve();
    const outcome = before.then(work, work);
    running.set(
      this.#connection,
      outcome.catch(() => {}),
    );
    return outcome;
  }

  /**
   * Runs `work` under the write lock, in one transaction.
   *
   * @param {string} operation the public method
   * @param {boolean} keep whether what it does is kept
   * @param {() => Promise<void>} work
   */
  async #locked(operation, keep, work) {
    const foreignKeys = this.#handle.beginMigration(operation);
    try {
      await work();
    } catch (error) {
      // The step may have closed the connection, which rolled back.
      if (this.#handle.isOpen) this.#handle.endMigration(operation, false, foreignKeys);
      throw error;
    }
    this.#handle.endMigration(operation, keep, foreignKeys);
  }

  /**
   * @param {string} operation the public method
   * @param {Migration} migration
   */
  async #apply(operation, migration) {
    await this.#step(operation, migration, async () => {
      await this.#run(migration, migration.up, true);
      this.#handle.finishMigration(migration.version, migration.description);
    });
    return describe(migration);
  }

  /**
   * @param {string} operation
   * @param {Migration} migration
   * @param {() => Promise<void>} work
   */
  async #step(operation, { version, description }, work) {
    try {
      await work();
    } catch (cause) {
      const reason = cause instanceof DatabaseError ? cause.message : 'its own function failed, see the cause';
      const { errno, retryable } = /** @type {{ errno?: number, retryable?: boolean }} */ (
        cause instanceof DatabaseError ? cause : {}
      );
      throw new DatabaseError(
        `${operation}: migration ${version} (${description}) failed and was rolled back: ${reason}; ` +
          'the database is as it was before this step',
        { code: 'DB_MIGRATION_FAILED', operation, errno, retryable, cause },
      );
    }
  }

  /**
   * @param {Migration} migration
   * @param {NonNullable<Migration['down']>} step
   * @param {boolean} isUp
   */
  async #run(migration, step, isUp) {
    if (step === LEDGER_STEP) {
      this.#handle.runLedgerStep(migration.version, isUp);
    } else if (typeof step === 'string') {
      this.#handle.exec(step);
    } else {
      await step(/** @type {any} */ (this.#connection));
    }
  }

  /** @param {number} version */
  #requireDown(version) {
    const migration = this.#migrations.find((candidate) => candidate.version === version);
    if (!migration?.down) {
      const problem = migration ? 'has no way back' : 'of the file is not in the list';
      throw new DatabaseError(
        `rollback: the migrations are out of order: version ${version} ${problem}; nothing was changed`,
        {
          code: 'DB_MIGRATION_ORDER',
          operation: 'rollback',
        },
      );
    }
    return { migration, down: migration.down };
  }
}

/** Stands for a step that is Rust's own. */
function LEDGER_STEP() {}

/**
 * Puts the ledger's own migrations in front, unless the list begins at or before them.
 *
 * @param {Migration[]} given
 */
function completeList(given) {
  const own = native
    .ledgerMigrations()
    .map(({ version, description }) => ({ version, description, up: LEDGER_STEP, down: LEDGER_STEP }));
  return (given[0]?.version ?? Number.POSITIVE_INFINITY) > native.SCHEMA_VERSION ? [...own, ...given] : given;
}

/**
 * Reads a list of migrations, now: what the caller does to it later changes nothing.
 *
 * @param {unknown} migrations
 * @returns {Migration[]}
 */
function readMigrations(migrations) {
  /**
   * @param {string} field
   * @param {string} expected
   * @param {unknown} value
   */
  const refuse = (field, expected, value) =>
    invalidArgument('DatabaseMigrator', field, `must be ${expected}, not ${kindOf(value)}`);
  /** @param {unknown} step */
  const isStep = (step) => typeof step === 'string' || typeof step === 'function';
  if (!Array.isArray(migrations)) throw refuse('migrations', 'an array', migrations);
  // Array.from, which finds holes: map would pass over them.
  return Array.from(migrations, (migration, index) => {
    const name = `migrations[${index}]`;
    const [version, description, up, down] = readFields('DatabaseMigrator', name, migration, MIGRATION_FIELDS);
    if (typeof version !== 'number') throw refuse(`${name}.version`, 'a number', version);
    if (typeof description !== 'string') throw refuse(`${name}.description`, 'a string', description);
    if (!isStep(up)) throw refuse(`${name}.up`, 'SQL text or a function', up);
    if (down !== undefined && down !== null && !isStep(down))
      throw refuse(`${name}.down`, 'SQL text or a function', down);
    return /** @type {Migration} */ ({ version, description, up, down });
  });
}

const MIGRATION_FIELDS = ['version', 'description', 'up', 'down'];

/** @param {Migration} migration */
function describe({ version, description }) {
  return { version, description };
}

module.exports = { DatabaseMigrator };
