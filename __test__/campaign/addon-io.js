'use strict';

/**
 * The campaign of failing operations on files, on the addon itself: no error without a code, nothing
 * acknowledged is lost, the manager is usable once the fault is over, and no signal ends the process.
 *
 *   node __test__/campaign/addon-io.js --count 1000 --seed 7
 *
 * With `--control` a program takes every call for acknowledged, whatever becomes of it.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const peers = require('../../benchmark/peer.js');
const { createConnection } = require('../../index.js');
const { makeRandom } = require('../support/ledger.js');
const { FileFault } = require('./file-fault.js');
const { runCampaign } = require('./harness.js');
const { Promised } = require('./promised.js');

const PLAYERS = {
  'whatsapp-uploader': { program: process.execPath, script: 'addon-io-child.js' },
  'better-sqlite3': { program: peers.nodeBinary(), script: 'addon-io-peer.js' },
};
const PROGRAMS = 20;
const LANES = 2;

/** What is found in the ledgers of processes whose operations fail. */
class Faults {
  #folder = fs.mkdtempSync(path.join(tmpdir(), 'whatsapp-uploader-io-'));
  #random;
  #manner;
  #player;
  #processes = 0;
  figures = {
    fired: 0,
    programs: 0,
    acknowledged: 0,
    errors: 0,
    usable_at_once: 0,
    usable_later: 0,
    backups: 0,
    lost: 0,
    corrupt: 0,
  };
  /** @type {string[]} */
  faults = [];

  constructor({ seed, isLying, player }) {
    this.#random = makeRandom(seed);
    this.#manner = isLying ? 'lying' : 'honest';
    this.#player = PLAYERS[player];
    if (!this.#player) throw new RangeError(`a player is one of ${Object.keys(PLAYERS).join(', ')}`);
  }

  /** Plays one process. */
  async play() {
    const seed = Math.floor(this.#random() * 2 ** 31);
    const folder = path.join(this.#folder, `process-${this.#processes++}`);
    fs.mkdirSync(folder);
    const fault = FileFault.create(this.#folder);
    const { program, script } = this.#player;
    const parameters = [path.join(__dirname, script), folder, String(seed), String(PROGRAMS), this.#manner];
    const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit'], env: fault.environment(folder) });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    const [code, signal] = await once(child, 'close');
    fault.close();
    const sections = output.split(/^begin /m).slice(1);
    const tell = (text) => this.faults.push(`process of seed ${seed}: ${text}`);
    if (!/^over$/m.test(output)) {
      tell(`it ended by itself (${signal ?? code}) in program ${sections.length - 1}: ${output.slice(-200)}`);
    }
    for (const section of sections) this.#judge(folder, section, tell);
    fs.rmSync(folder, { recursive: true, force: true });
  }

  /** Looks at one program's ledger, through a connection of this process. */
  #judge(folder, section, tell) {
    const number = section.slice(0, section.indexOf('\n'));
    const lines = section.split('\n');
    const planted = lines.find((line) => line.startsWith('fault ')) ?? 'fault 0 (unknown)';
    this.figures.programs += 1;
    if (!planted.startsWith('fault 0')) this.figures.fired += 1;
    const fault = (text, figure) => {
      tell(`program ${number} (${planted.slice('fault '.length)}): ${text}`);
      if (figure in this.figures) this.figures[figure] += 1;
    };
    for (const line of lines) {
      if (line.startsWith('! ')) fault(line.slice(2));
      else if (line.startsWith('x ')) this.figures.errors += 1;
      else if (line === 'u 1') this.figures.usable_at_once += 1;
      else if (line.startsWith('u ')) this.figures.usable_later += 1;
    }
    const promised = new Promised();
    promised.read(section);
    this.figures.acknowledged += promised.count;
    const file = path.join(folder, `${number}.db`);
    if (fs.existsSync(file)) this.#compare(file, (connection) => promised.compare(connection, fault), fault);
    else if (promised.count > 0) fault('the file is gone', 'lost');
    const backup = `${file}.backup`;
    if (!fs.existsSync(backup)) return;
    this.figures.backups += 1;
    this.#compare(backup, (connection) => new Promised().compare(connection, fault), fault);
  }

  #compare(file, compare, fault) {
    try {
      const connection = createConnection({ path: file });
      try {
        compare(connection);
      } finally {
        connection.close();
      }
    } catch (error) {
      fault(`${path.basename(file)} cannot be read: ${error.message}`, 'corrupt');
    }
  }

  close() {
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

runCampaign({
  usual: 1000,
  run: async ({ seed, count, control, peer, tell }) => {
    if (!FileFault.isPossible()) {
      tell('operations can be made to fail on Linux with a C compiler alone');
      return { count: 0, faults: [], figures: {} };
    }
    const all = new Faults({ seed, isLying: control, player: peer ?? 'whatsapp-uploader' });
    const isOver = () => all.figures.fired >= count || (control && all.faults.length > 0);
    const runLane = async () => {
      while (!isOver()) await all.play();
    };
    try {
      await Promise.all(Array.from({ length: LANES }, runLane));
    } finally {
      all.close();
    }
    return { count: all.figures.fired, faults: all.faults, figures: all.figures };
  },
});
