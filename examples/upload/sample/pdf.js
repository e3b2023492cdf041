// @ts-check
'use strict';

/** Owns the making of PDF documents: pages of made-up text, with a right table of offsets. */

const LINES_PER_PAGE = 50;
const WORDS_PER_LINE = 11;
const WORDS = [
  'invoice',
  'garden',
  'ticket',
  'of',
  'the',
  'meeting',
  'house',
  'for',
  'school',
  'and',
  'letter',
  'paid',
];
const CATALOG = 1;
const PAGE_TREE = 2;
const FONT = 3;
const FIRST_PAGE = 4;

/**
 * @param {import('../random.js').Random} random
 * @param {{ pages: number, title: string }} document a page is about 4 KB
 */
function encodePdf(random, { pages, title }) {
  const pageNumbers = Array.from({ length: pages }, (_, index) => FIRST_PAGE + index * 2);
  const objects = [
    `<< /Type /Catalog /Pages ${PAGE_TREE} 0 R >>`,
    `<< /Type /Pages /Count ${pages} /Kids [${pageNumbers.map((number) => `${number} 0 R`).join(' ')}] >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    ...pageNumbers.flatMap((number) => [pageObject(number + 1), streamObject(pageText(random, title))]),
  ];

  // The comment of high bytes tells programs that move files that this one is not text.
  let body = '%PDF-1.4\n%\xe2\xe3\xcf\xd3\n';
  const offsets = objects.map((object, index) => {
    const offset = body.length;
    body += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  // Each line of the table has exactly 20 bytes, its end included.
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  const size = objects.length + 1;
  const end = [
    `xref\n0 ${size}\n0000000000 65535 f \n${table}`,
    `trailer\n<< /Size ${size} /Root ${CATALOG} 0 R >>\n`,
    `startxref\n${body.length}\n%%EOF\n`,
  ];
  return Buffer.from(body + end.join(''), 'latin1');
}

/** @param {number} content the number of the object that holds the page's text */
function pageObject(content) {
  return [
    `<< /Type /Page /Parent ${PAGE_TREE} 0 R /MediaBox [0 0 595 842]`,
    `   /Resources << /Font << /F1 ${FONT} 0 R >> >> /Contents ${content} 0 R >>`,
  ].join('\n');
}

/** @param {string} content */
function streamObject(content) {
  return `<< /Length ${content.length} >>\nstream\n${content}\nendstream`;
}

/**
 * @param {import('../random.js').Random} random
 * @param {string} title
 */
function pageText(random, title) {
  const lines = Array.from({ length: LINES_PER_PAGE }, () =>
    Array.from({ length: WORDS_PER_LINE }, () => random.pick(WORDS)).join(' '),
  );
  return ['BT /F1 10 Tf 14 TL 40 800 Td', ...[title, ...lines].map((line) => `(${line}) Tj T*`), 'ET'].join('\n');
}

module.exports = { encodePdf };
