'use strict';

/** Owns what a play does between calls: comparing the rows of its own file, and work that changes everything, or nothing. */

const path = require('node:path');
const { SqliteConnection } = require('../../../index.js');
const { show } = require('./expected.js');

/** Compares the tracked rows with the file's, through a connection of their own. */
function compareRows(file, expected) {
  const connection = new SqliteConnection({ path: file });
  const problems = [];
  try {
    const found = new Map();
    const list = connection.all("SELECT k, typeof(v) AS kind, CASE typeof(v) WHEN 'text' THEN v END AS v FROM t");
    for (const { k, kind, v } of list) found.set(k, kind === 'null' ? null : kind === 'text' ? v : '<any>');
    for (const [key, value] of expected) {
      if (!found.has(key)) problems.push(`row ${key} was acknowledged and is not there`);
      else if (value !== '<any>' && found.get(key) !== value)
        problems.push(`row ${key} is ${show(found.get(key))}, not ${show(value)}`);
    }
    for (const key of found.keys()) if (!expected.has(key)) problems.push(`row ${key} was never acknowledged`);
    const check = connection.pragma('integrity_check', { simple: true });
    if (check !== 'ok') problems.push(`the rows' file is damaged: ${check}`);
  } finally {
    connection.close();
  }
  return problems;
}

/**
 * Lists the works from which a play chooses one when nothing is under way.
 *
 * @param {import('./play.js').Play} play
 * @returns {(() => unknown)[]}
 */
function quietWorks(play) {
  const { db } = play;
  return [
    async () => {
      const file = path.join(play.folder, `backup-${play.unique()}`);
      await db.backup(file);
      play.snapshot = { file, expected: play.expected.copy() };
    },
    async () => {
      if (!play.snapshot) return;
      await db.restore(play.snapshot.file);
      play.expected.become(play.snapshot.expected);
    },
    async () => {
      await db.disconnect();
      await db.repair();
      await db.connect();
    },
    async () => {
      const report = await db.checkIntegrity({ deep: true });
      if (!report.ok) play.fault(`the file is damaged: ${show(report.findings)}`);
    },
    () => db.vacuum(),
    async () => {
      await db.disconnect();
      await db.connect();
    },
    async () => globalThis.gc?.(),
  ];
}

module.exports = { compareRows, quietWorks };
