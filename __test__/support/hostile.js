'use strict';

/** Owns hostile values, the canary that no error may repeat, and what every error must be like. */

const assert = require('node:assert/strict');
const { DatabaseError } = require('../../index.js');

/** Stands in bound values, settings and SQL texts: an error that holds it gives secrets away. */
const CANARY = 'canary-5ecre7';

/** Not storable anywhere: UTF-8 has no form for it. */
const LONE_SURROGATE = `${CANARY}\ud800`;

function throwCanary() {
  throw new Error(`a hostile value was converted: ${CANARY}`);
}

/** What converts to a plausible value, or throws, when it is asked to. */
const OBJECTS = {
  'an empty object': {},
  'an object that converts': { toString: () => CANARY, valueOf: () => 1 },
  'an object that throws when converted': { toString: throwCanary, valueOf: throwCanary, toJSON: throwCanary },
  'a boxed string': Object(CANARY),
  'a boxed number': Object(1),
  'an array': [CANARY],
  'a date': new Date(0),
  bytes: Buffer.from(CANARY),
  'a proxy': new Proxy({}, { get: throwCanary, has: throwCanary, ownKeys: throwCanary }),
};

/** What is neither a string, a number, null nor undefined. */
const STRANGERS = {
  ...OBJECTS,
  true: true,
  'a bigint': 1n,
  'a symbol': Symbol(CANARY),
  'a function': () => CANARY,
};

const NOTHING = { null: null, undefined: undefined };

const NUMBERS = { NaN: NaN, 0: 0, '-0': -0, 1.5: 1.5, Infinity: Infinity };

/** Numbers that are no counter. */
const BAD_COUNTERS = {
  NaN: NaN,
  Infinity: Infinity,
  '-Infinity': -Infinity,
  '-1': -1,
  1.5: 1.5,
  '2^53': 2 ** 53,
  'the smallest number': Number.MIN_VALUE,
  'the largest number': Number.MAX_VALUE,
  'a string': '1',
  'a secret string': CANARY,
  'an empty string': '',
};

/** Texts that are legitimate, though unusual. */
const ODD_TEXTS = {
  'a text with NUL': `${CANARY}\0after`,
  'a replacement character': '\ufffd',
  'an emoji': '\u{1f389}',
  'a path': '../../etc/passwd',
  SQL: "'; DROP TABLE upload_sessions; --",
  __proto__: '__proto__',
  'a megabyte': 'm'.repeat(1_048_576),
};

const TIMES = {
  canonical: '2026-01-31T12:00:00.000Z',
  'a date': '2026-01-31',
  'with an offset': '2026-01-31T14:00:00+02:00',
  "SQLite's": '2026-01-31 12:00:00',
};

const BAD_TIMES = {
  'an empty text': '',
  'a word': 'now',
  'a secret': CANARY,
  'no such day': '2026-02-30T00:00:00Z',
  'year 10000': '+010000-01-01T00:00:00Z',
  milliseconds: '1769860800000',
  'a time with NUL': '2026-01-31T12:00:00Z\0',
};

const LONE = { 'a lone surrogate': LONE_SURROGATE };

/** For each kind of field, which values are accepted and which are refused. */
const KINDS = {
  text: {
    accepted: { ...ODD_TEXTS, 'an empty text': '' },
    refused: { ...STRANGERS, ...NOTHING, ...NUMBERS, ...LONE },
  },
  filledText: {
    accepted: ODD_TEXTS,
    refused: { ...STRANGERS, ...NOTHING, ...NUMBERS, ...LONE, 'an empty text': '' },
  },
  optionalText: {
    accepted: { ...ODD_TEXTS, ...NOTHING, 'an empty text': '' },
    refused: { ...STRANGERS, ...NUMBERS, ...LONE },
  },
  optionalFilledText: {
    accepted: { ...ODD_TEXTS, ...NOTHING },
    refused: { ...STRANGERS, ...NUMBERS, ...LONE, 'an empty text': '' },
  },
  changedText: {
    accepted: { ...ODD_TEXTS, 'an empty text': '', undefined: undefined },
    refused: { ...STRANGERS, ...NUMBERS, ...LONE, null: null },
  },
  counter: {
    accepted: { 0: 0, '-0': -0, 1: 1, '2^53-1': Number.MAX_SAFE_INTEGER },
    refused: { ...STRANGERS, ...NOTHING, ...BAD_COUNTERS },
  },
  optionalCounter: {
    accepted: { 0: 0, '-0': -0, '2^53-1': Number.MAX_SAFE_INTEGER, ...NOTHING },
    refused: { ...STRANGERS, ...BAD_COUNTERS },
  },
  changedCounter: {
    accepted: { 0: 0, '-0': -0, '2^53-1': Number.MAX_SAFE_INTEGER, undefined: undefined },
    refused: { ...STRANGERS, ...BAD_COUNTERS, null: null },
  },
  delta: {
    accepted: { 0: 0, '-0': -0, 1: 1, '-1': -1, ...NOTHING },
    refused: {
      ...STRANGERS,
      NaN: NaN,
      Infinity: Infinity,
      '-Infinity': -Infinity,
      1.5: 1.5,
      '2^53': 2 ** 53,
      '-2^53': -(2 ** 53),
      'a string': '1',
      'an empty string': '',
    },
  },
  time: { accepted: TIMES, refused: { ...STRANGERS, ...NOTHING, ...NUMBERS, ...LONE, ...BAD_TIMES } },
  optionalTime: { accepted: { ...TIMES, ...NOTHING }, refused: { ...STRANGERS, ...NUMBERS, ...LONE, ...BAD_TIMES } },
  changedTime: {
    accepted: { ...TIMES, undefined: undefined },
    refused: { ...STRANGERS, ...NUMBERS, ...LONE, ...BAD_TIMES, null: null },
  },
};

/** A kind whose accepted texts are a fixed set. */
function oneOf(texts, nothing = {}) {
  return {
    accepted: { ...Object.fromEntries(texts.map((text) => [text, text])), ...nothing },
    refused: {
      ...STRANGERS,
      ...NUMBERS,
      ...LONE,
      ...(nothing.null === undefined ? { null: null } : {}),
      'an empty text': '',
      'a secret': CANARY,
      'upper case': texts[0].toUpperCase(),
      'with a space': `${texts[0]} `,
      'with NUL': `${texts[0]}\0`,
      __proto__: '__proto__',
      constructor: 'constructor',
    },
  };
}

/** An error with all those that caused it. */
function causeChain(error) {
  const chain = [];
  for (let link = error; link instanceof Error && !chain.includes(link); link = link.cause) chain.push(link);
  return chain;
}

/** Asserts what holds for every error of this package. */
function assertTyped(error, { code, operation, field, label = '' }) {
  const shown = `${label}: ${error instanceof Error ? error.stack : String(error)}`;
  assert.ok(error instanceof DatabaseError, `a DatabaseError, not ${shown}`);
  assert.equal(typeof error.code, 'string', shown);
  assert.match(error.code, /^(DB|SQLITE)_[A-Z_]+$/, shown);
  assert.notEqual(error.code, 'DB_INTERNAL', shown);
  assert.equal(typeof error.retryable, 'boolean', shown);
  assert.equal(error.name, 'DatabaseError', shown);
  if (code) assert.equal(error.code, code, shown);
  if (operation) assert.equal(error.operation, operation, shown);
  if (field) assert.ok(error.message.includes(field), `the message names ${field}: ${shown}`);
  assertNoSecret(error, shown);
}

function assertNoSecret(error, shown) {
  for (const link of causeChain(error)) {
    const own = Object.getOwnPropertyNames(link).map((name) => (name === 'cause' ? '' : String(link[name])));
    assert.ok(!own.join('\n').includes(CANARY), `an error gives a secret away: ${shown}`);
  }
}

/** Calls what returns a promise, asserts that it rejects as described, and returns the error. */
async function assertRefused(call, expected) {
  let promise;
  try {
    promise = call();
  } catch (error) {
    assert.fail(`${expected.label}: thrown at once instead of a rejection: ${error.stack}`);
  }
  const error = await promise.then(
    () => assert.fail(`${expected.label}: was accepted`),
    (reason) => reason,
  );
  if (error instanceof assert.AssertionError) throw error;
  assertTyped(error, expected);
  return error;
}

/** Calls what works at once, asserts that it throws as described, and returns the error. */
function assertThrows(call, expected) {
  let error;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  assert.notEqual(error, undefined, `${expected.label}: was accepted`);
  assertTyped(error, expected);
  return error;
}

module.exports = {
  CANARY,
  KINDS,
  LONE_SURROGATE,
  NOTHING,
  STRANGERS,
  assertRefused,
  assertThrows,
  assertTyped,
  causeChain,
  oneOf,
};
