// @ts-check
'use strict';

const { existsSync } = require('node:fs');
const { mkdir, rename, rm, writeFile } = require('node:fs/promises');
const path = require('node:path');
const { MEDIA_FOLDERS } = require('./media.js');
const { Random } = require('./random.js');
const { encodeJpeg } = require('./sample/jpeg.js');
const { encodeMp4 } = require('./sample/mp4.js');
const { encodeOpus } = require('./sample/opus.js');
const { encodePdf } = require('./sample/pdf.js');

/**
 * Owns the sample tree: what a phone's media folder looks like, in small. The same seed gives the
 * same bytes. Counters in names begin anew in each folder, so the same name stands in several
 * folders with different content; about a fifth of the files are copies of others.
 *
 * @typedef {(random: Random, title: string) => Buffer} Encoder
 *
 * @typedef {object} FolderPlan
 * @property {string} folder
 * @property {string} prefix of the names
 * @property {string} extension
 * @property {Encoder} encode
 * @property {number} count how many files of its own it has
 * @property {{ from: string, count: number }} [copies] files of an earlier folder that it has too
 * @property {boolean} [hasWeeks] whether its files lie in a folder for each week
 */

/** @type {Encoder} */
const encodePicture = (random, title) =>
  encodeJpeg(random, {
    columns: random.integer(40, 110),
    rows: random.integer(40, 110),
    grain: random.integer(2, 14),
    comment: title,
  });

/** @type {Encoder} */
const encodeVideo = (random) =>
  encodeMp4(random, { bytes: random.integer(60_000, 200_000), seconds: random.integer(3, 30) });

/** @type {Encoder} */
const encodeRecording = (random, title) =>
  encodeOpus(random, { pages: random.integer(2, 14), packetBytes: random.integer(20, 80), title });

/** @type {Encoder} */
const encodeDocument = (random, title) => encodePdf(random, { pages: random.integer(1, 12), title });

const PICTURE = { prefix: 'IMG', extension: '.jpg', encode: encodePicture };
const VIDEO = { prefix: 'VID', extension: '.mp4', encode: encodeVideo };
const DOCUMENT = { prefix: 'DOC', extension: '.pdf', encode: encodeDocument };
const VOICE_NOTE = { prefix: 'PTT', extension: '.opus', encode: encodeRecording };
const AUDIO = { prefix: 'AUD', extension: '.opus', encode: encodeRecording };

/** @type {FolderPlan[]} */
const PLAN = [
  { folder: 'WhatsApp Images', ...PICTURE, count: 16 },
  { folder: 'WhatsApp Images/Sent', ...PICTURE, count: 8, copies: { from: 'WhatsApp Images', count: 7 } },
  { folder: 'WhatsApp Images/Private', ...PICTURE, count: 3 },
  { folder: 'WhatsApp Video', ...VIDEO, count: 6 },
  { folder: 'WhatsApp Video/Sent', ...VIDEO, count: 2, copies: { from: 'WhatsApp Video', count: 2 } },
  { folder: 'WhatsApp Animated Gifs', ...VIDEO, count: 3, copies: { from: 'WhatsApp Video', count: 1 } },
  { folder: 'WhatsApp Documents', ...DOCUMENT, count: 6 },
  { folder: 'WhatsApp Documents/Sent', ...DOCUMENT, count: 2, copies: { from: 'WhatsApp Documents', count: 3 } },
  { folder: 'WhatsApp Voice Notes', ...VOICE_NOTE, count: 12, hasWeeks: true },
  { folder: 'WhatsApp Audio', ...AUDIO, count: 3, copies: { from: 'WhatsApp Voice Notes', count: 2 } },
];

/** Days of January 2026 on which something was sent; few, so that names meet. */
const DAYS = [2, 5, 9, 13, 17, 20, 25];

/** WhatsApp puts this file where the phone's gallery is not to look. */
const NO_MEDIA_FOLDERS = ['WhatsApp Images/Private', 'WhatsApp Voice Notes'];

/**
 * Makes the sample tree, unless it is there.
 *
 * @param {string} folder
 * @param {number} seed
 * @returns {Promise<boolean>} whether it was made now
 */
async function makeSample(folder, seed) {
  if (existsSync(folder)) return false;
  // Made beside its place and moved there at the end, so that a half-made tree is never used.
  const draft = `${folder}.part`;
  await rm(draft, { recursive: true, force: true });
  const root = path.join(draft, MEDIA_FOLDERS[0]);
  for (const [name, content] of listSample(seed)) {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  await rename(draft, folder);
  return true;
}

/**
 * Gives the sample's files: their paths below the media folder, and their bytes.
 *
 * @param {number} seed
 */
function listSample(seed) {
  const random = new Random(seed);
  /** @type {Map<string, Buffer>} */
  const files = new Map(NO_MEDIA_FOLDERS.map((folder) => [`${folder}/.nomedia`, Buffer.alloc(0)]));
  /** @type {Map<string, Buffer[]>} */
  const originals = new Map();
  for (const plan of PLAN) {
    const names = nameFiles(random, plan);
    const own = names.slice(0, plan.count).map((name) => plan.encode(random, `${path.basename(name)}, seed ${seed}`));
    const copies = plan.copies ? (originals.get(plan.copies.from) ?? []).slice(0, plan.copies.count) : [];
    originals.set(plan.folder, own);
    [...own, ...copies].forEach((content, index) => {
      files.set(names[index], content);
    });
  }
  return files;
}

/**
 * @param {Random} random
 * @param {FolderPlan} plan
 */
function nameFiles(random, { folder, prefix, extension, count, copies, hasWeeks }) {
  /** @type {Map<number, number>} */
  const counters = new Map();
  return Array.from({ length: count + (copies?.count ?? 0) }, () => {
    const day = random.pick(DAYS);
    const counter = counters.get(day) ?? 0;
    counters.set(day, counter + 1);
    const name = `${prefix}-202601${twoDigits(day)}-WA${String(counter).padStart(4, '0')}${extension}`;
    // 5 January 2026 is a Monday, the first day of the second week.
    return hasWeeks ? `${folder}/2026${twoDigits(Math.floor((day + 9) / 7))}/${name}` : `${folder}/${name}`;
  });
}

/** @param {number} value */
function twoDigits(value) {
  return String(value).padStart(2, '0');
}

module.exports = { makeSample };
