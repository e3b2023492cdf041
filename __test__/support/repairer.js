'use strict';

/** A process that repairs a file, to be killed: `node repairer.js FILE`. */

const { DatabaseManager } = require('../../index.js');

process.stdout.write('start\n');
new DatabaseManager({ path: process.argv[2] }).repair().then(
  (report) => process.stdout.write(`${JSON.stringify(report)}\n`),
  (error) => process.stdout.write(`${error.code}\n`),
);
