'use strict';

/** Owns the campaign of terminated threads: it plays them in a process and tells how that ended. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

const SCENE = path.join(__dirname, 'worker-scene.js');
const DEADLINE_MS = { base: 60_000, perTermination: 1500 };

/**
 * Terminates so many threads.
 *
 * @param {{ seed: number, count: number }} options
 */
async function runWorkers({ seed, count }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-workers-'));
  try {
    const child = spawn(process.execPath, [SCENE, path.join(folder, 'ledger.db'), String(seed), String(count)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
    let isLate = false;
    const timer = setTimeout(
      () => {
        isLate = true;
        child.kill('SIGKILL');
      },
      DEADLINE_MS.base + DEADLINE_MS.perTermination * count,
    );
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    const faults = [];
    if (isLate) faults.push('the process hung');
    else if (signal) faults.push(`the process ended by ${signal}`);
    else if (code !== 0) faults.push(`the process ended with ${code}`);
    if (faults.length > 0) return { figures: {}, faults: [`${faults[0]}: ${stderr.text.trim().slice(-2000)}`] };
    return JSON.parse(stdout.text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function textOf(stream) {
  const read = { text: '' };
  stream.setEncoding('utf8').on('data', (text) => {
    read.text += text;
  });
  return read;
}

module.exports = { runWorkers };
