'use strict';

/**
 * The campaign of hostile calls: every exported class, method, getter and function, hostile values in
 * every place, and calls from inside getters, traps, iterators and transactions, in processes of
 * their own. No process may die, no call hang, each error has a code or is the hostile value's own, and
 * what the files hold is what was acknowledged. With `--control` each of several faults is planted.
 */

const { spawn } = require('node:child_process');
const { rmSync } = require('node:fs');
const { availableParallelism } = require('node:os');
const path = require('node:path');
const { runCampaign } = require('./harness.js');
const { makeScratch } = require('./scratch.js');

const PLAYER = path.join(__dirname, 'hostile', 'player.js');
const CALLS_OF_A_CHILD = 5000;
const CHILD_MS = 240_000;
const ENDINGS = ['drain', 'exit', 'kill', 'disconnect'];
const PLANTS = ['code', 'change', 'lost', 'hang', 'signal'];

/** Runs a player; gives its last line and how it ended. */
function runPlayer(order) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--expose-gc', PLAYER, JSON.stringify(order)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, errors, isLate] = ['', '', false];
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, CHILD_MS);
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const line = output.trim().split('\n').pop();
      resolve({ status, signal, isLate, errors, result: line ? JSON.parse(line) : undefined });
    });
  });
}

/** Plays one child and gives its faults. */
async function playChild(order) {
  const folder = makeScratch('hostile-calls-');
  const told = `${order.plant ? `plant ${order.plant}, ` : ''}play '${JSON.stringify({ ...order, folder: 'FOLDER' })}'`;
  try {
    const { status, signal, isLate, errors, result } = await runPlayer({ ...order, folder });
    const faults = [...(result?.faults ?? [])];
    const mayBeKilled = order.ending === 'kill' && result && faults.length === 0;
    if (isLate) faults.push('the process hangs');
    else if (mayBeKilled ? signal !== 'SIGKILL' : status !== 0)
      faults.push(`the process ended with ${status ?? signal}: ${errors.slice(-600)}`);
    if (faults.length === 0 && !result) faults.push('the process ended before its play did');
    if (faults.length === 0) {
      const judged = await runPlayer({ judge: folder });
      faults.push(
        ...(judged.result?.faults ?? [
          `the judge ended with ${judged.status ?? judged.signal}: ${judged.errors.slice(-600)}`,
        ]),
      );
    }
    return { result, faults: faults.map((fault) => `${told}: ${fault}`) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function run({ seed, count, control }) {
  const share = control ? 2000 : CALLS_OF_A_CHILD;
  const orders = control
    ? PLANTS.map((plant, child) => ({ seed: seed + child, count: share, ending: 'disconnect', plant }))
    : Array.from({ length: Math.ceil(count / share) }, (_, child) => ({
        seed: seed * 10_000 + child,
        count: Math.min(share, count - child * share),
        ending: ENDINGS[child % ENDINGS.length],
      }));
  const figures = { processes: orders.length, members: 0, resolved: 0, refused: 0, planted: 0, native: 0 };
  const called = new Set();
  const faults = [];
  const unnoticed = [];
  let made = 0;
  const waiting = [...orders];
  const play = async () => {
    for (let order = waiting.shift(); order; order = waiting.shift()) {
      const { result, faults: found } = await playChild(order);
      made += result?.calls ?? 0;
      for (const name of result?.called ?? []) called.add(name);
      for (const [name, number] of Object.entries(result?.outcomes ?? {})) figures[name] += number;
      faults.push(...found);
      if (order.plant && found.length === 0) unnoticed.push(order.plant);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(4, availableParallelism())) }, play));
  figures.members = called.size;
  if (unnoticed.length > 0) console.error(`not noticed: ${unnoticed.join(', ')}`);
  return { count: made, faults: unnoticed.length > 0 ? [] : faults, figures };
}

runCampaign({ usual: 20_000, run });
