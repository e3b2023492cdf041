// @ts-check
'use strict';

/** Owns the package's names; types and documentation of each are in index.d.ts. */

const { SqliteConnection, createConnection } = require('./lib/connection.js');
const { DatabaseError } = require('./lib/error.js');
const { DatabaseManager } = require('./lib/manager.js');
const { DatabaseMigrator } = require('./lib/migrator.js');
const native = require('./lib/native.js');

/** @param {import('./index').DatabaseConfig} config */
function validateConfig(config) {
  return native.validateConfig(config, 'validateConfig');
}

const { path: _, ...defaults } = validateConfig({ path: ':memory:' });
const DEFAULT_CONFIG = Object.freeze(defaults);

// Written out name by name, so that ES modules and bundlers find the names without running this.
module.exports.DatabaseManager = DatabaseManager;
module.exports.SqliteConnection = SqliteConnection;
module.exports.createConnection = createConnection;
module.exports.DatabaseMigrator = DatabaseMigrator;
module.exports.validateConfig = validateConfig;
module.exports.DatabaseError = DatabaseError;
module.exports.SCHEMA_VERSION = native.SCHEMA_VERSION;
module.exports.DEFAULT_CONFIG = DEFAULT_CONFIG;
