'use strict';

/** A process that takes a file's write lock, says so, and lets go after a while. */

const { createConnection } = require('../../index.js');

const [file, milliseconds] = process.argv.slice(2);
const connection = createConnection({ path: file });
connection.run('BEGIN IMMEDIATE');
process.stdout.write('held\n');
setTimeout(() => {
  connection.run('COMMIT');
  connection.close();
}, Number(milliseconds));
