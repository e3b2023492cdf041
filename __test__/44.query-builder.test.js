'use strict';

/**
 * Query builders on the driver object: Kysely and Drizzle, each by its better-sqlite3 driver.
 *
 * Drizzle's entry loads the package better-sqlite3 even when it is given an open database. That
 * package is not installed here: its name gives an empty class in this process.
 */

const assert = require('node:assert/strict');
const Module = require('node:module');
const test = require('node:test');
const { createConnection } = require('../index.js');

const load = Module._load;
Module._load = function loadModule(request, ...rest) {
  return request === 'better-sqlite3' ? class NotInstalled {} : load.call(this, request, ...rest);
};
const { Kysely, SqliteDialect, sql } = require('kysely');
const { drizzle } = require('drizzle-orm/better-sqlite3');
const { eq, gt, sql: drizzleSql } = require('drizzle-orm');
const { blob, integer, sqliteTable, text } = require('drizzle-orm/sqlite-core');
Module._load = load;

function open(t) {
  const connection = createConnection({ path: ':memory:' });
  t.after(() => connection.close());
  return connection.getDatabase();
}

test('Kysely: a schema, rows written, read, joined, streamed, in transactions', async (t) => {
  const database = open(t);
  const db = new Kysely({ dialect: new SqliteDialect({ database }) });
  await db.schema
    .createTable('chat')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('file')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('chat_id', 'text', (column) => column.references('chat.id'))
    .addColumn('size', 'integer')
    .execute();
  await db
    .insertInto('chat')
    .values([
      { id: 'a', name: 'Größe 🎉' },
      { id: 'b', name: 'B' },
    ])
    .execute();
  const inserted = await db.insertInto('file').values({ chat_id: 'a', size: 7 }).executeTakeFirst();
  assert.equal(inserted.insertId, 1n);
  assert.deepEqual(await db.insertInto('file').values({ chat_id: 'b', size: null }).returningAll().execute(), [
    { id: 2, chat_id: 'b', size: null },
  ]);
  const updated = await db.updateTable('file').set({ size: 8 }).where('chat_id', '=', 'a').executeTakeFirst();
  assert.equal(updated.numUpdatedRows, 1n);
  const joined = db.selectFrom('file').innerJoin('chat', 'chat.id', 'file.chat_id').select(['name', 'size']);
  assert.deepEqual(await joined.orderBy('file.id').execute(), [
    { name: 'Größe 🎉', size: 8 },
    { name: 'B', size: null },
  ]);
  const streamed = [];
  for await (const row of joined.orderBy('file.id', 'desc').stream()) streamed.push(row.name);
  assert.deepEqual(streamed, ['B', 'Größe 🎉']);
  await db.transaction().execute((trx) => trx.insertInto('file').values({ chat_id: 'a', size: 9 }).execute());
  await assert.rejects(
    db.transaction().execute(async (trx) => {
      await trx.deleteFrom('file').execute();
      throw new Error('made up');
    }),
    { message: 'made up' },
  );
  assert.equal((await db.deleteFrom('file').where('size', '>', 8).executeTakeFirst()).numDeletedRows, 1n);
  assert.deepEqual((await sql`SELECT count(*) AS n FROM file`.execute(db)).rows, [{ n: 2 }]);
  await assert.rejects(db.insertInto('chat').values({ id: 'a', name: 'again' }).execute(), {
    code: 'SQLITE_CONSTRAINT_PRIMARYKEY',
  });
  await db.destroy();
  assert.equal(database.open, false);
});

const chats = sqliteTable('chat', { id: text('id').primaryKey(), name: text('name').notNull() });
const files = sqliteTable('file', {
  id: integer('id').primaryKey(),
  chatId: text('chat_id').references(() => chats.id),
  size: integer('size'),
  uploadedAt: integer('uploaded_at', { mode: 'timestamp_ms' }),
  thumbnail: blob('thumbnail', { mode: 'buffer' }),
});

test('Drizzle: a schema, rows written, read, joined, in transactions', (t) => {
  const db = drizzle(open(t), { schema: { chats, files } });
  db.run(drizzleSql`CREATE TABLE chat (id TEXT PRIMARY KEY, name TEXT NOT NULL)`);
  db.run(
    drizzleSql`CREATE TABLE file (id INTEGER PRIMARY KEY, chat_id REFERENCES chat(id), size, uploaded_at, thumbnail)`,
  );
  const uploadedAt = new Date('2026-01-31T12:00:00.000Z');
  const thumbnail = Buffer.from([1, 2]);
  db.insert(chats)
    .values([
      { id: 'a', name: 'Größe 🎉' },
      { id: 'b', name: 'B' },
    ])
    .run();
  assert.equal(db.insert(files).values({ chatId: 'a', size: 7, uploadedAt, thumbnail }).run().changes, 1);
  assert.deepEqual(db.insert(files).values({ chatId: 'b' }).returning({ id: files.id }).all(), [{ id: 2 }]);
  assert.deepEqual(db.select().from(files).where(eq(files.id, 1)).get(), {
    id: 1,
    chatId: 'a',
    size: 7,
    uploadedAt,
    thumbnail,
  });
  assert.equal(db.select().from(files).where(eq(files.id, 9)).get(), undefined);
  db.update(files).set({ size: 8 }).where(eq(files.chatId, 'a')).run();
  const joined = db.select().from(files).innerJoin(chats, eq(chats.id, files.chatId)).where(gt(files.size, 1)).all();
  assert.deepEqual(joined, [
    { file: { id: 1, chatId: 'a', size: 8, uploadedAt, thumbnail }, chat: { id: 'a', name: 'Größe 🎉' } },
  ]);
  const prepared = db
    .select({ name: chats.name })
    .from(chats)
    .where(eq(chats.id, drizzleSql.placeholder('id')))
    .prepare();
  assert.deepEqual([prepared.get({ id: 'a' }), prepared.all({ id: 'b' })], [{ name: 'Größe 🎉' }, [{ name: 'B' }]]);
  assert.deepEqual(db.query.chats.findMany({ columns: { id: true } }).sync(), [{ id: 'a' }, { id: 'b' }]);
  db.transaction((tx) => {
    tx.insert(files).values({ chatId: 'a', size: 9 }).run();
    assert.throws(
      () =>
        tx.transaction((nested) => {
          nested.delete(files).run();
          throw new Error('nested');
        }),
      { message: 'nested' },
    );
  });
  const failing = (tx) => {
    tx.delete(files).run();
    tx.rollback();
  };
  assert.throws(() => db.transaction(failing, { behavior: 'immediate' }));
  assert.deepEqual(db.get(drizzleSql`SELECT count(*) AS n FROM file`), { n: 3 });
  assert.deepEqual(db.values(drizzleSql`SELECT id, size FROM file ORDER BY id`), [
    [1, 8],
    [2, null],
    [3, 9],
  ]);
});
