'use strict';

/** Owns the campaign of several processes on one file, and the sums that must be right at its end. */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { createConnection, DatabaseManager } = require('../../index.js');
const { newSession } = require('./ledger.js');

const WRITER = path.join(__dirname, 'process-writer.js');
const GRACE_MS = 60_000;

/**
 * Lets so many processes work side by side.
 *
 * @param {{ seed: number, count: number, milliseconds: number }} options
 */
async function runProcesses({ seed, count, milliseconds }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-processes-'));
  const file = path.join(folder, 'ledger.db');
  try {
    const db = new DatabaseManager({ path: file });
    await db.connect();
    await db.initializeSchema();
    await db.createSession(newSession({ id: 'shared' }));
    await db.disconnect();
    const children = Array.from({ length: count }, (_, n) =>
      fork(WRITER, [file, String(seed + n), `writer${n}`, String(milliseconds)]),
    );
    const reports = children.map((child) => reportOf(child, milliseconds + GRACE_MS));
    await Promise.all(children.map((child) => Promise.race([once(child, 'message'), once(child, 'exit')])));
    for (const child of children) if (child.connected) child.send('go');
    return judge(file, await Promise.all(reports));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits for what a process says at its end; one that hangs is killed and says so. */
async function reportOf(child, deadlineMs) {
  let report = { error: 'said nothing' };
  child.on('message', (message) => {
    if (message !== 'ready') report = message;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (signal) return { error: `ended by ${signal}` };
  return code === 0 || report.error ? report : { error: `ended with ${code}` };
}

/** Compares the file with the sum of what the processes say they have done. */
function judge(file, reports) {
  const faults = reports.map(({ error }, n) => error && `process ${n}: ${error}`).filter(Boolean);
  const figures = {};
  for (const { done = {} } of reports) {
    for (const [key, value] of Object.entries(done)) {
      figures[key] = key === 'slowestMs' ? Math.max(figures[key] ?? 0, value) : (figures[key] ?? 0) + value;
    }
  }
  if (figures.busy > 0) faults.push(`${figures.busy} busy checkpoints were told of as errors`);
  const connection = createConnection({ path: file });
  try {
    const integrity = connection.getDatabase().pragma('integrity_check', { simple: true });
    const found = {
      integrity,
      rows: connection.get('SELECT count(*) AS n FROM file_hashes').n,
      errors: connection.get('SELECT count(*) AS n FROM upload_errors').n,
      ...connection.get("SELECT success_count, processed_files FROM upload_sessions WHERE id = 'shared'"),
    };
    const expected = {
      integrity: 'ok',
      rows: figures.adds + figures.transactions,
      errors: figures.errors,
      success_count: figures.transactions,
      processed_files: figures.transactions + figures.increments,
    };
    for (const [key, value] of Object.entries(expected)) {
      if (found[key] !== value) faults.push(`${key}: ${found[key]}, not ${value}`);
    }
  } finally {
    connection.close();
  }
  return { figures, faults };
}

module.exports = { runProcesses };
