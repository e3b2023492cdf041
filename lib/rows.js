// @ts-check
'use strict';

/** Owns making row objects of what the addon hands over: column names, and cells row by row. */

/** @typedef {Record<string, any>} Row */

/**
 * @param {readonly string[]} columns
 * @param {readonly unknown[]} cells
 * @param {number} start the index of the row's first cell
 * @returns {Row}
 */
function buildRow(columns, cells, start) {
  /** @type {Row} */
  const row = {};
  for (let index = 0; index < columns.length; index += 1) {
    const name = columns[index];
    if (name === '__proto__') {
      // Assigning would set the row's prototype instead of a property.
      Object.defineProperty(row, name, {
        value: cells[start + index],
        configurable: true,
        enumerable: true,
        writable: true,
      });
    } else {
      row[name] = cells[start + index];
    }
  }
  return row;
}

/**
 * @param {[string[], unknown[]]} result
 * @returns {Row | undefined}
 */
function firstRow([columns, cells]) {
  return cells.length === 0 ? undefined : buildRow(columns, cells, 0);
}

/**
 * @param {[string[], unknown[]]} result
 * @returns {Row[]}
 */
function allRows([columns, cells]) {
  const rows = [];
  for (let start = 0; start < cells.length; start += columns.length) {
    rows.push(buildRow(columns, cells, start));
  }
  return rows;
}

module.exports = { allRows, firstRow };
