'use strict';

/** A process that counts a ledger's files again and again, for at most 20 s, and prints the counts it saw. */

const { createConnection } = require('../../index.js');

const [file, expected] = process.argv.slice(2);
const connection = createConnection({ path: file, readonly: true });
const counts = new Set();
const endsAt = Date.now() + 20_000;
process.stdout.write('watching\n');
while (!counts.has(Number(expected)) && Date.now() < endsAt) {
  counts.add(connection.get('SELECT count(*) AS n FROM file_hashes').n);
}
process.stdout.write(`saw ${JSON.stringify([...counts])}\n`);
