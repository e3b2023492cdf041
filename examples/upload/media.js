// @ts-check
'use strict';

const { createHash } = require('node:crypto');
const { createReadStream, existsSync } = require('node:fs');
const { readdir } = require('node:fs/promises');
const path = require('node:path');

/**
 * Owns the media tree: where it is, which chat folders and files it has, what a file is.
 *
 * Nothing here knows the ledger or the destination.
 *
 * @typedef {object} MediaFile
 * @property {string} name its path below the chat's folder, with `/`: files are handled in this order
 * @property {string} path
 *
 * @typedef {object} Chat
 * @property {string} folder
 * @property {string} name
 * @property {MediaFile[]} files sorted by name
 */

/** Where the media are below the folder that a user may name, the likeliest first. */
const MEDIA_FOLDERS = ['Android/media/com.whatsapp/WhatsApp/Media', 'WhatsApp/Media', 'Media'];

/** @type {Record<string, string>} */
const MIME_TYPES = {
  '.3gp': 'video/3gpp',
  '.aac': 'audio/aac',
  '.amr': 'audio/amr',
  '.doc': 'application/msword',
  '.docx': 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  '.gif': 'image/gif',
  '.heic': 'image/heic',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.m4a': 'audio/mp4',
  '.mkv': 'video/x-matroska',
  '.mov': 'video/quicktime',
  '.mp3': 'audio/mpeg',
  '.mp4': 'video/mp4',
  '.ogg': 'audio/ogg',
  '.opus': 'audio/ogg',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.pptx': 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  '.txt': 'text/plain',
  '.vcf': 'text/vcard',
  '.webm': 'video/webm',
  '.webp': 'image/webp',
  '.xlsx': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  '.zip': 'application/zip',
};

/** @param {string} folder */
function findMediaRoot(folder) {
  return MEDIA_FOLDERS.map((name) => path.join(folder, name)).find((name) => existsSync(name)) ?? folder;
}

/**
 * Lists the chats that have files: each direct subfolder, and the root for what lies in it.
 *
 * @param {string} root
 * @param {(path: string) => boolean} isMedia says no to what is to be left out
 * @returns {Promise<Chat[]>}
 */
async function listChats(root, isMedia) {
  const chats = [];
  const loose = [];
  for (const entry of await readFolder(root, isMedia)) {
    const folder = path.join(root, entry.name);
    if (entry.isFile()) loose.push({ name: entry.name, path: folder });
    if (entry.isDirectory()) chats.push(makeChat(folder, await listFiles(folder, '', isMedia)));
  }
  return [makeChat(root, loose), ...chats.sort(byName)].filter(({ files }) => files.length > 0);
}

/**
 * @param {string} folder
 * @param {MediaFile[]} files
 * @returns {Chat}
 */
function makeChat(folder, files) {
  return { folder, name: path.basename(folder) || folder, files: files.sort(byName) };
}

/**
 * @param {string} folder
 * @param {string} prefix what a name in this folder begins with
 * @param {(path: string) => boolean} isMedia
 * @returns {Promise<MediaFile[]>}
 */
async function listFiles(folder, prefix, isMedia) {
  let entries;
  try {
    entries = await readFolder(folder, isMedia);
  } catch {
    // Listed as if it were a file: reading it fails again, and that is logged and counted.
    return [{ name: prefix || '.', path: folder }];
  }
  const files = [];
  for (const entry of entries) {
    const name = `${prefix}${entry.name}`;
    const child = path.join(folder, entry.name);
    if (entry.isFile()) files.push({ name, path: child });
    if (entry.isDirectory()) files.push(...(await listFiles(child, `${name}/`, isMedia)));
  }
  return files;
}

/**
 * Reads a folder but for hidden entries. Symbolic links are neither files nor folders here.
 *
 * @param {string} folder
 * @param {(path: string) => boolean} isMedia
 */
async function readFolder(folder, isMedia) {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter(({ name }) => !name.startsWith('.') && isMedia(path.join(folder, name)));
}

/**
 * Orders as `<` does, and as resuming compares; a language's own order would differ by machine.
 *
 * @param {{ name: string }} a
 * @param {{ name: string }} b
 */
function byName(a, b) {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}

/**
 * Reads a file once, piece by piece.
 *
 * @param {string} file
 * @param {AbortSignal} signal
 */
async function hashFile(file, signal) {
  const digest = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(file)) {
    signal.throwIfAborted();
    digest.update(chunk);
    size += chunk.length;
  }
  return { hash: digest.digest('hex'), size };
}

/** @param {string} name */
function mimeTypeOf(name) {
  return MIME_TYPES[path.extname(name).toLowerCase()] ?? 'application/octet-stream';
}

/**
 * Says which service takes a file: pictures and videos are Photos', the rest is Drive's.
 *
 * @param {string} mimeType
 * @returns {import('../../index').UploadService}
 */
function serviceFor(mimeType) {
  return /^(image|video)\//.test(mimeType) ? 'photos' : 'drive';
}

module.exports = { MEDIA_FOLDERS, findMediaRoot, hashFile, listChats, mimeTypeOf, serviceFor };
