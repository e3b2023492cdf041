'use strict';

/**
 * The programs of addon-io-child.js on better-sqlite3, as far as it has the calls, and its lines. Our addon is
 * loaded beside it for what the tests share, and opens nothing.
 */

const { readFileSync, writeSync } = require('node:fs');
const path = require('node:path');
const { loadBetterSqlite3 } = require('../../benchmark/peer.js');
const { makeRandom } = require('../support/ledger.js');
const { CALLS, TRIES, describeFault, planFault } = require('./addon-io-plan.js');
const { FileFault } = require('./file-fault.js');

const [folder, seed, programs] = process.argv.slice(2);
const random = makeRandom(Number(seed));
const fileFault = FileFault.own();
const Database = loadBetterSqlite3();
const SCHEMA = readFileSync(path.join(__dirname, '..', '..', 'src', 'migration', 'v1.sql'), 'utf8');

const say = (line) => writeSync(1, `${line}\n`);
const pick = (list) => list[Math.floor(random() * list.length)];

class Program {
  #number;
  #file;
  #numbers = 0;
  #standing = [];
  #db;

  constructor(number) {
    this.#number = number;
    this.#file = path.join(folder, `${number}.db`);
  }

  play() {
    say(`begin ${this.#number}`);
    const isEarly = random() < 0.15;
    if (!isEarly) this.#open();
    for (let n = 0; !isEarly && n < 5; n += 1) this.#addOne();
    const fault = planFault(random);
    fileFault.arm(fault);
    if (isEarly) this.#try(() => this.#open());
    for (let n = 0; n < CALLS; n += 1) pick(this.#calls)();
    const { fired } = fileFault.disarm();
    say(describeFault(fault, fired));
    for (let tried = 1; ; tried += 1) {
      try {
        if (isEarly || !this.#db?.open) this.#open();
        this.#add(this.#next(), 100);
        say(`u ${tried}`);
        break;
      } catch (error) {
        this.#judge(error);
        if (tried === TRIES) {
          say(`! not usable though nothing fails any more: ${error.code} ${error.message}`);
          break;
        }
      }
    }
    if (random() < 0.5) this.#try(() => this.#db.close());
  }

  #open() {
    this.#db?.close();
    this.#db = new Database(this.#file, { timeout: 1000 });
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = NORMAL');
    this.#db.pragma('foreign_keys = ON');
    if (!this.#db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'config'").get()) {
      this.#db.transaction(() => this.#db.exec(SCHEMA))();
    }
    this.#db.exec(
      `INSERT OR IGNORE INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files)
       VALUES ('counted', 'chat123', 'Family Photos', '2026-01-31', '2026-01-31', 100)`,
    );
  }

  #judge(error) {
    // What is called after an opening that failed says that it is closed, as it must.
    if (!this.#db?.open || /^SQLITE_/.test(error.code)) say(`x ${error.code}`);
    else say(`! an error without a code: ${error.message}`);
  }

  #try(call, line) {
    try {
      const value = call();
      if (line) say(typeof line === 'function' ? line(value) : line);
    } catch (error) {
      this.#judge(error);
    }
  }

  #next() {
    return `${this.#number}.${this.#numbers++}`;
  }

  #add(hash, size) {
    this.#db
      .prepare(
        `INSERT INTO file_hashes (hash, file_path, file_name, file_size, mime_type, upload_service, chat_id)
         VALUES (?, ?, 'a.jpg', 1024, 'image/jpeg', 'photos', 'chat123')`,
      )
      .run(hash, 'x'.repeat(size));
  }

  #addOne(size = 100) {
    const hash = this.#next();
    this.#try(() => this.#add(hash, size), `+ ${hash}`);
    this.#standing.push(hash);
  }

  #addBatch() {
    const hashes = Array.from({ length: 100 }, () => this.#next());
    const addAll = () => {
      for (const hash of hashes) this.#add(hash, 1000);
    };
    this.#try(() => this.#db.transaction(addAll)(), hashes.map((hash) => `+ ${hash}`).join('\n'));
  }

  #transact() {
    const group = this.#next();
    const run = () =>
      this.#db.transaction(() => {
        for (let n = 0; n < 3; n += 1) this.#add(`${group}/${n}`, pick([100, 20_000]));
        this.#db.exec("UPDATE upload_sessions SET success_count = success_count + 3 WHERE id = 'counted'");
      })();
    this.#try(run, `t ${group}`);
  }

  #deleteOne() {
    const hash = this.#standing.pop();
    if (hash === undefined) return this.#addOne();
    say(`? ${hash}`);
    this.#try(() => this.#db.prepare('DELETE FROM file_hashes WHERE hash = ?').run(hash), `- ${hash}`);
  }

  #calls = [
    () => this.#addOne(),
    () => this.#addOne(30_000),
    () => Array.from({ length: 10 }, () => this.#addOne()),
    () => this.#addBatch(),
    () => this.#transact(),
    () => this.#deleteOne(),
    () => this.#try(() => this.#db.pragma('wal_checkpoint(TRUNCATE)')),
    () => this.#try(() => this.#db.exec('VACUUM')),
    () => this.#try(() => this.#db.exec('ANALYZE')),
    () => this.#try(() => this.#db.pragma('quick_check')),
    () => this.#try(() => this.#db.prepare('SELECT count(*) FROM file_hashes').get()),
    () => this.#try(() => this.#open()),
  ];
}

for (let number = 0; number < Number(programs); number += 1) new Program(number).play();
say('over');
process.kill(process.pid, 'SIGKILL');
