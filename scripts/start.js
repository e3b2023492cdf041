// @ts-check
'use strict';

// `npm start`: installs and builds when needed, then uploads. Arguments go to the example.

const path = require('node:path');
const { ROOT, build, install } = require('./prepare.js');

install();
build();
const job = path.join(ROOT, 'examples', 'upload', 'main.js');
// In this process, so that Ctrl+C reaches the job alone.
process.argv[1] = job;
require(job);
