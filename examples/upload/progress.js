// @ts-check
'use strict';

const { SingleBar } = require('cli-progress');

/**
 * Owns what is seen of a chat while it runs: a bar on a terminal; elsewhere, so that logs stay
 * readable, one line at its end.
 *
 * @typedef {import('../../index').UploadSession} UploadSession
 */

const FORMAT = '{chat} [{bar}] {percentage}% | {value}/{total} files | {counts} | ETA {eta_formatted}';

class Progress {
  #stream;
  #bar;

  /** @param {NodeJS.WriteStream} stream */
  constructor(stream) {
    this.#stream = stream;
    this.#bar = new SingleBar({
      stream,
      format: FORMAT,
      barsize: 24,
      barCompleteChar: '#',
      barIncompleteChar: '-',
      etaBuffer: 50,
      // A line that is too long is cut, rather than the terminal's own setting changed: a process
      // that ends at once could not put it back.
      linewrap: true,
      // Ctrl+C belongs to Stop.
      gracefulExit: false,
    });
  }

  /** @param {UploadSession} session */
  start(session) {
    this.#bar.start(session.total_files, session.processed_files, {
      chat: session.chat_name,
      counts: describeCounts(session),
    });
  }

  /** @param {UploadSession} session */
  update(session) {
    this.#bar.update(session.processed_files, { counts: describeCounts(session) });
  }

  stop() {
    this.#bar.stop();
  }

  /**
   * Tells how a chat has ended, where no bar does.
   *
   * @param {UploadSession} session
   */
  report(session) {
    if (this.#stream.isTTY) return;
    const done = `${session.processed_files}/${session.total_files} files`;
    this.#stream.write(`${session.chat_name}: ${done}, ${describeCounts(session)}, ${session.status}\n`);
  }
}

/** @param {UploadSession} session */
function describeCounts({ success_count, duplicate_count, error_count }) {
  return `${success_count} uploaded, ${duplicate_count} duplicates, ${error_count} errors`;
}

// Written by name, so that types can be imported too.
module.exports.Progress = Progress;
