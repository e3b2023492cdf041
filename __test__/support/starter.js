'use strict';

/** A process that brings files to the newest schema, each when it is told to. */

const { DatabaseManager, DatabaseMigrator, createConnection } = require('../../index.js');

async function migrate(file, way) {
  if (way === 'manager') {
    const db = new DatabaseManager({ path: file });
    await db.connect();
    await db.initializeSchema();
    const version = await db.getSchemaVersion();
    await db.disconnect();
    return version;
  }
  const connection = createConnection({ path: file });
  const migrator = new DatabaseMigrator(connection);
  await migrator.migrate();
  const version = await migrator.getCurrentVersion();
  connection.close();
  return version;
}

process.on('message', ({ file, way }) => {
  migrate(file, way).then(
    (version) => process.send({ version }),
    (error) => process.send({ error: `${error.code}: ${error.message}` }),
  );
});
process.send('ready');
