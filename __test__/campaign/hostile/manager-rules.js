'use strict';

/**
 * Owns the arguments of the manager's methods, each part of them hostile now and then, and what a call
 * that resolves has done to the ledger.
 *
 * A rule gives `{ args, effect?, keys? }`: `effect(expected, result)` is applied when the call resolves;
 * `keys` are in use until it has settled.
 */

const { ANY } = require('./expected.js');

const NOW = '2026-01-31T12:00:00.000Z';
const STATUSES = ['running', 'completed', 'paused', 'failed'];

/**
 * @param {import('./play.js').Play} play
 * @returns {Record<string, () => { args: unknown[], effect?: (expected: any, result: any) => void, keys?: string[] }>}
 */
function managerRules(play) {
  const { dice, hostile, expected } = play;
  const odd = (value, probability = 0.06) => (dice.chance(probability) ? hostile.value() : value);
  /** A key to make a row with: a hostile text only with a number of its own, so that nobody else means it. */
  const oddKey = (key) => {
    const value = odd(key);
    return typeof value === 'string' ? key : value;
  };
  const newKey = (prefix) => `${dice.chance(0.15) ? hostile.text() : ''}${prefix}${play.unique()}`;
  /** A key that exists and that no call uses; else one that does not exist. */
  const oldKey = (kind) => {
    const known = [...expected[kind].keys()];
    for (let attempt = 0; attempt < 4 && known.length > 0; attempt += 1) {
      const key = dice.pick(known);
      if (!play.inUse.has(`${kind}:${key}`)) return key;
    }
    return undefined;
  };
  const hold = (kind, key) => (['string', 'number'].includes(typeof key) ? [`${kind}:${key}`] : []);
  const options = () => {
    if (dice.chance(0.75)) return [];
    const none = () => hostile.shell({ signal: undefined });
    return [dice.pick([() => ({ signal: hostile.signal() }), () => hostile.value(), () => null, none])()];
  };
  const maybe = (value) => (dice.chance(0.5) ? value : undefined);
  const given = (record) =>
    Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined || dice.chance(0.5)));

  const session = (id) =>
    given({
      chat_id: odd('chat'),
      chat_name: odd('Family'),
      start_time: odd(NOW),
      last_update: odd(NOW),
      total_files: odd(dice.below(100)),
      success_count: odd(maybe(dice.below(9))),
      status: odd(maybe(dice.pick(STATUSES))),
      last_processed_file: odd(maybe('a.jpg')),
      id,
    });
  const changes = () =>
    given({
      chat_name: odd(maybe(hostile.text())),
      total_files: odd(maybe(dice.below(50))),
      status: odd(maybe(dice.pick(STATUSES))),
      last_processed_file: dice.chance(0.2) ? null : odd(maybe('b.jpg')),
    });
  const file = (hash) =>
    given({
      hash,
      file_path: odd('/media/a.jpg'),
      file_name: odd('a.jpg'),
      file_size: odd(dice.below(1e6)),
      mime_type: odd('image/jpeg'),
      upload_service: odd(dice.pick(['photos', 'drive'])),
      upload_id: odd(maybe('up')),
      chat_id: odd('chat'),
      uploaded_at: odd(maybe(NOW)),
    });
  const error = (sessionId) =>
    given({
      session_id: sessionId,
      file_path: odd('/media/a.jpg'),
      error_type: odd('network'),
      error_message: odd('timeout'),
      retry_count: odd(maybe(dice.below(3))),
    });
  /** A setting's value with its JSON, where that can be said without reading it. */
  const setting = () =>
    dice.pick([
      () => ({ value: { a: [1, 'x', null, true] }, json: '{"a":[1,"x",null,true]}' }),
      () => ({ value: 'text\u2028', json: JSON.stringify('text\u2028') }),
      () => ({ value: dice.below(1e9), json: undefined }),
      () => ({ value: hostile.value(), json: ANY }),
    ])();
  const newOrOld = (kind, prefix) => (dice.chance(0.75) ? newKey(prefix) : (oldKey(kind) ?? newKey(prefix)));
  const batchOf = (make, longest) => {
    const count = dice.chance(0.02) ? 300 : dice.below(longest + 1);
    return Array.from({ length: count }, make);
  };
  const eachFulfilled = (records, apply) => (model, outcomes, throwsNatively) => {
    if (outcomes.length !== records.length) throw new Error(`${outcomes.length} outcomes of ${records.length} records`);
    outcomes.forEach((outcome, index) => {
      if (outcome.status === 'fulfilled') apply(model, records[index], outcome.value);
      else play.judge(outcome.reason, `record ${index} of a batch`, throwsNatively);
    });
  };
  const reader = (...args) => ({ args: [...args, ...options()] });
  const iteration = (more) => ({
    isIteration: true,
    args: dice.chance(0.5) ? [] : [odd(hostile.shell({ limit: odd(maybe(dice.below(20)), 0.2), ...more }), 0.1)],
  });
  const progress = () => dice.pick([undefined, undefined, () => {}, hostile.trap(undefined), hostile.value()]);

  return {
    createSession() {
      const id = dice.chance(0.3) ? undefined : oddKey(newOrOld('sessions', 's'));
      const record = session(id);
      return {
        args: [hostile.shell(record), ...options()],
        keys: hold('sessions', id),
        effect: (model, result) => {
          if (id !== undefined && id !== null && result !== id) throw new Error(`the id is ${result}`);
          if (model.sessions.has(result)) throw new Error('a known session was accepted');
          model.createSession(result, record);
        },
      };
    },
    updateSession() {
      const id = oldKey('sessions');
      const record = changes();
      return {
        args: [odd(id), hostile.shell(record), ...options()],
        keys: hold('sessions', id),
        effect: (model) => model.updateSession(id, record),
      };
    },
    incrementSession() {
      const id = oldKey('sessions');
      const record = given({
        success_count: odd(maybe(dice.below(5))),
        error_count: odd(maybe(1)),
        total_files: odd(maybe(-1), 0.1),
      });
      return {
        args: [odd(id), hostile.shell(record), ...options()],
        keys: hold('sessions', id),
        effect: (model) => model.incrementSession(id, record),
      };
    },
    updateSessions() {
      const ids = [...new Set(batchOf(() => oldKey('sessions'), 3))].filter((id) => id !== undefined).slice(0, 3);
      const updates = ids.map((id) => ({ id, changes: changes() }));
      const isOurs = dice.chance(0.9);
      const list = !isOurs ? hostile.value() : updates.map((update) => odd(hostile.shell(update), 0.05));
      const effect = eachFulfilled(updates, (model, { id, changes: record }) => model.updateSession(id, record));
      return {
        args: [list, ...options()],
        keys: ids.flatMap((id) => hold('sessions', id)),
        effect: isOurs ? effect : undefined,
      };
    },
    deleteSession() {
      const id = oldKey('sessions');
      const target = odd(id);
      return {
        args: [target, ...options()],
        keys: hold('sessions', id),
        effect: (model) => target === id && model.deleteSession(id),
      };
    },
    getSession: () => reader(odd(oldKey('sessions'))),
    listSessions: () => reader(odd(maybe(dice.pick(STATUSES)))),
    iterateSessions: () => iteration({ status: odd(maybe('running')), after: odd(maybe(oldKey('sessions')), 0.1) }),

    addFileHash() {
      const hash = oddKey(newOrOld('hashes', 'h'));
      const record = file(hash);
      const onConflict = dice.pick([undefined, undefined, 'ignore', 'replace']);
      const isOdd = dice.chance(0.1);
      const signal = dice.chance(0.1) ? { signal: hostile.signal() } : {};
      return {
        args: [hostile.shell(record), isOdd ? hostile.value() : { onConflict, ...signal }],
        keys: hold('hashes', hash),
        effect: (model) => model.addFileHash(record, isOdd ? undefined : onConflict),
      };
    },
    addFileHashes() {
      const hashes = [...new Set(batchOf(() => newOrOld('hashes', 'b'), 4))];
      const records = hashes.map((hash) => file(hash));
      const isOurs = dice.chance(0.95);
      const list = !isOurs ? hostile.value() : records.map((record) => hostile.shell(record));
      return {
        args: [list, { onConflict: 'ignore' }],
        keys: hashes.flatMap((hash) => hold('hashes', hash)),
        effect: isOurs
          ? eachFulfilled(records, (model, record, value) => {
              if ((value === 'ignored') !== model.hashes.has(record.hash))
                throw new Error(`${record.hash} was ${value}`);
              model.addFileHash(record, 'ignore');
            })
          : undefined,
      };
    },
    deleteFileHash() {
      const hash = oldKey('hashes');
      const target = odd(hash);
      return {
        args: [target, ...options()],
        keys: hold('hashes', hash),
        effect: (model) => target === hash && model.hashes.delete(hash),
      };
    },
    getFileHash: () => reader(odd(oldKey('hashes'), 0.2)),
    findFileHashes: () => reader(odd('chat', 0.2)),
    findUploaded: () => reader(odd(hostile.shell([oldKey('hashes') ?? 'x', odd('y', 0.2)]), 0.2)),
    isFileUploaded: () => reader(odd(oldKey('hashes'), 0.3)),
    iterateFileHashes: () => iteration({ chat_id: odd(maybe('chat')), after: odd(maybe(oldKey('hashes')), 0.1) }),

    logError() {
      const id = oldKey('sessions');
      const record = error(odd(id ?? 'none'));
      return {
        args: [hostile.shell(record), ...options()],
        keys: hold('sessions', id),
        effect: (model, result) => model.logError(result, record),
      };
    },
    logErrors() {
      const id = oldKey('sessions');
      const records = batchOf(() => error(id ?? 'none'), 4);
      const isOurs = dice.chance(0.95);
      const list = !isOurs ? hostile.value() : records.map((record) => hostile.shell(record));
      const effect = eachFulfilled(records, (model, record, value) => model.logError(value, record));
      return {
        args: [list, ...options()],
        keys: hold('sessions', id),
        effect: isOurs ? effect : undefined,
      };
    },
    incrementRetryCount() {
      const id = oldKey('errors');
      const owner = expected.errors.get(id)?.session_id;
      const isFree = !play.inUse.has(`sessions:${owner}`);
      const wanted = odd(isFree ? id : undefined, 0.2);
      const target = wanted !== id && expected.errors.has(wanted) ? undefined : wanted;
      return {
        args: [target, ...options()],
        keys: [...hold('errors', id), ...hold('sessions', owner)],
        effect: (model, result) => model.incrementRetryCount(Object.is(target, -0) ? 0 : target, result),
      };
    },
    clearErrors() {
      const id = oldKey('sessions');
      const target = odd(id);
      return {
        args: [target, ...options()],
        keys: hold('sessions', id),
        effect: (model) => target === id && model.clearErrors(id),
      };
    },
    getErrors: () => reader(odd(oldKey('sessions'), 0.2)),
    iterateErrors: () =>
      iteration({ session_id: odd(maybe(oldKey('sessions')), 0.1), after: odd(maybe(oldKey('errors')), 0.1) }),

    setConfig() {
      const key = oddKey(newOrOld('settings', 'k'));
      const { value, json } = setting();
      return {
        args: [key, value, ...options()],
        keys: hold('settings', key),
        effect: (model) => model.settings.set(key, json ?? JSON.stringify(value)),
      };
    },
    deleteConfig() {
      const key = oldKey('settings');
      const target = odd(key);
      return {
        args: [target, ...options()],
        keys: hold('settings', key),
        effect: (model) => target === key && model.settings.delete(key),
      };
    },
    getConfig: () => reader(odd(oldKey('settings'), 0.2)),
    listConfig: () => reader(),

    transaction: () => play.transactionRule(options),
    backup: () => ({
      args: [
        play.folderPath(odd(`backup-${play.unique()}`, 0.3)),
        odd(
          {
            onProgress: progress(),
            overwrite: odd(maybe(true)),
            ...(dice.chance(0.2) ? { signal: hostile.signal() } : {}),
          },
          0.1,
        ),
      ],
    }),
    restore: () => ({ args: [play.folderPath(hostile.value()), odd({ onProgress: progress() }, 0.2)] }),
    checkIntegrity: () => ({
      args: [odd(hostile.shell({ deep: odd(maybe(true)), max_ms: odd(maybe(1000), 0.2) }), 0.2)],
    }),
    repair: () => ({ args: [odd(hostile.shell({ dry_run: odd(true, 0.2), onProgress: progress() }), 0.2)] }),
    on: () => ({ args: [odd('reconnect', 0.3), odd(() => {}, 0.3)] }),
    once: () => ({ args: [odd('checkpointError', 0.3), odd(() => {}, 0.3)] }),
    off: () => ({ args: [odd('reconnect', 0.3), odd(() => {}, 0.3)] }),
    connect: () => ({ args: [] }),
    disconnect: () => ({ args: [] }),
  };
}

module.exports = { managerRules };
