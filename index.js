// @ts-check
'use strict';

/** Owns the package's names; types and documentation of each are in index.d.ts. */

const { DatabaseError } = require('./lib/error.js');
const native = require('./lib/native.js');

/** What is loaded when it is first asked for: most of the code, of which few programs use all. */
const parts = {
  get DatabaseManager() {
    return require('./lib/manager.js').DatabaseManager;
  },
  get SqliteConnection() {
    return require('./lib/connection.js').SqliteConnection;
  },
  get createConnection() {
    return require('./lib/connection.js').createConnection;
  },
  get DatabaseMigrator() {
    return require('./lib/migrator.js').DatabaseMigrator;
  },
};

/** @param {import('./index').DatabaseConfig} config */
function validateConfig(config) {
  return native.validateConfig(config, 'validateConfig');
}

const { path: _, ...defaults } = validateConfig({ path: ':memory:' });
const DEFAULT_CONFIG = Object.freeze(defaults);

// Written out name by name, and in just these forms, so that ES modules and bundlers find the names without
// running this.
Object.defineProperty(module.exports, 'DatabaseManager', {
  enumerable: true,
  get() {
    return parts.DatabaseManager;
  },
});
Object.defineProperty(module.exports, 'SqliteConnection', {
  enumerable: true,
  get() {
    return parts.SqliteConnection;
  },
});
Object.defineProperty(module.exports, 'createConnection', {
  enumerable: true,
  get() {
    return parts.createConnection;
  },
});
Object.defineProperty(module.exports, 'DatabaseMigrator', {
  enumerable: true,
  get() {
    return parts.DatabaseMigrator;
  },
});
module.exports.validateConfig = validateConfig;
module.exports.DatabaseError = DatabaseError;
module.exports.SCHEMA_VERSION = native.SCHEMA_VERSION;
module.exports.DEFAULT_CONFIG = DEFAULT_CONFIG;
