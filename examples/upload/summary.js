// @ts-check
'use strict';

const Table = require('cli-table3');

/**
 * Owns the table at the end of a run. Its figures are the ledger's own, read back.
 *
 * @typedef {import('../../index').UploadSession} UploadSession
 */

/** @type {import('cli-table3').HorizontalAlignment[]} */
const ALIGNMENT = ['left', 'right', 'right', 'right', 'right', 'left'];

/** @type {('total_files' | 'success_count' | 'duplicate_count' | 'error_count')[]} */
const COUNTERS = ['total_files', 'success_count', 'duplicate_count', 'error_count'];

/** @param {UploadSession[]} sessions */
function formatTable(sessions) {
  const table = new Table({
    head: ['Chat', 'Found', 'Uploaded', 'Duplicates', 'Errors', 'Status'],
    colAligns: ALIGNMENT,
    // No colours: the table is read in logs too.
    style: { head: [], border: [] },
  });
  for (const session of sessions) {
    table.push([session.chat_name, ...COUNTERS.map((counter) => session[counter]), session.status]);
  }
  const totals = COUNTERS.map((counter) => sessions.reduce((sum, session) => sum + session[counter], 0));
  table.push(['Total', ...totals, '']);
  return table.toString();
}

module.exports = { formatTable };
