'use strict';

/**
 * Owns the arguments of the synchronous classes' methods. On the tracked connection every row has a key
 * of its own, so that what was refused can be told from what was done; the wild one gets any SQL.
 */

const { types } = require('node:util');
const { ANY } = require('./expected.js');

const INSERT = 'INSERT INTO t VALUES (?, ?)';
const INSERT_NAMED = 'INSERT INTO t VALUES (:k, $v)';
const SELECT = 'SELECT k, v FROM t WHERE k > ? ORDER BY k LIMIT 40';
const SELECT_ALL = 'SELECT * FROM t';

const WILD_SQL = [
  ...['BEGIN', 'BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a', 'END', 'VACUUM'],
  ...[
    'CREATE TABLE IF NOT EXISTS w(a, b UNIQUE)',
    'DROP TABLE IF EXISTS w',
    'ALTER TABLE w ADD COLUMN c',
    'DELETE FROM w',
  ],
  ...[
    'INSERT INTO w(a, b) VALUES (?, ?)',
    'INSERT OR REPLACE INTO w(a, b) VALUES (:a, @b) RETURNING a',
    'SELECT * FROM w',
  ],
  ...['WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i < 3000) SELECT i, i*2 FROM n'],
  ...[
    'SELECT ?1, ?3',
    'SELECT $a, :a, @a',
    'SELECT 1; SELECT 2',
    'SELECT',
    '-- only a comment',
    ';;',
    'EXPLAIN SELECT 1',
  ],
  ...['PRAGMA writable_schema=1', 'PRAGMA journal_mode=DELETE', 'PRAGMA user_version=7', 'PRAGMA integrity_check'],
  ...["ATTACH ':memory:' AS other", 'DETACH other', "SELECT load_extension('x')", "SELECT json_extract('{', '$')"],
  ...[
    'SELECT zeroblob(3000000000)',
    'SELECT abs(-9223372036854775808)',
    "SELECT CAST(x'ff' AS TEXT)",
    'SELECT 9223372036854775807',
  ],
  ...[
    'UPDATE sqlite_schema SET sql = NULL',
    'CREATE TRIGGER IF NOT EXISTS g AFTER INSERT ON w BEGIN SELECT RAISE(ROLLBACK, 1); END',
  ],
  ...[
    'REINDEX',
    'ANALYZE',
    'PRAGMA wal_checkpoint(TRUNCATE)',
    'PRAGMA page_size=1024',
    'PRAGMA locking_mode=NORMAL',
    'SELECT 1 AS __proto__, 2 AS constructor',
  ],
];

/** What a stored value reads back as, where that is simple. */
function stored(value) {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return null;
  return ANY;
}

/** Says whether a value is an array, also of one at which `Array.isArray` throws: a revoked proxy. */
const isArray = (value) => !types.isProxy(value) && Array.isArray(value);

/**
 * @param {import('./play.js').Play} play
 */
function syncRules(play) {
  const { dice, hostile } = play;
  const odd = (value, probability = 0.06) => (dice.chance(probability) ? hostile.value() : value);
  const row = () => ({ k: play.unique(), v: dice.chance(0.6) ? hostile.primitive() : hostile.value() });
  const put = (owner, { k, v }) => ({ rows: owner, effect: (rows) => rows.set(k, stored(v)) });

  /** Parameters of a statement of a kind, and what running it does. */
  const runKind = (owner, kind) => {
    const one = row();
    if (kind === INSERT) return { params: [one.k, one.v], ...put(owner, one) };
    if (kind === INSERT_NAMED) return { params: hostile.shell(one), ...put(owner, one) };
    if (kind === SELECT) return { params: [odd(dice.below(1000), 0.2)] };
    if (kind === SELECT_ALL) return { params: odd(undefined, 0.1) };
    return {
      params: dice.pick([
        () => undefined,
        () => hostile.list(3),
        () => hostile.value(),
        () => hostile.shell({ a: 1, b: 2 }),
      ])(),
    };
  };
  const sqlOf = (isWild) =>
    isWild ? odd(dice.pick(WILD_SQL), 0.1) : dice.pick([INSERT, INSERT_NAMED, SELECT, SELECT_ALL]);
  const bySql = ({ owner, isWild }) => {
    const sql = sqlOf(isWild);
    const { params, ...rest } = runKind(owner, sql);
    // What was made for a statement must not run with another text.
    return { args: [sql, params], ...(isWild ? {} : rest) };
  };
  const byKind = ({ owner, kind, isWild }) => {
    const { params, ...rest } = runKind(owner, kind);
    return { args: [params], ...(isWild ? {} : rest) };
  };
  const spread = (target) => {
    const call = byKind(target);
    if (target.bound) return { ...put(target.owner, target.bound), args: dice.chance(0.1) ? [hostile.value()] : [] };
    return { ...call, args: isArray(call.args[0]) && dice.chance(0.7) ? call.args[0] : call.args };
  };
  const exec = ({ owner, isWild }) => {
    if (isWild || dice.chance(0.1)) return { args: [isWild ? odd(dice.pick(WILD_SQL)) : hostile.value()] };
    const k = play.unique();
    return { args: [`INSERT INTO t VALUES (${k}, 1); SELECT 1`], ...put(owner, { k, v: 1 }) };
  };
  const pragma = ({ isWild }) => {
    const source = dice.pick(
      isWild ? ['user_version', 'journal_mode', 'table_info(w)', 'writable_schema'] : ['user_version', 'table_info(t)'],
    );
    return { args: [odd(source, 0.2), odd({ simple: odd(true) }, 0.2)] };
  };
  const prepare = ({ isWild }) => ({ args: [odd(sqlOf(isWild), 0.05)], keeps: true });
  const toggle = () => ({ args: [odd(dice.chance(0.5), 0.2)] });
  const transaction = (target) => ({
    args: [dice.chance(0.1) ? hostile.value() : play.syncBody(target)],
    scoped: target.isWild ? undefined : target.owner,
  });

  return {
    SqliteConnection: {
      run: bySql,
      get: bySql,
      all: bySql,
      iterate: bySql,
      exec,
      pragma,
      prepare,
      transaction,
      close: () => ({ args: [], isRare: true }),
      getDatabase: () => ({ args: [] }),
    },
    PreparedStatement: {
      run: byKind,
      get: byKind,
      all: byKind,
      iterate: byKind,
      runMany: ({ owner, kind, isWild }) => {
        if (isWild || kind !== INSERT || dice.chance(0.2)) {
          const value = hostile.value();
          // A map gives pairs, and each is a row of two.
          const pairs = types.isMap(value) ? [...value] : [];
          const effect = (model) => {
            for (const [k, v] of pairs) model.set(k, stored(v));
          };
          return { args: [value], ...(isWild ? {} : { rows: owner, effect }) };
        }
        const rows = Array.from({ length: dice.chance(0.03) ? 300 : dice.below(4) }, row);
        return {
          args: [rows.map(({ k, v }) => [k, v])],
          rows: owner,
          effect: (model) => {
            for (const { k, v } of rows) model.set(k, stored(v));
          },
        };
      },
    },
    Database: {
      exec,
      pragma,
      prepare,
      defaultSafeIntegers: toggle,
      transaction: (target) => ({ ...transaction(target), keeps: true }),
      close: () => ({ args: [], isRare: true }),
    },
    Statement: {
      run: spread,
      get: spread,
      all: spread,
      iterate: spread,
      bind: (target) => {
        const one = row();
        if (target.isWild) return { args: [hostile.value(), hostile.value(), hostile.value()] };
        if (target.kind !== INSERT || dice.chance(0.9)) {
          // Never two, which would be a row that nobody knows of: arrays among them count as what they hold.
          const args = [hostile.primitive(), hostile.primitive(), hostile.primitive()];
          args.splice(dice.below(4), 0, hostile.value());
          return { args };
        }
        return { args: [one.k, one.v], after: () => { target.bound = one; } }; // biome-ignore format: one rule
      },
      pluck: toggle,
      raw: toggle,
      expand: toggle,
      safeIntegers: toggle,
      columns: () => ({ args: [] }),
    },
  };
}

module.exports = { syncRules };
