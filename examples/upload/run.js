// @ts-check
'use strict';

/**
 * Owns what one run over a media tree is, across processes: a run that was stopped or killed goes
 * on as the same run, so the chats that it has finished are not counted once more.
 *
 * Its sessions' ids are kept as a setting in the ledger until it has ended.
 *
 * @typedef {import('../../index').DatabaseManager} DatabaseManager
 * @typedef {import('../../index').UploadSession} UploadSession
 */

class Run {
  #db;
  #key;
  #sessionIds;
  #earlierSessions;

  /**
   * @param {DatabaseManager} db
   * @param {string} key
   * @param {string[]} sessionIds
   * @param {UploadSession[]} earlierSessions newest first
   */
  constructor(db, key, sessionIds, earlierSessions) {
    this.#db = db;
    this.#key = key;
    this.#sessionIds = sessionIds;
    this.#earlierSessions = earlierSessions;
  }

  /**
   * Goes on with the run over a tree that has not ended, or begins one.
   *
   * @param {DatabaseManager} db
   * @param {string} tree
   */
  static async open(db, tree) {
    const key = `upload run: ${tree}`;
    const sessionIds = (await db.getConfig(key)) ?? [];
    return new Run(db, key, /** @type {string[]} */ (sessionIds), await db.listSessions());
  }

  /** Whether an earlier process began this run. */
  get isResumed() {
    return this.#sessionIds.length > 0;
  }

  /**
   * Finds the session of a chat that is to go on: this run's, or the newest if it has not ended.
   *
   * @param {string} chatId
   */
  findSession(chatId) {
    const sessions = this.#earlierSessions.filter(({ chat_id }) => chat_id === chatId);
    const [newest] = sessions;
    const isUnfinished = newest?.status === 'running' || newest?.status === 'paused';
    return sessions.find(({ id }) => this.#sessionIds.includes(id)) ?? (isUnfinished ? newest : undefined);
  }

  /**
   * Creates a chat's session, and takes note that it is this run's.
   *
   * @param {string} chatId
   * @param {import('./media.js').Chat} chat
   */
  async createSession(chatId, { name, files }) {
    const now = new Date().toISOString();
    return this.#db.transaction(async () => {
      const id = await this.#db.createSession({
        chat_id: chatId,
        chat_name: name,
        start_time: now,
        last_update: now,
        total_files: files.length,
      });
      this.#sessionIds = [...this.#sessionIds, id];
      await this.#db.setConfig(this.#key, this.#sessionIds);
      return id;
    });
  }

  /** Ends the run: the next one begins anew. */
  async end() {
    await this.#db.deleteConfig(this.#key);
  }
}

// Written by name, so that types can be imported too.
module.exports.Run = Run;
