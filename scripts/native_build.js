// @ts-check
'use strict';

// Builds one platform's addon with that platform's own tools, as the release workflow does:
//
//   node scripts/native_build.js darwin-arm64
//
// For android-arm64, ANDROID_NDK_LATEST_HOME names an NDK of r23 or newer.

const path = require('node:path');
const { PLATFORMS } = require('./platform.js');
const { run } = require('./prepare.js');

/** The oldest API level that is supported: Android 7. */
const API = 24;

/** Gives what makes Cargo and the C compiler build for Android. */
function androidEnvironment() {
  const home = process.env.ANDROID_NDK_LATEST_HOME;
  if (!home) throw new Error('ANDROID_NDK_LATEST_HOME must name an NDK of r23 or newer');
  const bin = path.join(home, 'toolchains', 'llvm', 'prebuilt', 'linux-x86_64', 'bin');
  const clang = path.join(bin, `aarch64-linux-android${API}-clang`);
  return {
    CARGO_TARGET_AARCH64_LINUX_ANDROID_LINKER: clang,
    CC_aarch64_linux_android: clang,
    AR_aarch64_linux_android: path.join(bin, 'llvm-ar'),
    // Phones with pages of 16 KB refuse anything that is aligned to less.
    CARGO_TARGET_AARCH64_LINUX_ANDROID_RUSTFLAGS: '-C link-arg=-Wl,-z,max-page-size=16384',
    CFLAGS_aarch64_linux_android: '-mno-outline-atomics',
  };
}

const platform = PLATFORMS.find(({ name }) => name === process.argv[2]);
if (!platform) throw new Error(`name one of ${PLATFORMS.map(({ name }) => name).join(', ')}`);
run('npm', ['run', 'build', '--', '--target', platform.target], {
  ...(platform.os === 'android' ? androidEnvironment() : {}),
  ...(platform.os === 'darwin' ? { MACOSX_DEPLOYMENT_TARGET: '11.0' } : {}),
  // Part of every Windows is only the older C runtime.
  ...(platform.os === 'win32' ? { RUSTFLAGS: '-C target-feature=+crt-static' } : {}),
});
