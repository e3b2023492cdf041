// @ts-check
'use strict';

const { NULL, SAME, SMALL, readWide } = require('./rows.js');

/**
 * Owns the builders of rows of any SQL: one for each list of columns and form of row. A builder
 * that is used much is compiled into an object literal; where `new Function` is forbidden, and
 * before it pays, rows are built property by property.
 *
 * @typedef {import('./rows.js').Builder} Builder
 * @typedef {'object' | 'raw' | 'pluck' | 'expand'} Form
 * @typedef {(text: string, codes: Int32Array, blobs: Uint8Array | undefined) => any} RowBuilder
 * @typedef {object} Shape
 * @property {Builder} build
 * @property {RowBuilder} buildFirst
 */

/** From how many rows on compiling pays. */
const HOT_ROWS = 64;

/** With more columns, compiling costs more than it gives. */
const MAX_COMPILED_COLUMNS = 64;

/** How many shapes are kept for statements with the same columns. */
const MAX_SHAPES = 256;

/** The name under which `expand` puts what comes from no table. */
const NO_TABLE = '$';

let mayCompile = true;

/** @type {Map<string, Shape>} */
const shapes = new Map();

/**
 * Finds or makes the shape of rows.
 *
 * @param {Form} form
 * @param {readonly string[]} columns
 * @param {readonly (string | null | undefined)[]} [tables] each column's table, to expand by
 */
function shapeOf(form, columns, tables) {
  const key = form + JSON.stringify(tables ? [columns, tables] : columns);
  let shape = shapes.get(key);
  if (shape === undefined) {
    shape = makeShape(form, columns, tables);
    if (shapes.size >= MAX_SHAPES) shapes.delete(/** @type {string} */ (shapes.keys().next().value));
    shapes.set(key, shape);
  }
  return shape;
}

/**
 * @param {Form} form
 * @param {readonly string[]} columns
 * @param {readonly (string | null | undefined)[]} [tables]
 * @returns {Shape}
 */
function makeShape(form, columns, tables = []) {
  const groups = tables.map((table) => table ?? NO_TABLE);
  const assemble = ASSEMBLERS[form];
  let left = HOT_ROWS;
  /** @type {any[]} */
  const cells = new Array(columns.length);
  /** @type {Shape} */
  const shape = {
    build(text, codes, blobs, rows) {
      left -= codes[0];
      if (left <= 0 && mayCompile && columns.length <= MAX_COMPILED_COLUMNS) {
        compile(shape, form, columns, groups);
        if (mayCompile) {
          shape.build(text, codes, blobs, rows);
          return;
        }
      }
      let at = 1;
      let start = 0;
      for (let row = codes[0]; row > 0; row -= 1) {
        for (let index = 0; index < cells.length; index += 1) {
          const code = codes[at++];
          if (code >= 0) {
            cells[index] = text.slice(start, code);
            start = code;
          } else if (code <= SMALL) cells[index] = SMALL - code;
          else if (code === NULL) cells[index] = null;
          // A text like that of the row above is still there.
          else if (code !== SAME) cells[index] = readWide(code, codes[at++], codes[at++], blobs);
        }
        rows.push(assemble(cells, columns, groups));
      }
      cells.fill(undefined);
    },
    buildFirst(text, codes, blobs) {
      /** @type {any[]} */
      const rows = [];
      shape.build(text, codes, blobs, rows);
      return rows[0];
    },
  };
  return shape;
}

/** @type {Record<Form, (cells: any[], columns: readonly string[], groups: readonly string[]) => any>} */
const ASSEMBLERS = {
  object: (cells, columns) => {
    /** @type {Record<string, any>} */
    const row = {};
    for (let index = 0; index < columns.length; index += 1) setOwn(row, columns[index], cells[index]);
    return row;
  },
  raw: (cells) => cells.slice(),
  pluck: (cells) => cells[0],
  expand: (cells, columns, groups) => {
    /** @type {Record<string, any>} */
    const row = {};
    for (const group of groups) setOwn(row, group, {});
    for (let index = 0; index < columns.length; index += 1) {
      const group = Object.getOwnPropertyDescriptor(row, groups[index])?.value;
      setOwn(group, columns[index], cells[index]);
    }
    return row;
  },
};

/**
 * @param {Record<string, any>} object
 * @param {string} name
 * @param {unknown} value
 */
function setOwn(object, name, value) {
  if (name === '__proto__') {
    // Assigning would set the prototype instead of a property.
    Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/**
 * Replaces a shape's builders by compiled ones.
 *
 * @param {Shape} shape
 * @param {Form} form
 * @param {readonly string[]} columns
 * @param {readonly string[]} groups
 */
function compile(shape, form, columns, groups) {
  const cells = columns
    .map(
      (_, index) => `
    code = codes[at++];
    if (code >= 0) {
      c${index} = text.slice(start, code);
      start = code;
    } else if (code <= ${SMALL}) c${index} = ${SMALL} - code;
    else if (code === ${NULL}) c${index} = null;
    else if (code !== ${SAME}) c${index} = readWide(code, codes[at++], codes[at++], blobs);`,
    )
    .join('');
  const variables = ['code = 0', 'at = 1', 'start = 0', ...columns.map((_, index) => `c${index}`)].join(', ');
  const row = writeLiteral(form, columns, groups);
  try {
    const make = new Function(
      'readWide',
      `'use strict';
return {
  build(text, codes, blobs, rows) {
    let ${variables};
    let count = rows.length;
    for (let row = codes[0]; row > 0; row -= 1) {${cells}
    rows[count++] = ${row};
    }
  },
  buildFirst(text, codes, blobs) {
    let ${variables};${cells}
    return ${row};
  },
};`,
    );
    Object.assign(shape, make(readWide));
  } catch (error) {
    // Code from text is forbidden in this process, or this context.
    if (!(error instanceof EvalError)) throw error;
    mayCompile = false;
  }
}

/**
 * @param {Form} form
 * @param {readonly string[]} columns
 * @param {readonly string[]} groups
 */
function writeLiteral(form, columns, groups) {
  /** @param {string} name */
  const key = (name) => (name === '__proto__' ? '["__proto__"]' : JSON.stringify(name));
  /** @param {number[]} indexes */
  const object = (indexes) => `{${indexes.map((index) => `${key(columns[index])}: c${index}`).join(', ')}}`;
  const all = columns.map((_, index) => index);
  if (form === 'raw') return `[${all.map((index) => `c${index}`).join(', ')}]`;
  if (form === 'pluck') return columns.length > 0 ? 'c0' : 'undefined';
  if (form === 'object') return object(all);
  const parts = [...new Set(groups)].map(
    (group) => `${key(group)}: ${object(all.filter((index) => groups[index] === group))}`,
  );
  return `{${parts.join(', ')}}`;
}

module.exports = { shapeOf };
