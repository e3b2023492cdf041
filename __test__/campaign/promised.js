'use strict';

/**
 * Owns what a process that writes has said of its work, and what must then be in its file: every
 * acknowledged row, counters that equal rows, whole transactions, a sound file.
 *
 * Its lines: `+ hash` added, `- hash` deleted, `? hash` about to be deleted, `t group` a transaction of
 * three rows and their counting, `e id` an error, `c value` the setting, which only grows. A line that was
 * cut off says nothing.
 */

/** What the writers of one file have been promised. */
class Promised {
  hashes = new Set();
  doubtful = new Set();
  deleted = new Set();
  groups = new Set();
  errors = new Set();
  setting = -1;
  count = 0;

  /** @param {string} output of one process */
  read(output) {
    const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n');
    for (const line of lines) {
      const [kind, value] = [line[0], line.slice(2)];
      if (kind === '+') this.hashes.add(value);
      else if (kind === '?') this.doubtful.add(value);
      else if (kind === '-') this.deleted.add(value);
      else if (kind === 't') this.groups.add(value);
      else if (kind === 'e') this.errors.add(Number(value));
      else if (kind === 'c') this.setting = Math.max(this.setting, Number(value));
      if ('+-tec'.includes(kind ?? ' ')) this.count += 1;
    }
  }

  /**
   * Compares this with what is in the file.
   *
   * @param {import('../../index.js').SqliteConnection} connection
   * @param {(text: string, figure?: string) => void} fault told of what is wrong, and which kind of wrong it is
   */
  compare(connection, fault) {
    const integrity = connection.getDatabase().pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') fault(`integrity_check: ${integrity}`, 'corrupt');
    if (!connection.get("SELECT 1 FROM sqlite_schema WHERE name = 'config'")) {
      if (this.count > 0) fault('the schema is gone');
      return;
    }
    if (connection.all('PRAGMA foreign_key_check').length > 0) fault('foreign_key_check');
    const present = new Set(connection.all('SELECT hash FROM file_hashes').map(({ hash }) => hash));
    const lost = [...this.hashes].filter((hash) => !this.doubtful.has(hash) && !present.has(hash));
    if (lost.length > 0) fault(`${lost.length} acknowledged rows lost, ${lost[0]} the first`, 'lost');
    const back = [...this.deleted].filter((hash) => present.has(hash));
    if (back.length > 0) fault(`${back.length} deleted rows came back`);

    const counted = [...present].filter((hash) => hash.includes('/'));
    if (counted.some((hash) => hash.endsWith('never'))) fault('a nested transaction that was undone is there');
    const groups = new Map();
    for (const hash of counted) {
      const group = hash.slice(0, hash.indexOf('/'));
      groups.set(group, (groups.get(group) ?? 0) + 1);
    }
    if ([...groups.values()].some((rows) => rows !== 3)) fault('a part of a transaction is there');
    const missing = [...this.groups].filter((group) => !groups.has(group));
    if (missing.length > 0) fault(`${missing.length} acknowledged transactions lost`, 'lost');
    const session = connection.get("SELECT success_count FROM upload_sessions WHERE id = 'counted'");
    if ((session?.success_count ?? 0) !== counted.length)
      fault('the counter does not equal the rows', 'counters_wrong');

    const errors = new Set(connection.all('SELECT id FROM upload_errors').map(({ id }) => id));
    if ([...this.errors].some((id) => !errors.has(id))) fault('acknowledged errors lost', 'lost');
    const setting = Number(connection.get("SELECT value FROM config WHERE key = 'progress'")?.value ?? -1);
    if (setting < this.setting) fault('an older setting is back', 'lost');
  }
}

module.exports = { Promised };
