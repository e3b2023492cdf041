// Owns the package's names for ES modules: the same objects as for CommonJS.
import database from './index.js';

export const {
  DatabaseManager,
  SqliteConnection,
  createConnection,
  DatabaseMigrator,
  validateConfig,
  DatabaseError,
  SCHEMA_VERSION,
  DEFAULT_CONFIG,
} = database;
