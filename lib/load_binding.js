// @ts-check
'use strict';

/**
 * Owns finding the addon: which platform this is, where its addon may lie, whether it is of this
 * version, and the one error that says why there is none.
 */

const { closeSync, openSync, readSync } = require('node:fs');
const { DatabaseError } = require('./error.js');
const { VERSION } = require('./version.js');

/** @typedef {typeof import('../binding.js')} Binding */
/** @typedef {{ binding?: Binding, place: string, cause?: unknown }} Attempt */

const PACKAGE = '@whatsapp-uploader/database';

/** The program header that names a program's dynamic loader. */
const PT_INTERP = 3;

/**
 * Names this platform as the addon's packages do.
 *
 * Android comes before any look at the C library: bionic is neither glibc nor musl, and Node for
 * Android calls itself `android`.
 */
function platformName() {
  const { platform, arch } = process;
  if (platform === 'win32') return `win32-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  const libc = isMusl() ? 'musl' : 'gnu';
  return arch === 'arm' ? `linux-arm-${libc}eabihf` : `linux-${arch}-${libc}`;
}

/**
 * Says whether this program runs on musl.
 *
 * Its own dynamic loader decides: a system may have both C libraries. Node's report is asked when
 * the program's file does not say it, for making one takes milliseconds.
 */
function isMusl() {
  const interpreter = readInterpreter(process.execPath);
  if (interpreter.includes('ld-musl-')) return true;
  if (interpreter.includes('ld-linux')) return false;
  const report = /** @type {any} */ (process.report?.getReport?.());
  if (report?.header?.glibcVersionRuntime) return false;
  const objects = /** @type {string[]} */ (report?.sharedObjects ?? []);
  return objects.some((file) => file.includes('libc.musl-') || file.includes('ld-musl-'));
}

/**
 * Reads which dynamic loader a little-endian ELF program asks for; '' when it does not say.
 *
 * @param {string} file
 */
function readInterpreter(file) {
  let descriptor;
  try {
    descriptor = openSync(file, 'r');
    const head = Buffer.alloc(4096);
    const length = readSync(descriptor, head, 0, head.length, 0);
    if (length < 64 || head.toString('latin1', 0, 4) !== '\x7fELF' || head[5] !== 1) return '';
    const is64 = head[4] === 2;
    const table = is64 ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28);
    const entry = head.readUInt16LE(is64 ? 54 : 42);
    const count = head.readUInt16LE(is64 ? 56 : 44);
    for (let at = table; at < table + entry * count; at += entry) {
      if (head.readUInt32LE(at) !== PT_INTERP) continue;
      const offset = is64 ? Number(head.readBigUInt64LE(at + 8)) : head.readUInt32LE(at + 4);
      const text = Buffer.alloc(256);
      const read = readSync(descriptor, text, 0, text.length, offset);
      return text.toString('latin1', 0, read).split('\0')[0];
    }
    return '';
  } catch {
    // Unreadable, or a form of ELF that is not known here: Node's report is asked instead.
    return '';
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * Requires what was built in this folder.
 *
 * Every name stands in a `require` of its own, inside `try`, so that bundlers find those that are
 * there and do not miss those that are not.
 *
 * @param {string} platform
 * @returns {Attempt}
 */
function requireLocal(platform) {
  const place = `./database.${platform}.node`;
  try {
    switch (platform) {
      case 'linux-x64-gnu':
        return { place, binding: require('../database.linux-x64-gnu.node') };
      case 'linux-arm64-gnu':
        return { place, binding: require('../database.linux-arm64-gnu.node') };
      case 'linux-x64-musl':
        return { place, binding: require('../database.linux-x64-musl.node') };
      case 'linux-arm64-musl':
        return { place, binding: require('../database.linux-arm64-musl.node') };
      case 'linux-arm-gnueabihf':
        return { place, binding: require('../database.linux-arm-gnueabihf.node') };
      case 'darwin-x64':
        return { place, binding: require('../database.darwin-x64.node') };
      case 'darwin-arm64':
        return { place, binding: require('../database.darwin-arm64.node') };
      case 'win32-x64-msvc':
        return { place, binding: require('../database.win32-x64-msvc.node') };
      case 'win32-arm64-msvc':
        return { place, binding: require('../database.win32-arm64-msvc.node') };
      case 'android-arm64':
        return { place, binding: require('../database.android-arm64.node') };
      default:
        return { place, cause: new Error('not looked for: nothing is built for this platform') };
    }
  } catch (cause) {
    return { place, cause };
  }
}

/**
 * Requires the package that npm put beside this one.
 *
 * @param {string} platform
 * @returns {Attempt}
 */
function requirePackage(platform) {
  const place = `${PACKAGE}-${platform}`;
  try {
    switch (platform) {
      case 'linux-x64-gnu':
        return { place, binding: require('@whatsapp-uploader/database-linux-x64-gnu') };
      case 'linux-arm64-gnu':
        return { place, binding: require('@whatsapp-uploader/database-linux-arm64-gnu') };
      case 'linux-x64-musl':
        return { place, binding: require('@whatsapp-uploader/database-linux-x64-musl') };
      case 'linux-arm64-musl':
        return { place, binding: require('@whatsapp-uploader/database-linux-arm64-musl') };
      case 'linux-arm-gnueabihf':
        return { place, binding: require('@whatsapp-uploader/database-linux-arm-gnueabihf') };
      case 'darwin-x64':
        return { place, binding: require('@whatsapp-uploader/database-darwin-x64') };
      case 'darwin-arm64':
        return { place, binding: require('@whatsapp-uploader/database-darwin-arm64') };
      case 'win32-x64-msvc':
        return { place, binding: require('@whatsapp-uploader/database-win32-x64-msvc') };
      case 'win32-arm64-msvc':
        return { place, binding: require('@whatsapp-uploader/database-win32-arm64-msvc') };
      case 'android-arm64':
        return { place, binding: require('@whatsapp-uploader/database-android-arm64') };
      default:
        return { place, cause: new Error('there is no such package: this platform gets no prebuilt addon') };
    }
  } catch (cause) {
    return { place, cause };
  }
}

/**
 * Requires the file that the environment names, and nothing else.
 *
 * @param {string} file
 * @returns {Attempt}
 */
function requireNamed(file) {
  const place = `NAPI_RS_NATIVE_LIBRARY_PATH=${file}`;
  try {
    return { place, binding: require(file) };
  } catch (cause) {
    return { place, cause };
  }
}

/** @param {unknown} cause */
function firstLine(cause) {
  return String(cause instanceof Error ? cause.message : cause).split('\n')[0];
}

/**
 * Says what to do when there is no addon.
 *
 * @param {string} platform
 * @param {Attempt[]} attempts the package's last
 */
function adviseOn(platform, attempts) {
  if (attempts.length === 1) return 'Correct NAPI_RS_NATIVE_LIBRARY_PATH, or unset it.';
  const { cause, place } = attempts[attempts.length - 1];
  const build =
    'build it from source (Rust 1.89 or newer and a C compiler; on Termux: pkg install rust clang): ' +
    'in a checkout of the repository run npm ci && npm run build, and set NAPI_RS_NATIVE_LIBRARY_PATH ' +
    `to the database.${platform}.node that it makes`;
  const code = /** @type {{ code?: unknown } | undefined} */ (cause)?.code;
  if (code === 'MODULE_NOT_FOUND') {
    return (
      `${place} is not installed. It is an optional dependency: install without --omit=optional ` +
      '(--no-optional), and on the platform that it is to run on, not by copying node_modules. If a ' +
      'package-lock.json of another platform left it out (an old npm does that), remove node_modules and ' +
      `package-lock.json and install again. Or ${build}.`
    );
  }
  if (code === undefined) return `Supported platforms are listed in the README. Elsewhere, ${build}.`;
  return `The file is there but this system refuses to load it: install again, or ${build}.`;
}

/**
 * Refuses an addon of another version: calls between the two are of no fixed form.
 *
 * @param {string} platform
 * @param {Attempt} attempt
 * @returns {Binding}
 */
function requireSameVersion(platform, { binding, place }) {
  const { addonVersion } = /** @type {Partial<Binding>} */ (binding);
  const found = addonVersion ? addonVersion() : 'older than 0.1.0';
  if (binding && found === VERSION) return binding;
  throw new DatabaseError(
    `loading ${PACKAGE}: its version is ${VERSION}, but the addon that ${place} gave for ${platform} is of ` +
      `version ${found}; ${adviseOnVersion(place)}`,
    { code: 'DB_ADDON_VERSION', operation: 'load' },
  );
}

/** @param {string} place */
function adviseOnVersion(place) {
  if (place.startsWith(PACKAGE)) {
    return (
      `install again, so that both are ${VERSION}: the root asks for exactly that, but an override, a lock file ` +
      'that was edited or a copied node_modules can bring another'
    );
  }
  return place.startsWith('./')
    ? 'build it again (npm run build), or remove the file'
    : 'name one of that version, or unset NAPI_RS_NATIVE_LIBRARY_PATH';
}

/**
 * Loads the addon of this platform: the one that `NAPI_RS_NATIVE_LIBRARY_PATH` names, else one that
 * was built here, else the platform's package.
 *
 * @returns {Binding}
 * @throws {DatabaseError} `DB_ADDON_MISSING`, `DB_ADDON_VERSION`
 */
function loadBinding() {
  const platform = platformName();
  const named = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  const ways = named ? [() => requireNamed(named)] : [() => requireLocal(platform), () => requirePackage(platform)];
  /** @type {Attempt[]} */
  const attempts = [];
  for (const way of ways) {
    const attempt = way();
    if (attempt.binding) return requireSameVersion(platform, attempt);
    attempts.push(attempt);
  }
  const tried = attempts.map(({ place, cause }) => `  ${place}: ${firstLine(cause)}`).join('\n');
  throw new DatabaseError(
    `loading ${PACKAGE}: no addon could be loaded for ${platform} (Node ${process.version}); tried\n${tried}\n` +
      adviseOn(platform, attempts),
    { code: 'DB_ADDON_MISSING', operation: 'load', cause: attempts[attempts.length - 1].cause },
  );
}

module.exports = { loadBinding };
