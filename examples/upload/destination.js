// @ts-check
'use strict';

const { createHash } = require('node:crypto');
const { mkdir, open, readdir, rename, rm, stat } = require('node:fs/promises');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { DestinationError, ServiceError } = require('./failure.js');

/**
 * Owns the destination folder, which stands for Google: it takes time, and fails, as asked.
 *
 * A file is named by its content, so to upload it again, because a crash came between the upload
 * and its record, makes no second file.
 *
 * @typedef {{ failRate: number, delayMs: number }} Manners
 */

const FINISHED = /^[0-9a-f]{64}(\.[a-z0-9]+)?$/;
const UNFINISHED = /^[0-9a-f]{64}(\.[a-z0-9]+)?\.part$/;
const EXTENSION = /^\.[a-z0-9]{1,8}$/;

const FAILURES = [
  { message: 'The service is unavailable (503)', reason: 'backendError' },
  { message: 'The connection was reset', reason: 'ECONNRESET' },
  { message: 'The service did not answer in time', reason: 'ETIMEDOUT' },
];

class Destination {
  #folder;
  #random;
  #manners;

  /**
   * @param {string} folder
   * @param {import('./random.js').Random} random
   * @param {Manners} manners
   */
  constructor(folder, random, manners) {
    this.#folder = folder;
    this.#random = random;
    this.#manners = manners;
  }

  /** Makes the folder, and removes what a killed run has left half-written. */
  async open() {
    await fromDestination(mkdir(this.#folder, { recursive: true }));
    const names = await fromDestination(readdir(this.#folder));
    for (const name of names.filter((candidate) => UNFINISHED.test(candidate))) {
      await rm(path.join(this.#folder, name), { force: true });
    }
  }

  /**
   * Uploads a file and returns the id that it has there.
   *
   * @param {string} file
   * @param {{ hash: string, size: number }} content
   * @param {AbortSignal} signal
   */
  async upload(file, { hash, size }, signal) {
    const extension = path.extname(file).toLowerCase();
    const id = EXTENSION.test(extension) ? `${hash}${extension}` : hash;
    if (await this.#holds(id, size)) return id;
    await sleep(this.#manners.delayMs, undefined, { signal });
    if (this.#random.fraction() < this.#manners.failRate) {
      const { message, reason } = this.#random.pick(FAILURES);
      throw new ServiceError(message, reason);
    }
    await this.#copy(file, id, hash, signal);
    return id;
  }

  /** Counts the uploaded files that are really there. */
  async count() {
    const names = await fromDestination(readdir(this.#folder));
    return names.filter((name) => FINISHED.test(name)).length;
  }

  /**
   * @param {string} id
   * @param {number} size
   */
  async #holds(id, size) {
    const found = await stat(path.join(this.#folder, id)).catch(() => undefined);
    return found?.size === size;
  }

  /**
   * Copies under a temporary name first: a finished name never stands for half a file.
   *
   * @param {string} file
   * @param {string} id
   * @param {string} hash
   * @param {AbortSignal} signal
   */
  async #copy(file, id, hash, signal) {
    const target = path.join(this.#folder, id);
    const part = `${target}.part`;
    try {
      if ((await this.#copyBytes(file, part, signal)) !== hash) {
        throw new ServiceError('The file changed while it was uploaded', 'fileChanged');
      }
      await fromDestination(rename(part, target));
    } catch (error) {
      await rm(part, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /**
   * @param {string} file
   * @param {string} part
   * @param {AbortSignal} signal
   * @returns {Promise<string>} the hash of what was copied
   */
  async #copyBytes(file, part, signal) {
    const digest = createHash('sha256');
    const source = await open(file);
    try {
      const target = await fromDestination(open(part, 'w'));
      try {
        for await (const chunk of source.createReadStream({ autoClose: false })) {
          signal.throwIfAborted();
          digest.update(chunk);
          await fromDestination(target.writeFile(chunk));
        }
      } finally {
        await target.close();
      }
    } finally {
      await source.close();
    }
    return digest.digest('hex');
  }
}

/**
 * Marks a failure as the destination's, not the file's.
 *
 * @template T
 * @param {Promise<T>} step
 * @returns {Promise<T>}
 */
function fromDestination(step) {
  return step.catch((error) => {
    throw new DestinationError(error);
  });
}

// Written by name, so that types can be imported too.
module.exports.Destination = Destination;
