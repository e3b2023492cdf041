// @ts-check
'use strict';

/** Owns the making of Ogg Opus recordings: silence, so that nobody who plays one is startled. */

const SAMPLES_PER_PACKET = 960;
const PACKETS_PER_PAGE = 50;
const PRE_SKIP = 312;
const FIRST_PAGE = 2;
const LAST_PAGE = 4;

/**
 * @param {import('../random.js').Random} random
 * @param {{ pages: number, packetBytes: number, title: string }} recording
 *   a page is a second; a packet takes 7 to 250 bytes
 */
function encodeOpus(random, { pages, packetBytes, title }) {
  const serial = random.bits();
  const audio = Array.from({ length: pages }, (_, index) =>
    page({
      flags: index === pages - 1 ? LAST_PAGE : 0,
      granule: PRE_SKIP + (index + 1) * PACKETS_PER_PAGE * SAMPLES_PER_PACKET,
      serial,
      number: index + 2,
      packets: Array(PACKETS_PER_PAGE).fill(silentPacket(packetBytes)),
    }),
  );
  return Buffer.concat([
    page({ flags: FIRST_PAGE, granule: 0, serial, number: 0, packets: [head()] }),
    page({ flags: 0, granule: 0, serial, number: 1, packets: [tags(`TITLE=${title}`)] }),
    ...audio,
  ]);
}

function head() {
  const body = Buffer.alloc(11);
  // Version 1, mono.
  body[0] = 1;
  body[1] = 1;
  body.writeUInt16LE(PRE_SKIP, 2);
  body.writeUInt32LE(48000, 4);
  return Buffer.concat([Buffer.from('OpusHead'), body]);
}

/** @param {string} comment */
function tags(comment) {
  return Buffer.concat([Buffer.from('OpusTags'), text('sample'), uint32(1), text(comment)]);
}

/**
 * Makes 20 ms of silence, padded: one frame (0xff 0xfe) and, before it, how it is packed.
 *
 * @param {number} length
 */
function silentPacket(length) {
  const header = [0xfb, 0x41, length - 5, 0xff, 0xfe];
  return Buffer.concat([Buffer.from(header), Buffer.alloc(length - header.length)]);
}

/** @param {{ flags: number, granule: number, serial: number, number: number, packets: Buffer[] }} content */
function page({ flags, granule, serial, number, packets }) {
  const header = Buffer.alloc(27);
  header.write('OggS');
  header[5] = flags;
  header.writeBigUInt64LE(BigInt(granule), 6);
  header.writeUInt32LE(serial, 14);
  header.writeUInt32LE(number, 18);
  header[26] = packets.length;
  // Every packet is shorter than 255 bytes: one entry of the table each.
  const table = Buffer.from(packets.map(({ length }) => length));
  const whole = Buffer.concat([header, table, ...packets]);
  whole.writeUInt32LE(checksum(whole), 22);
  return whole;
}

/**
 * Ogg's own CRC-32: the usual polynomial, but the highest bit first and nothing inverted.
 *
 * @param {Buffer} bytes
 */
function checksum(bytes) {
  let crc = 0;
  for (const byte of bytes) crc = (crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ byte];
  return crc >>> 0;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** @param {string} value */
function text(value) {
  const body = Buffer.from(value);
  return Buffer.concat([uint32(body.length), body]);
}

/** @param {number} value */
function uint32(value) {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

module.exports = { encodeOpus };
