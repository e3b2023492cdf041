// @ts-check
'use strict';

/** Owns what can go wrong with a file, and what each kind of failure asks for. */

/** The service says no, or the line broke. */
class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {string} reason the service's word, or the network's code
   */
  constructor(message, reason) {
    super(message);
    this.name = 'ServiceError';
    this.reason = reason;
  }
}

/** The destination folder itself cannot be used. */
class DestinationError extends Error {
  /** @param {NodeJS.ErrnoException} cause */
  constructor(cause) {
    super(`The destination cannot be used: ${cause.message}`, { cause });
    this.name = 'DestinationError';
    this.code = cause.code;
  }
}

const TRANSIENT = new Set(['backendError', 'fileChanged', 'ECONNRESET', 'ETIMEDOUT', 'EAI_AGAIN', 'EMFILE', 'EBUSY']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);

/**
 * Says what kind of failure an error is: `transient` is tried again, `permanent` gives the file
 * up, `storage_full` pauses until the user makes room, `unexpected` ends the run over the chat.
 *
 * @param {any} error
 * @returns {'transient' | 'permanent' | 'storage_full' | 'unexpected'}
 */
function classifyFailure(error) {
  if (error instanceof DestinationError) return FULL.has(error.code ?? '') ? 'storage_full' : 'unexpected';
  if (TRANSIENT.has(error?.reason ?? error?.code)) return 'transient';
  // What the system says of the file to be read: missing, forbidden, a folder, a broken disk.
  return error?.syscall ? 'permanent' : 'unexpected';
}

module.exports = { DestinationError, ServiceError, classifyFailure };
