// @ts-check
'use strict';

const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { DatabaseError } = require('../../index.js');
const { classifyFailure } = require('./failure.js');
const { hashFile, mimeTypeOf, serviceFor } = require('./media.js');

/**
 * Owns the run over one chat: which session it is, what becomes of each file, and how that is
 * recorded.
 *
 * All that a file changes in the ledger is one transaction. A process killed at any moment has
 * therefore recorded a file wholly or not at all, and the next run goes on behind the last one.
 *
 * @typedef {import('./media.js').Chat} Chat
 * @typedef {import('./media.js').MediaFile} MediaFile
 * @typedef {import('../../index').DatabaseManager} DatabaseManager
 * @typedef {import('../../index').UploadSession} UploadSession
 *
 * @typedef {'success_count' | 'duplicate_count' | 'error_count'} Counter
 * @typedef {{ counter: Counter, upload?: { hash: string, size: number, id: string } }} Outcome
 *
 * @typedef {object} Tools
 * @property {DatabaseManager} db
 * @property {import('./destination.js').Destination} destination
 * @property {import('./progress.js').Progress} progress
 * @property {import('./random.js').Random} random
 * @property {number} attempts how often a file is tried
 * @property {AbortSignal} signal
 */

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;

class Job {
  #tools;
  #remaining;
  /** @type {UploadSession} as the ledger has it */
  #session;
  /** @type {Map<string, number>} the errors that an earlier run of this session has logged, by file */
  #loggedErrors;
  /** @type {{ path: string, message: string }[]} */
  #givenUp = [];
  /** @type {unknown} */
  #failure;

  /**
   * @param {Tools} tools
   * @param {UploadSession} session
   * @param {MediaFile[]} remaining
   * @param {Map<string, number>} loggedErrors
   */
  constructor(tools, session, remaining, loggedErrors) {
    this.#tools = tools;
    this.#session = session;
    this.#remaining = remaining;
    this.#loggedErrors = loggedErrors;
  }

  /**
   * Makes a chat's job: it begins a session, or goes on with one behind the last file that it
   * counted.
   *
   * @param {Tools} tools
   * @param {import('./run.js').Run} run
   * @param {Chat} chat
   * @param {string} chatId
   */
  static async prepare(tools, run, chat, chatId) {
    const { db } = tools;
    const earlier = run.findSession(chatId);
    if (!earlier) {
      const id = await run.createSession(chatId, chat);
      return new Job(tools, await requireSession(db, id), chat.files, new Map());
    }
    const { id, last_processed_file: last, processed_files } = earlier;
    const remaining = last === undefined ? chat.files : chat.files.filter(({ name }) => name > last);
    await db.updateSession(id, { status: 'running', total_files: processed_files + remaining.length });
    const loggedErrors = new Map((await db.getErrors(id)).map((error) => [error.file_path, error.id]));
    return new Job(tools, await requireSession(db, id), remaining, loggedErrors);
  }

  get session() {
    return this.#session;
  }

  /** The files that were tried in vain. */
  get givenUp() {
    return this.#givenUp;
  }

  /** What cut the run over the chat short, if an error did. */
  get failure() {
    return this.#failure;
  }

  /** Handles the remaining files and ends the session as `completed`, `paused` or `failed`. */
  async run() {
    const { db, progress } = this.#tools;
    const { id } = this.#session;
    progress.start(this.#session);
    let status;
    try {
      status = await this.#handleAll();
    } finally {
      progress.stop();
    }
    await db.updateSession(id, { status });
    this.#session = await requireSession(db, id);
    progress.report(this.#session);
  }

  /** @returns {Promise<UploadSession['status']>} what the session ends as */
  async #handleAll() {
    const { progress, signal } = this.#tools;
    try {
      for (const file of this.#remaining) {
        signal.throwIfAborted();
        await this.#record(file, await this.#handle(file));
        progress.update(this.#session);
      }
      return 'completed';
    } catch (error) {
      // A ledger that fails cannot take note of it: the session stays `running`, to be resumed.
      if (error instanceof DatabaseError) throw error;
      if (signal.aborted) return 'paused';
      this.#failure = error;
      return classifyFailure(error) === 'storage_full' ? 'paused' : 'failed';
    }
  }

  /**
   * Tries a file until it is done, or until there is no use in trying.
   *
   * @param {MediaFile} file
   * @returns {Promise<Outcome>}
   */
  async #handle(file) {
    const { attempts, db, random, signal } = this.#tools;
    let errorId = this.#loggedErrors.get(file.path);
    for (let attempt = 1; ; attempt += 1) {
      if (errorId !== undefined) await db.incrementRetryCount(errorId);
      try {
        return await this.#upload(file);
      } catch (error) {
        signal.throwIfAborted();
        const kind = classifyFailure(error);
        if (kind === 'unexpected' || kind === 'storage_full') throw error;
        const { message } = /** @type {Error} */ (error);
        errorId ??= await db.logError({
          session_id: this.#session.id,
          file_path: file.path,
          error_type: kind,
          error_message: message,
        });
        if (kind === 'permanent' || attempt >= attempts) {
          this.#givenUp.push({ path: file.path, message });
          return { counter: 'error_count' };
        }
        const longest = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
        await sleep(longest * (0.5 + random.fraction() / 2), undefined, { signal });
      }
    }
  }

  /**
   * @param {MediaFile} file
   * @returns {Promise<Outcome>}
   */
  async #upload(file) {
    const { db, destination, signal } = this.#tools;
    const content = await hashFile(file.path, signal);
    if (await db.isFileUploaded(content.hash)) return { counter: 'duplicate_count' };
    const id = await destination.upload(file.path, content, signal);
    return { counter: 'success_count', upload: { ...content, id } };
  }

  /**
   * @param {MediaFile} file
   * @param {Outcome} outcome
   */
  async #record(file, { counter, upload }) {
    const { db } = this.#tools;
    const { id, chat_id } = this.#session;
    await db.transaction(async () => {
      await db.incrementSession(id, { processed_files: 1, [counter]: 1 });
      await db.updateSession(id, { last_processed_file: file.name });
      if (!upload) return;
      const mimeType = mimeTypeOf(file.name);
      await db.addFileHash({
        hash: upload.hash,
        file_path: file.path,
        file_name: path.basename(file.path),
        file_size: upload.size,
        mime_type: mimeType,
        upload_service: serviceFor(mimeType),
        upload_id: upload.id,
        chat_id,
      });
    });
    this.#session = {
      ...this.#session,
      processed_files: this.#session.processed_files + 1,
      [counter]: this.#session[counter] + 1,
    };
  }
}

/**
 * @param {DatabaseManager} db
 * @param {string} id
 */
async function requireSession(db, id) {
  const session = await db.getSession(id);
  if (!session) throw new Error(`Session ${id} is no longer in the ledger`);
  return session;
}

// Written by name, so that types can be imported too.
module.exports.Job = Job;
