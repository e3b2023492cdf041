// @ts-check

// `npm start`: installs and builds when needed, then uploads. Arguments go to the example.

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { ROOT, build, install } = require('./prepare.js');

install();
build();
const job = path.join(ROOT, 'examples', 'upload', 'main.js');
const { status } = spawnSync(process.execPath, [job, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
