'use strict';

/**
 * Owns the control file of file-fault.c: which operation on a folder's files fails, and how. The process
 * with the library maps the file, so what is written here is seen there at once, by whichever process.
 */

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { constants } = require('node:os');

const KINDS = { write: 1, sync: 2, open: 4, truncate: 8, unlink: 16, rename: 32, read: 64 };
/** Everything that changes what is on the disk; opening too, since a file may be made by it. */
const CHANGES = ['write', 'sync', 'open', 'truncate', 'unlink', 'rename'];
/** What becomes of the operation: half of a write is written, or the process is killed before it or in its middle. */
const ACTIONS = { short: -1, die: -2, dieTorn: -3 };
const LENGTH = 40;

class FileFault {
  #control;
  #library;
  #descriptor;

  /**
   * @param {string} control the control file, which is there
   * @param {string} library
   */
  constructor(control, library) {
    this.#control = control;
    this.#library = library;
    this.#descriptor = fs.openSync(control, 'r+');
  }

  /**
   * Builds the library and makes a control file.
   *
   * @param {string} folder where both are to be: not the one that is watched
   */
  static create(folder) {
    const library = path.join(folder, 'file-fault.so');
    if (!fs.existsSync(library)) {
      const source = path.join(__dirname, 'file-fault.c');
      execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: 'inherit' });
    }
    const control = path.join(fs.mkdtempSync(path.join(folder, 'control-')), 'control');
    fs.writeFileSync(control, Buffer.alloc(LENGTH));
    return new FileFault(control, library);
  }

  /** The control of the process itself, which has the library. */
  static own() {
    return new FileFault(process.env.FILE_FAULT_CONTROL, process.env.LD_PRELOAD);
  }

  /** Says whether operations can be made to fail here. */
  static isPossible() {
    return process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;
  }

  /** The environment of a process whose operations on a folder's files are to be watched. */
  environment(folder) {
    return {
      ...process.env,
      LD_PRELOAD: this.#library,
      FILE_FAULT_CONTROL: this.#control,
      FILE_FAULT_FOLDER: folder,
    };
  }

  /**
   * From now on the `after`-th operation of these kinds gets its action; when it persists, all later ones too.
   *
   * @param {{ kinds?: string[], action: string, after: number, persists?: boolean }} fault `action` is the name of
   *   an error of the system, or one of ACTIONS
   */
  arm({ kinds = CHANGES, action, after, persists = false }) {
    const bytes = Buffer.alloc(LENGTH);
    bytes.writeInt32LE(1, 0);
    bytes.writeInt32LE(ACTIONS[action] ?? constants.errno[action], 4);
    bytes.writeInt32LE(persists ? 1 : 0, 8);
    bytes.writeInt32LE(
      kinds.reduce((mask, kind) => mask | KINDS[kind], 0),
      12,
    );
    bytes.writeBigInt64LE(BigInt(after), 16);
    fs.writeSync(this.#descriptor, bytes, 0, LENGTH, 0);
  }

  /** Counts operations without any effect on them. */
  count(kinds = CHANGES) {
    this.arm({ kinds, action: 'EIO', after: Number.MAX_SAFE_INTEGER });
  }

  /** Ends the fault; says how many operations there were since it was armed, and how many it met. */
  disarm() {
    const bytes = Buffer.alloc(LENGTH);
    fs.readSync(this.#descriptor, bytes, 0, LENGTH, 0);
    fs.writeSync(this.#descriptor, Buffer.alloc(4), 0, 4, 0);
    return { seen: Number(bytes.readBigInt64LE(24)), fired: Number(bytes.readBigInt64LE(32)) };
  }

  close() {
    fs.closeSync(this.#descriptor);
  }
}

module.exports = { CHANGES, FileFault };
