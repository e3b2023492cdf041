// @ts-check
'use strict';

const { invalidArgument, kindOf } = require('./error.js');

/**
 * Owns taking records apart: each list names a record's fields in the order in which the addon's
 * method takes them. What a field may hold is for Rust to say.
 */

const CHANGES = [
  'chat_id',
  'chat_name',
  'start_time',
  'last_update',
  'total_files',
  'processed_files',
  'success_count',
  'error_count',
  'duplicate_count',
  'status',
  'last_processed_file',
];

const FIELDS = {
  newSession: [...CHANGES, 'id', 'created_at'],
  sessionChanges: CHANGES,
  sessionDeltas: ['total_files', 'processed_files', 'success_count', 'error_count', 'duplicate_count'],
  newFileHash: [
    'hash',
    'file_path',
    'file_name',
    'file_size',
    'mime_type',
    'upload_service',
    'upload_id',
    'chat_id',
    'uploaded_at',
  ],
  newUploadError: ['session_id', 'file_path', 'error_type', 'error_message', 'retry_count'],
  sessionUpdate: ['id', 'changes'],
  addOptions: ['onConflict', 'signal'],
  restoreOptions: ['onProgress', 'signal'],
  backupOptions: ['onProgress', 'overwrite', 'signal'],
};

/**
 * Reads a record's fields, now: what the caller does to the record later changes nothing.
 *
 * @param {string} operation the public method
 * @param {string} name the parameter
 * @param {unknown} record
 * @param {readonly string[]} fields
 * @returns {unknown[]} the values, in the order of `fields`
 */
function readFields(operation, name, record, fields) {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw invalidArgument(operation, name, `must be an object, not ${kindOf(record)}`);
  }
  for (const key of Object.keys(record)) {
    if (!fields.includes(key)) {
      throw invalidArgument(
        operation,
        `${name}.${key}`,
        `is not a field that can be given; known are ${fields.join(', ')}`,
      );
    }
  }
  const values = /** @type {Record<string, unknown>} */ (record);
  return fields.map((field) => values[field]);
}

module.exports = { FIELDS, readFields };
