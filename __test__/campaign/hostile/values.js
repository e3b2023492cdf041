'use strict';

/** Owns hostile values: what a caller could hand in by mistake or on purpose. */

const MEGABYTE = 'm'.repeat(1_048_576);
const NUMBERS = [
  ...[Number.NaN, -0, 0, 1, -1, 1.5, 0.1, 2 ** 31, 2 ** 32 + 1, -(2 ** 31) - 1, 2 ** 53, 2 ** 53 - 1, -(2 ** 53)],
  ...[2 ** 63, -(2 ** 63), 2 ** 64, Number.MIN_VALUE, Number.MAX_VALUE, Infinity, -Infinity],
];
const BIGINTS = [
  0n,
  1n,
  -1n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 63n,
  -(2n ** 63n) - 1n,
  2n ** 64n,
  10n ** 60n,
];
const TEXTS = [
  ...['', ' ', 'x', 'a\0b', '\0', '\ud800', 'x\udc00y', '\ufffd', '\u{1f389}', '__proto__', 'constructor', 'toString'],
  ...["'; DROP TABLE upload_sessions; --", '1', 'null', '2026-02-30T00:00:00Z', 'NaN', '%s%n', '\u202e', '\r\n'],
];
const PRIMITIVES = [undefined, null, true, false];

/**
 * Makes hostile values out of a random source.
 *
 * `act` is called from inside getters, traps and conversions; what it throws is in `planted`.
 */
class Hostile {
  /**
   * @param {import('./dice.js').Dice} dice
   * @param {{ act: () => void, planted: Set<unknown> }} hooks
   */
  constructor(dice, { act, planted }) {
    this.dice = dice;
    this.act = act;
    this.planted = planted;
    /** Whether a value was made at which the engine itself throws, such as a revoked proxy. */
    this.engineThrows = false;
  }

  /** Throws something that is known again when it comes out. */
  explode() {
    const thrown = this.dice.pick([new Error('planted'), Object.freeze({ planted: true }), Symbol('planted')]);
    this.planted.add(thrown);
    throw thrown;
  }

  /** What a getter or trap does: something of the caller's, and half the time it throws. */
  trap(value) {
    return () => {
      this.act();
      if (this.dice.chance(0.3)) this.explode();
      return value;
    };
  }

  text() {
    return this.dice.chance(0.01) ? MEGABYTE : this.dice.pick(TEXTS);
  }

  primitive() {
    const { dice } = this;
    return dice.pick([
      () => dice.pick(PRIMITIVES),
      () => dice.pick(NUMBERS),
      () => dice.pick(BIGINTS),
      () => this.text(),
      () => this.text(),
      () => Symbol('s'),
    ])();
  }

  bytes() {
    const detached = new Uint8Array(new ArrayBuffer(8));
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    return this.dice.pick([
      () => this.unforgiving(detached),
      () => detached.buffer,
      () => new Uint8Array(new SharedArrayBuffer(16)),
      () => new SharedArrayBuffer(8),
      () => new Uint8Array(0),
      () => new Float64Array([Number.NaN]),
      () => new DataView(new ArrayBuffer(4)),
      () => Buffer.from('bytes'),
      () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 }), 4),
      () => new BigInt64Array(2),
    ])();
  }

  object() {
    const { dice } = this;
    const cyclic = { name: 'cyclic', list: [] };
    cyclic.list.push(cyclic);
    return dice.pick([
      () => ({}),
      () => [],
      () => [[], [undefined]],
      () => Object.assign(new Array(40), { 7: 'sparse' }),
      () => [this.primitive(), this.primitive()],
      () => Object.create(null),
      () => JSON.parse('{"__proto__": {"hash": "x"}, "constructor": 1}'),
      () => cyclic,
      () => this.nested(20_000),
      () => new Date(Number.NaN),
      () => new Map([[1, 2]]),
      () => new Set([1]),
      () => Promise.resolve(1),
      () => Object.assign({}, Object.fromEntries([['then', (resolve) => resolve(1)]])),
      () => Object.defineProperty({}, 'then', { get: this.trap(undefined), enumerable: true }),
      () => Object(this.dice.pick(TEXTS)),
      () => Object(1n),
      () => /x/g,
      () => () => this.trap(1)(),
      () => async () => 1,
      () => this.unforgiving(class Klass {}),
      () => ({ toJSON: this.trap({ a: 1 }) }),
      () => ({ toString: this.trap('text'), valueOf: this.trap(1), [Symbol.toPrimitive]: this.trap('1') }),
      () => ({ get hash() { return 'h'; }, signal: {}, limit: -1 }), // biome-ignore format: one value a line
      () =>
        Object.defineProperty({}, dice.pick(['path', 'signal', 'hash', 'id', 'deep', 'then', 'length', '0']), {
          get: this.trap(dice.pick(TEXTS)),
          enumerable: dice.chance(0.8),
        }),
      () => new Proxy({}, { get: this.trap(1), has: this.trap(true), ownKeys: this.trap([]) }),
      () => new Proxy([1, 2], { get: (list, key) => (key === 'length' ? this.trap(2)() : list[key]) }),
      () => this.strange(),
      () => this.bytes(),
    ])();
  }

  /** Something like a promise that settles one way or the other, and acts before it does. */
  thenable() {
    return Object.fromEntries([
      [
        'then',
        (/** @type {(value: unknown) => void} */ resolve) => {
          this.trap(undefined)();
          resolve(1);
        },
      ],
    ]);
  }

  /** What the engine itself throws at, when it is called. */
  unforgiving(value) {
    this.engineThrows = true;
    return value;
  }

  /** What the engine itself stumbles over. */
  strange() {
    this.engineThrows = true;
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return this.dice.pick([
      () => proxy,
      () => [proxy],
      () => ({ [Symbol.iterator]: () => ({ next: () => this.primitive() }) }),
      () => ({ [Symbol.iterator]: this.trap(undefined) }),
      () => new Proxy({}, { ownKeys: () => ['a', 'a'] }),
      () => new Proxy(Object.freeze({ a: 1 }), { get: () => 2 }),
    ])();
  }

  nested(depth) {
    let value = 1;
    for (let level = 0; level < depth; level += 1) value = level % 2 ? [value] : { value };
    return value;
  }

  /** A signal that is none, is aborted, or will be. */
  signal() {
    const controller = new AbortController();
    const reason = new Error('planted reason');
    this.planted.add(reason);
    return this.dice.pick([
      () => AbortSignal.abort(reason),
      () => {
        setImmediate(() => controller.abort(reason));
        return controller.signal;
      },
      () => {
        queueMicrotask(() => controller.abort(reason));
        return controller.signal;
      },
      () => ({ aborted: false, addEventListener: this.trap(undefined), removeEventListener() {} }),
      () => ({ aborted: 'no', addEventListener() {}, removeEventListener() {} }),
      () => this.primitive(),
    ])();
  }

  value() {
    return this.dice.chance(0.5) ? this.primitive() : this.object();
  }

  list(longest) {
    return Array.from({ length: this.dice.below(longest + 1) }, () => this.value());
  }

  /** Wraps a record so that reading it runs the caller's code; the values stay as they are. */
  shell(record) {
    const { dice } = this;
    return dice.pick([
      () => record,
      () => record,
      () => Object.freeze({ ...record }),
      () => Object.assign(Object.create(null), record),
      () => Object.create(record),
      () => new Proxy(record, { get: (target, key) => (dice.chance(0.2) ? this.trap(target[key])() : target[key]) }),
      () => new Proxy(record, { ownKeys: (target) => (dice.chance(0.5) ? this.trap(Reflect.ownKeys(target))() : Reflect.ownKeys(target)) }), // biome-ignore format: one shell a line
      () => {
        const copy = { ...record };
        const key = dice.pick(Object.keys(record).concat('hash'));
        return Object.defineProperty(copy, key, { get: this.trap(record[key]), enumerable: true });
      },
      () => {
        // Another answer each time: only the first may count.
        const copy = { ...record };
        const key = dice.pick(Object.keys(record).concat('hash'));
        let reads = 0;
        const get = () => (reads++ === 0 ? record[key] : this.value());
        return Object.defineProperty(copy, key, { get, enumerable: true });
      },
      () => ({ ...record, [dice.pick(['id2', '__proto__x', 'rowid', 'select'])]: this.value() }),
    ])();
  }
}

module.exports = { Hostile };
