'use strict';

/**
 * The campaign of secrets: every method is made to fail in every way that is known, with a random text in
 * bound values, settings, SQL literals and rows of other tools. It must not stand in any error, report,
 * statistic, event or warning, nor in what the process writes. With `--control` one method gives it away.
 * On Linux with a C compiler syncs fail too, so that checkpoints do.
 */

const { spawn } = require('node:child_process');
const { rmSync } = require('node:fs');
const path = require('node:path');
const { availableParallelism } = require('node:os');
const { FileFault } = require('./file-fault.js');
const { runCampaign } = require('./harness.js');
const { makeScratch } = require('./scratch.js');

const CHILD = path.join(__dirname, 'secrets', 'child.js');
const CASES_OF_A_CHILD = 250;

/**
 * @param {object} order
 * @param {string} folder where the child makes its files
 */
function playChild(order, folder) {
  return new Promise((resolve) => {
    const mark = `canary${order.seed.toString(36)}q`;
    const fault = FileFault.isPossible() ? FileFault.create(folder) : undefined;
    const child = spawn(process.execPath, [CHILD, JSON.stringify({ ...order, mark, folder })], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: fault?.environment(folder) ?? process.env,
    });
    let [output, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    child.on('close', (status, signal) => {
      fault?.close();
      const line = output.trim().split('\n').pop();
      const result = line?.startsWith('{') ? JSON.parse(line) : { faults: [], heard: {} };
      if (status !== 0) result.faults.push(`the process ended with ${status ?? signal}: ${errors.slice(-800)}`);
      if (`${output}${errors}`.includes(mark))
        result.faults.push(`a stream of the process holds a secret: ${errors.slice(-800)}`);
      resolve(result);
    });
  });
}

async function run({ seed, count, control }) {
  const waiting = [];
  for (let first = 0; first < count; first += CASES_OF_A_CHILD) {
    waiting.push({ seed, first, count: Math.min(CASES_OF_A_CHILD, count - first), plant: control });
  }
  const figures = { errors: 0, reports: 0, events: 0, warnings: 0 };
  const faults = [];
  const folder = makeScratch('secrets-');
  const play = async () => {
    for (let order = waiting.shift(); order; order = waiting.shift()) {
      const { heard, faults: found } = await playChild(order, folder);
      for (const [name, number] of Object.entries(heard)) figures[name] += number;
      faults.push(...found);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(4, availableParallelism())) }, play));
  rmSync(folder, { recursive: true, force: true });
  return { count, faults, figures };
}

runCampaign({ usual: 1000, run });
