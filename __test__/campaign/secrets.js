'use strict';

/**
 * The campaign of secrets: every method is made to fail in every way that is known, with a random text in
 * bound values, settings, SQL literals and rows of other tools. It must not stand in any error, report,
 * statistic, event or warning, nor in what the process writes. With `--control` one method gives it away.
 */

const { spawn } = require('node:child_process');
const path = require('node:path');
const { availableParallelism } = require('node:os');
const { runCampaign } = require('./harness.js');

const CHILD = path.join(__dirname, 'secrets', 'child.js');
const CASES_OF_A_CHILD = 250;

function playChild(order) {
  return new Promise((resolve) => {
    const mark = `canary${order.seed.toString(36)}q`;
    const child = spawn(process.execPath, [CHILD, JSON.stringify({ ...order, mark })], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    child.on('close', (status, signal) => {
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
  const figures = { errors: 0, reports: 0 };
  const faults = [];
  const play = async () => {
    for (let order = waiting.shift(); order; order = waiting.shift()) {
      const { heard, faults: found } = await playChild(order);
      for (const [name, number] of Object.entries(heard)) figures[name] += number;
      faults.push(...found);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(4, availableParallelism())) }, play));
  return { count, faults, figures };
}

runCampaign({ usual: 1000, run });
