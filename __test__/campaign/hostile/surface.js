'use strict';

/**
 * Owns the list of everything that can be called: it is read from the classes themselves, so that a
 * method nobody thought of here is called all the same, and compared with what the types declare.
 */

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..', '..');

/** What the manager has of `EventEmitter` and documents. */
const EVENT_METHODS = ['on', 'once', 'off'];

/** Names of all methods and getters of an object's own classes. */
function membersOf(object) {
  const names = new Set();
  for (let level = Object.getPrototypeOf(object); level; level = Object.getPrototypeOf(level)) {
    if (['Object', 'EventEmitter'].includes(level.constructor.name)) break;
    for (const name of Reflect.ownKeys(level)) if (name !== 'constructor') names.add(name);
  }
  return [...names];
}

/** Every class or interface of the type files with its members' names, and the names of the exported values. */
function readTypes() {
  const folder = path.join(ROOT, 'types');
  const files = [path.join(ROOT, 'index.d.ts'), ...readdirSync(folder).map((file) => path.join(folder, file))];
  const text = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  const values = [...text.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  const types = new Map();
  for (const [, name, body] of text.matchAll(/^export (?:class|interface) (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
    const members = [...body.matchAll(/^ {2}(?:readonly )?(\[?[\w.]+\]?)\??[<(:]/gm)].map(([, member]) => member);
    types.set(name, new Set(members.filter((member) => member !== 'constructor')));
  }
  return { values, types };
}

/** Older engines call these symbols otherwise. */
const shown = (name) =>
  typeof name === 'symbol' ? `[${name.description.replace(/^.*?(asyncDispose|dispose)$/, 'Symbol.$1')}]` : name;

/**
 * Says in which ways the classes differ from their types.
 *
 * @param {Record<string, object>} samples an instance of each type
 * @param {Record<string, unknown>} exported the module
 * @returns {string[]}
 */
function compareWithTypes(samples, exported) {
  const { values, types } = readTypes();
  const problems = [];
  const compare = (what, here, declared, besides = []) => {
    for (const name of here) {
      if (!declared.has(name) && !besides.includes(name)) problems.push(`${what}.${name} is not in the types`);
    }
    for (const name of declared) if (!here.has(name)) problems.push(`${what}.${name} is in the types alone`);
  };
  compare('index', new Set(Object.keys(exported)), new Set(values));
  for (const [type, sample] of Object.entries(samples)) {
    const here = new Set([...membersOf(sample), ...Object.getOwnPropertyNames(sample)].map(shown));
    if (type === 'DatabaseManager') for (const name of EVENT_METHODS) here.add(name);
    // What better-sqlite3's `Database` has and this one refuses by name.
    const refused = ['aggregate', 'backup', 'function', 'loadExtension', 'serialize', 'table', 'unsafeMode'];
    const internal = Object.getOwnPropertyNames(sample).filter((name) => name.startsWith('_'));
    compare(type, here, types.get(type) ?? new Set(), type === 'Database' ? refused : internal);
  }
  return problems;
}

/** Few of a play's calls may be of these: each is work on another thread. */
const SLOW = new Set([
  'vacuum',
  'analyze',
  'backup',
  'restore',
  'checkIntegrity',
  'repair',
  'connect',
  'disconnect',
  'Symbol.asyncDispose',
  'initializeSchema',
  'flush',
]);

/** Says whether `name` is read, not called. */
function isGetterOf(object, name) {
  for (let level = object; level; level = Object.getPrototypeOf(level)) {
    const property = Object.getOwnPropertyDescriptor(level, name);
    if (property) return property.get !== undefined;
  }
  return false;
}

module.exports = { SLOW, isGetterOf, EVENT_METHODS, compareWithTypes, membersOf, shown };
