// @ts-check
'use strict';

const { DatabaseManager } = require('..');
const dataset = require('./dataset.js');
const { createRandom, deriveSeed } = require('./random.js');
const { formatTable, percentile } = require('./statistic.js');

/**
 * Owns the latencies: how long a single awaited call of each method of `DatabaseManager` takes on
 * the file of 100,000 rows, other calls being none. Every call begins in a turn of its own of the
 * event loop, and checkpoints fall where they fall.
 *
 * @typedef {object} Scenario
 * @property {string} method
 * @property {'usual' | 'heavy' | 'whole file'} kind how many calls are made; whole-file work is listed apart
 * @property {(call: number) => unknown} [before] gets ready for a call, untimed
 * @property {(call: number) => unknown} run
 *
 * @typedef {object} Latency
 * @property {string} method
 * @property {boolean} isMaintenance
 * @property {number} calls
 * @property {number} p50 milliseconds, as all of them
 * @property {number} p99
 * @property {number} max
 */

const LIMIT_MS = 10;

const CALLS = { usual: 2_000, heavy: 500, 'whole file': 20 };
const QUICK_CALLS = { usual: 300, heavy: 100, 'whole file': 5 };

/** Calls before the timed ones, so that what is timed is compiled. */
const WARM_UP_SHARE = 0.1;

/**
 * @param {string} file
 * @param {{ seed: number, quick: boolean }} options
 * @returns {Promise<Latency[]>}
 */
async function measureLatencies(file, { seed, quick }) {
  const manager = new DatabaseManager({ path: file });
  await manager.connect();
  try {
    const latencies = [];
    for (const scenario of createScenarios(manager, seed)) {
      const calls = (quick ? QUICK_CALLS : CALLS)[scenario.kind];
      latencies.push(await measureScenario(scenario, calls));
    }
    return latencies;
  } finally {
    await manager.disconnect();
  }
}

/**
 * @param {Scenario} scenario
 * @param {number} calls
 * @returns {Promise<Latency>}
 */
async function measureScenario({ method, kind, before, run }, calls) {
  const isMaintenance = kind === 'whole file';
  const warmUps = isMaintenance ? 1 : Math.ceil(calls * WARM_UP_SHARE);
  const times = [];
  for (let call = 0; call < warmUps + calls; call += 1) {
    await before?.(call);
    await new Promise((resolve) => setImmediate(resolve));
    const start = performance.now();
    await run(call);
    const took = performance.now() - start;
    if (call >= warmUps) times.push(took);
  }
  return {
    method,
    isMaintenance,
    calls,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    max: Math.max(...times),
  };
}

/**
 * @param {DatabaseManager} manager
 * @param {number} seed
 * @returns {Scenario[]}
 */
function createScenarios(manager, seed) {
  const random = createRandom(deriveSeed(seed, dataset.MISSING_FILES));
  const anySession = () => dataset.sessionId(random() % dataset.SESSIONS);
  const anyHash = () => dataset.hashText(seed, random() % dataset.FILES);
  const now = () => new Date().toISOString();
  let added = dataset.NEW_FILES;
  const newFile = () => {
    added += 1;
    return dataset.fileRecord(seed, added);
  };
  const newSession = () => ({
    chat_id: dataset.chatId(random() % dataset.CHATS),
    chat_name: 'Family',
    start_time: now(),
    last_update: now(),
    total_files: 100,
  });
  const progress = { processed_files: 50, success_count: 49, last_processed_file: dataset.filePath(50) };

  // What `before` leaves for `run`.
  let hash = '';
  let session = dataset.sessionId(dataset.SESSIONS - 1);
  let error = 0;
  const logErrors = (/** @type {string} */ id) =>
    manager.transaction(async () => {
      for (let index = 0; index < dataset.ERRORS_OF_SESSION; index += 1) {
        await manager.logError({ ...dataset.errorRecord(0, index), session_id: id });
      }
    });

  return [
    { method: 'isConnected', kind: 'usual', run: () => manager.isConnected() },
    { method: 'initializeSchema (there already)', kind: 'usual', run: () => manager.initializeSchema() },
    { method: 'getSchemaVersion', kind: 'usual', run: () => manager.getSchemaVersion() },
    { method: 'getSession', kind: 'usual', run: () => manager.getSession(anySession()) },
    { method: 'listSessions (1,000)', kind: 'heavy', run: () => manager.listSessions() },
    { method: 'listSessions (100 running)', kind: 'heavy', run: () => manager.listSessions('running') },
    { method: 'isFileUploaded', kind: 'usual', run: () => manager.isFileUploaded(anyHash()) },
    { method: 'getFileHash', kind: 'usual', run: () => manager.getFileHash(anyHash()) },
    {
      method: 'findFileHashes (1,000)',
      kind: 'heavy',
      run: () => manager.findFileHashes(dataset.chatId(random() % dataset.LARGE_CHATS)),
    },
    {
      method: 'getErrors (100)',
      kind: 'heavy',
      run: () => manager.getErrors(dataset.sessionId(random() % dataset.SESSIONS_WITH_ERRORS)),
    },
    { method: 'getStats', kind: 'heavy', run: () => manager.getStats() },
    { method: 'updateSession', kind: 'usual', run: () => manager.updateSession(anySession(), progress) },
    {
      method: 'incrementSession',
      kind: 'usual',
      run: () => manager.incrementSession(anySession(), { processed_files: 1, success_count: 1 }),
    },
    { method: 'addFileHash', kind: 'usual', run: () => manager.addFileHash(newFile()) },
    {
      method: 'addFileHash (replacing)',
      kind: 'usual',
      run: () => manager.addFileHash(dataset.fileRecord(seed, dataset.NEW_FILES + 1), { onConflict: 'replace' }),
    },
    {
      method: 'deleteFileHash',
      kind: 'usual',
      before: () => {
        hash = dataset.hashText(seed, added);
        added -= 1;
      },
      run: () => manager.deleteFileHash(hash),
    },
    {
      method: 'logError',
      kind: 'usual',
      run: async () => {
        error = await manager.logError(dataset.errorRecord(random() % dataset.SESSIONS));
      },
    },
    { method: 'incrementRetryCount', kind: 'usual', run: () => manager.incrementRetryCount(error) },
    {
      method: 'clearErrors (100)',
      kind: 'heavy',
      before: async () => {
        await manager.clearErrors(session);
        await logErrors(session);
      },
      run: () => manager.clearErrors(session),
    },
    { method: 'setConfig', kind: 'usual', run: (call) => manager.setConfig(`key-${call % 100}`, { parallel: call }) },
    { method: 'getConfig', kind: 'usual', run: (call) => manager.getConfig(`key-${call % 100}`) },
    { method: 'listConfig (100)', kind: 'usual', run: () => manager.listConfig() },
    { method: 'deleteConfig', kind: 'usual', run: (call) => manager.deleteConfig(`key-${call % 100}`) },
    { method: 'createSession', kind: 'usual', run: () => manager.createSession(newSession()) },
    {
      method: 'deleteSession (with 100 errors)',
      kind: 'heavy',
      before: async () => {
        session = await manager.createSession(newSession());
        await logErrors(session);
      },
      run: () => manager.deleteSession(session),
    },
    {
      method: 'transaction (addFileHash, updateSession)',
      kind: 'usual',
      run: () =>
        manager.transaction(async () => {
          await manager.addFileHash(newFile());
          await manager.updateSession(anySession(), progress);
        }),
    },
    { method: 'analyze', kind: 'whole file', run: () => manager.analyze() },
    { method: 'vacuum', kind: 'whole file', run: () => manager.vacuum() },
    { method: 'connect', kind: 'whole file', before: () => manager.disconnect(), run: () => manager.connect() },
    {
      method: 'disconnect',
      kind: 'whole file',
      before: async () => {
        await manager.connect();
        await manager.setConfig('benchmark', 0);
      },
      run: () => manager.disconnect(),
    },
  ];
}

/** @param {readonly Latency[]} latencies */
function formatLatencies(latencies) {
  const table = (/** @type {string} */ title, /** @type {readonly Latency[]} */ list) =>
    formatTable(
      [title, 'calls', 'p50 ms', 'p99 ms', 'max ms'],
      list.map(({ method, calls, p50, p99, max }) => [
        method,
        String(calls),
        ...[p50, p99, max].map((value) => value.toFixed(3)),
      ]),
    );
  const methods = latencies.filter(({ isMaintenance }) => !isMaintenance);
  const slow = methods.filter(({ p99 }) => p99 >= LIMIT_MS).map(({ method }) => method);
  const verdict =
    slow.length === 0
      ? `p99 is below ${LIMIT_MS} ms for every method.`
      : `p99 is not below ${LIMIT_MS} ms: ${slow.join(', ')}.`;
  const maintenance = latencies.filter(({ isMaintenance }) => isMaintenance);
  return [table('one awaited call', methods), verdict, table('whole-file maintenance', maintenance)].join('\n\n');
}

module.exports = { formatLatencies, measureLatencies };
