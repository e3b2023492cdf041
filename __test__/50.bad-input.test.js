'use strict';

/**
 * Every method of DatabaseManager against hostile values: each is accepted as documented, or
 * refused by a typed error that names the operation and the field, changes nothing, repeats no
 * value and leaves the manager usable. A caller's own exception comes through unchanged.
 */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { DatabaseManager } = require('../index.js');
const { makeFolder, makeRandom, newError, newFileHash, newSession } = require('./support/ledger.js');
const { CANARY, KINDS, STRANGERS, assertRefused, causeChain, oneOf } = require('./support/hostile.js');
const { assertHarmless, openWatched } = require('./support/watched-ledger.js');

const STATUSES = ['running', 'completed', 'paused', 'failed'];
const SERVICES = ['photos', 'drive'];

let count = 0;
const fresh = () => `fresh-${++count}`;

const COUNTERS = ['processed_files', 'success_count', 'error_count', 'duplicate_count'];
const each = (names, kind) => Object.fromEntries(names.map((name) => [name, kind]));

/**
 * For each method: `args` makes arguments that are accepted, of the ids in `known`; `fields` says
 * what each is, by position, or by position and name inside a record.
 */
const METHODS = {
  createSession: {
    args: () => [newSession()],
    records: {
      0: {
        name: 'session',
        fields: {
          chat_id: KINDS.text,
          chat_name: KINDS.text,
          start_time: KINDS.time,
          last_update: KINDS.time,
          total_files: KINDS.counter,
          ...each(COUNTERS, KINDS.optionalCounter),
          status: oneOf(STATUSES, { null: null, undefined }),
          last_processed_file: KINDS.optionalText,
          id: KINDS.optionalFilledText,
          created_at: KINDS.optionalTime,
        },
      },
    },
  },
  getSession: { args: ({ session }) => [session], values: { 0: ['id', KINDS.text] } },
  updateSession: {
    args: ({ session }) => [session, { processed_files: 1 }],
    values: { 0: ['id', { accepted: {}, refused: KINDS.text.refused }] },
    records: {
      1: {
        name: 'changes',
        fields: {
          chat_id: KINDS.changedText,
          chat_name: KINDS.changedText,
          start_time: KINDS.changedTime,
          last_update: KINDS.changedTime,
          total_files: KINDS.changedCounter,
          ...each(COUNTERS, KINDS.changedCounter),
          status: oneOf(STATUSES, { undefined }),
          last_processed_file: KINDS.optionalText,
        },
      },
    },
  },
  incrementSession: {
    args: ({ counted }) => [counted, { success_count: 0 }],
    values: { 0: ['id', { accepted: {}, refused: KINDS.text.refused }] },
    records: { 1: { name: 'deltas', fields: each(['total_files', ...COUNTERS], KINDS.delta) } },
  },
  listSessions: { args: () => ['running'], values: { 0: ['status', oneOf(STATUSES, { null: null, undefined })] } },
  deleteSession: { args: () => ['none'], values: { 0: ['id', KINDS.text] } },
  addFileHash: {
    args: () => [newFileHash(fresh()), { onConflict: null }],
    records: {
      0: {
        name: 'fileHash',
        fields: {
          hash: KINDS.filledText,
          file_path: KINDS.text,
          file_name: KINDS.text,
          file_size: KINDS.counter,
          mime_type: KINDS.text,
          upload_service: { ...oneOf(SERVICES), refused: { ...oneOf(SERVICES).refused, undefined } },
          upload_id: KINDS.optionalText,
          chat_id: KINDS.text,
          uploaded_at: KINDS.optionalTime,
        },
      },
      1: {
        name: 'options',
        optional: true,
        fields: { onConflict: oneOf(['ignore', 'replace'], { null: null, undefined }) },
      },
    },
  },
  getFileHash: { args: ({ hash }) => [hash], values: { 0: ['hash', KINDS.filledText] } },
  findFileHashes: { args: () => ['chat123'], values: { 0: ['chatId', KINDS.text] } },
  deleteFileHash: { args: () => ['none'], values: { 0: ['hash', KINDS.filledText] } },
  isFileUploaded: { args: ({ hash }) => [hash], values: { 0: ['hash', KINDS.filledText] } },
  logError: {
    args: ({ session }) => [newError(session)],
    records: {
      0: {
        name: 'error',
        fields: {
          session_id: { accepted: {}, refused: KINDS.text.refused },
          file_path: KINDS.text,
          error_type: KINDS.text,
          error_message: KINDS.text,
          retry_count: KINDS.optionalCounter,
        },
      },
    },
  },
  getErrors: { args: ({ session }) => [session], values: { 0: ['sessionId', KINDS.text] } },
  incrementRetryCount: {
    args: ({ error }) => [error],
    values: { 0: ['errorId', { accepted: {}, refused: KINDS.counter.refused }] },
  },
  clearErrors: { args: () => ['none'], values: { 0: ['sessionId', KINDS.text] } },
  setConfig: { args: () => ['key', 1], values: { 0: ['key', KINDS.text] } },
  getConfig: { args: () => ['key'], values: { 0: ['key', KINDS.text] } },
  deleteConfig: { args: () => ['none'], values: { 0: ['key', KINDS.text] } },
  listConfig: { args: () => [] },
  transaction: {
    args: () => [async () => {}],
    values: { 0: ['fn', { accepted: {}, refused: KINDS.text.refused }] },
  },
  initializeSchema: { args: () => [] },
  getSchemaVersion: { args: () => [] },
  getStats: { args: () => [] },
  vacuum: { args: () => [] },
  analyze: { args: () => [] },
};

function withArgument(args, index, value) {
  const changed = [...args];
  changed[index] = value;
  return changed;
}

for (const [method, { args, values = {}, records = {} }] of Object.entries(METHODS)) {
  test(`${method} refuses hostile arguments and takes unusual ones`, async (t) => {
    const ledger = await openWatched(t);
    const { db, known } = ledger;
    const valid = () => args(known);
    const refused = (changed, label, field) =>
      assertHarmless(ledger, () => db[method](...changed), {
        label: `${method}, ${field}: ${label}`,
        code: 'DB_INVALID_ARGUMENT',
        operation: method,
        field,
      });

    const before = ledger.dump();
    for (const [index, [field, kind]] of Object.entries(values)) {
      for (const [label, value] of Object.entries(kind.refused)) {
        if (method === 'transaction' && typeof value === 'function') continue;
        await refused(withArgument(valid(), index, value), label, field);
      }
    }
    for (const [index, { name, fields, optional }] of Object.entries(records)) {
      for (const [label, value] of Object.entries({ ...STRANGERS, null: null, undefined: undefined, text: CANARY })) {
        if (typeof value === 'object' && value !== null && !Array.isArray(value)) continue;
        if (optional && (value === null || value === undefined)) continue;
        await refused(withArgument(valid(), index, value), label, name);
      }
      const record = () => valid()[index];
      for (const key of ['nonsense', '', 'constructor', 'rowid', 'chat_id; --', '\ud800']) {
        await refused(withArgument(valid(), index, { ...record(), [key]: CANARY }), key, name);
      }
      const polluted = Object.assign(JSON.parse(`{"__proto__":{"chat_id":"${CANARY}"}}`), record());
      await refused(withArgument(valid(), index, polluted), '__proto__', `${name}.__proto__`);
      for (const [field, kind] of Object.entries(fields)) {
        for (const [label, value] of Object.entries(kind.refused)) {
          await refused(withArgument(valid(), index, { ...record(), [field]: value }), label, field);
        }
      }
    }
    assert.equal(ledger.dump(), before, 'nothing has changed');

    await db[method](...valid());
    for (const [index, [field, kind]] of Object.entries(values)) {
      for (const [label, value] of Object.entries(kind.accepted)) {
        await assert.doesNotReject(db[method](...withArgument(valid(), index, value)), `${field}: ${label}`);
      }
    }
    for (const [index, { fields }] of Object.entries(records)) {
      for (const [field, kind] of Object.entries(fields)) {
        for (const [label, value] of Object.entries(kind.accepted)) {
          const record = { ...valid()[index], [field]: value, [Symbol('ignored')]: CANARY };
          if (field === 'hash') await db.deleteFileHash(value);
          await assert.doesNotReject(db[method](...withArgument(valid(), index, record)), `${field}: ${label}`);
        }
      }
    }
    if (method !== 'deleteSession') assert.ok(await db.getSession(known.session));
  });
}

test("a caller's own exception comes through unchanged and nothing is written", async (t) => {
  const ledger = await openWatched(t);
  const { db, known, dump } = ledger;
  const before = dump();
  for (const thrown of [new RangeError('mine'), 'a string', undefined, null, Symbol('mine'), { code: 'MINE' }]) {
    const raise = () => {
      throw thrown;
    };
    const passes = async (call, label) => {
      const outcome = await call().then(
        () => 'accepted',
        (reason) => ({ reason }),
      );
      assert.notEqual(outcome, 'accepted', label);
      assert.equal(outcome.reason, thrown, label);
      assert.equal(dump(), before, label);
      assert.equal(await db.isFileUploaded(known.hash), true);
    };
    for (const [method, { args, records = {} }] of Object.entries(METHODS)) {
      for (const [index, { fields }] of Object.entries(records)) {
        for (const field of Object.keys(fields)) {
          const record = Object.defineProperty({ ...args(known)[index] }, field, { get: raise, enumerable: true });
          await passes(() => db[method](...withArgument(args(known), index, record)), `${method}.${field}`);
        }
        for (const trap of ['get', 'ownKeys', 'getOwnPropertyDescriptor']) {
          const record = new Proxy({ ...args(known)[index] }, { [trap]: raise });
          await passes(() => db[method](...withArgument(args(known), index, record)), `${method}, a proxy's ${trap}`);
        }
      }
    }
    await passes(() => db.setConfig('key', { toJSON: raise }), 'toJSON');
    await passes(() => db.setConfig('key', Object.defineProperty({}, 'x', { get: raise, enumerable: true })), 'getter');
    await passes(() => db.setConfig('key', new Proxy({}, { ownKeys: raise })), 'proxy');
    await passes(() => db.transaction(raise), 'thrown in a transaction');
    await passes(() => db.transaction(() => Promise.reject(thrown)), 'rejected in a transaction');
    await passes(
      () =>
        db.transaction(async () => {
          await db.addFileHash(newFileHash(fresh()));
          await db.transaction(async () => raise());
        }),
      'in a nested transaction',
    );
  }
});

test('a setting that JSON cannot hold is refused; what is refused is not repeated', async (t) => {
  const ledger = await openWatched(t);
  const cyclic = { secret: CANARY, list: [] };
  cyclic.list.push({ cyclic });
  const deep = (depth) => (depth === 0 ? CANARY : [deep(depth - 1)]);
  const hostile = {
    undefined: undefined,
    'a function': () => CANARY,
    'a symbol': Symbol(CANARY),
    'a bigint': 1n,
    'a bigint deep inside': { secret: CANARY, list: [1n] },
    NaN: NaN,
    'an infinity deep inside': [{ secret: CANARY, x: -Infinity }],
    'a cycle': cyclic,
    itself: (() => {
      const list = [];
      return list.push(list) && list;
    })(),
    'nested too deep': deep(200),
    'nested far too deep': deep(2000),
    'endless toJSON': {
      toJSON() {
        return { next: this };
      },
    },
    'toJSON that gives undefined': { toJSON: () => undefined },
    'toJSON that gives NaN': { toJSON: () => NaN },
    'a boxed NaN': Object(NaN),
    'a boxed bigint': Object(1n),
  };
  for (const [label, value] of Object.entries(hostile)) {
    await t.test(label, () =>
      assertHarmless(ledger, () => ledger.db.setConfig('key', value), {
        label,
        code: 'DB_INVALID_ARGUMENT',
        operation: 'setConfig',
        field: 'value',
      }),
    );
  }
  assert.equal(await ledger.db.getConfig('key'), CANARY);
  for (const value of [-0, '', '\0', '\ud800', { '\ud800': 1 }, 'x'.repeat(1_048_576), JSON.parse('{"__proto__":1}')]) {
    await ledger.db.setConfig('key', value);
    assert.deepEqual(await ledger.db.getConfig('key'), Object.is(value, -0) ? 0 : value);
  }
});

test('accepted texts and numbers come back as they were given', async (t) => {
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const { db } = await openWatched(t);
  const units = [0, 1, 0x22, 0x27, 0x5c, 0x7f, 0xe9, 0xfffd, 0xfeff, 0x1f389, 0x10ffff];
  const text = () =>
    Array.from({ length: Math.floor(random() * 12) }, () =>
      String.fromCodePoint(units[Math.floor(random() * units.length)]),
    ).join('');
  const number = () => Math.floor(random() * (Number.MAX_SAFE_INTEGER + 1));
  for (let round = 0; round < 200; round += 1) {
    const file = newFileHash(`${round}${text()}`, {
      file_path: text(),
      file_name: text(),
      file_size: number(),
      mime_type: text(),
      upload_id: text(),
      chat_id: text(),
    });
    await db.addFileHash(file);
    assert.deepEqual(await db.getFileHash(file.hash), file, `seed ${seed}, round ${round}`);
  }
});

test('counters never leave the safe integers, whichever way they grow', async (t) => {
  const { db, known } = await openWatched(t);
  const full = await db.logError(newError(known.session, { retry_count: Number.MAX_SAFE_INTEGER }));
  await assertRefused(() => db.incrementRetryCount(full), { label: 'retry_count', operation: 'incrementRetryCount' });
  assert.equal((await db.getErrors(known.session)).at(-1).retry_count, Number.MAX_SAFE_INTEGER);
  for (const field of ['success_count', 'error_count', 'duplicate_count']) {
    await db.createSession(newSession({ [field]: Number.MAX_SAFE_INTEGER }));
    await db.createSession(newSession({ [field]: Number.MAX_SAFE_INTEGER }));
  }
  const stats = await db.getStats().catch((error) => {
    assert.match(error.code, /^DB_(?!INTERNAL)/, error.message);
    return {};
  });
  for (const [name, value] of Object.entries(stats)) {
    if (typeof value === 'number') assert.ok(Number.isSafeInteger(value), `${name}: ${value}`);
  }
});

test('before connect, after a failed one and after disconnect every call rejects with one typed error', async (t) => {
  const known = { session: 's', counted: 's', error: 1, hash: 'h' };
  const assertAllReject = async (db, label, cause) => {
    for (const [method, { args }] of Object.entries(METHODS)) {
      const error = await assertRefused(() => db[method](...args(known)), {
        label: `${method} ${label}`,
        code: 'DB_NOT_CONNECTED',
        operation: method,
        field: 'connect()',
      });
      assert.equal(error.retryable, false);
      assert.equal(causeChain(error)[1], cause);
    }
  };
  const folder = makeFolder(t);
  const db = new DatabaseManager({ path: path.join(folder, 'ledger.db') });
  await assertAllReject(db, 'before connect');
  await db.connect();
  await db.initializeSchema();
  await db.addFileHash(newFileHash('known'));
  await db.disconnect();
  assert.equal(db.isConnected(), false);
  await assertAllReject(db, 'after disconnect');
  await db.connect();
  assert.equal(await db.isFileUploaded('known'), true);
  await db.disconnect();

  const broken = new DatabaseManager({ path: path.join(folder, 'none', 'ledger.db') });
  const cause = await assertRefused(() => broken.connect(), { label: 'connect', operation: 'connect' });
  await assertAllReject(broken, 'after a failed connect', cause);
});
