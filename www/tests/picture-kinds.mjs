// Makes pictures of every kind that decoders see differently: turned by EXIF, with colours of their own, transparent.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";

import { ffmpeg } from "./harness.mjs";

/** How pixels are stored that an orientation turns upright again, as filters of ffmpeg. */
const STORED = {
  1: "null",
  2: "hflip",
  3: "hflip,vflip",
  4: "vflip",
  5: "transpose=0",
  6: "transpose=2",
  7: "transpose=3",
  8: "transpose=1",
};

/** Primaries of Display P3, seen from D50. */
const DISPLAY_P3 = { rXYZ: [0.51512, 0.2412, -0.00105], gXYZ: [0.29198, 0.69225, 0.04189], bXYZ: [0.1571, 0.06657, 0.78407] };
const D50 = [0.9642, 1, 0.8249];
/** The curve of sRGB: exponent and what belongs to its straight part. */
const SRGB_CURVE = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045];

/**
 * Writes pictures that show what `picture` shows, unless their name says otherwise.
 *
 * @param {string} picture an opaque picture without orientation or profile
 * @param {string} folder
 * @returns {{ file: string, shows: "the same" | "less" | "other colours" }[]}
 */
export function makeKinds(picture, folder) {
  const at = (file) => join(folder, file);
  const convert = (file, filter, ...parameters) => {
    ffmpeg("-i", picture, "-vf", filter, "-frames:v", "1", ...parameters, at(file));
    return readFileSync(at(file));
  };
  const jpeg = (file, filter = "null") => convert(file, filter, "-q:v", "2", "-pix_fmt", "yuvj444p");
  const kinds = [];
  const add = (file, bytes, shows = "the same") => {
    writeFileSync(at(file), bytes);
    kinds.push({ file, shows });
  };
  for (const [orientation, filter] of Object.entries(STORED)) {
    const file = `turned-${orientation}.jpg`;
    const exif = Buffer.concat([Buffer.from("Exif\0\0"), tiff(Number(orientation), orientation % 2 === 0)]);
    add(file, withSegment(jpeg(file, filter), 0xe1, exif));
  }
  add("turned.png", withChunk(convert("turned.png", STORED[6], "-pix_fmt", "rgb24"), "eXIf", tiff(6, true)));
  add("turned.webp", withExif(convert("turned.webp", STORED[6], "-quality", "95"), tiff(6, false)));
  add("deep.png", convert("deep.png", "null", "-pix_fmt", "rgb48be"));
  add("grey.png", convert("grey.png", "null", "-pix_fmt", "gray"), "other colours");
  add("clear.png", convert("clear.png", "format=rgba,colorchannelmixer=aa=0"), "less");
  add("half.png", convert("half.png", "format=rgba,colorchannelmixer=aa=0.5"), "less");
  add("fading.png", convert("fading.png", "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*X/W'"), "less");
  add("half.webp", convert("half.webp", "format=rgba,colorchannelmixer=aa=0.5", "-lossless", "1"), "less");
  const profile = iccProfile(DISPLAY_P3);
  const segment = Buffer.concat([Buffer.from("ICC_PROFILE\0"), Buffer.from([1, 1]), profile]);
  add("wide.jpg", withSegment(jpeg("wide.jpg"), 0xe2, segment), "other colours");
  const chunk = Buffer.concat([Buffer.from("Display P3\0\0"), deflateSync(profile)]);
  add("wide.png", withChunk(convert("wide.png", "null", "-pix_fmt", "rgb24"), "iCCP", chunk), "other colours");
  return kinds;
}

/** A TIFF header with one entry, the orientation. */
function tiff(orientation, isLittle) {
  const bytes = Buffer.alloc(26);
  const [put16, put32] = isLittle ? ["writeUInt16LE", "writeUInt32LE"] : ["writeUInt16BE", "writeUInt32BE"];
  bytes.write(isLittle ? "II" : "MM");
  bytes[put16](42, 2);
  bytes[put32](8, 4);
  bytes[put16](1, 8);
  bytes[put16](0x0112, 10);
  bytes[put16](3, 12);
  bytes[put32](1, 14);
  bytes[put16](orientation, 18);
  return bytes;
}

/** A JPEG with one more segment, the first. */
function withSegment(jpeg, marker, content) {
  const header = Buffer.from([0xff, marker, 0, 0]);
  header.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), header, content, jpeg.subarray(2)]);
}

/** A PNG with one more chunk, after the header. */
function withChunk(png, type, content) {
  const header = 33;
  const named = Buffer.concat([Buffer.from(type), content]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([png.subarray(0, header), length, named, check, png.subarray(header)]);
}

/** A simple lossy WebP in the form that may have EXIF. */
function withExif(webp, exif) {
  const frame = webp.subarray(12);
  const extended = Buffer.alloc(10);
  extended[0] = 0x08;
  // Width and height, 14 bits each, follow the start code of the frame.
  extended.writeUIntLE((frame.readUInt16LE(14) & 0x3fff) - 1, 4, 3);
  extended.writeUIntLE((frame.readUInt16LE(16) & 0x3fff) - 1, 7, 3);
  const body = Buffer.concat([Buffer.from("WEBP"), riffChunk("VP8X", extended), frame, riffChunk("EXIF", exif)]);
  return riffChunk("RIFF", body);
}

function riffChunk(name, content) {
  const header = Buffer.alloc(8);
  header.write(name);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, content, Buffer.alloc(content.length % 2)]);
}

/** An ICC profile of version 4 for a display with these primaries and the curve of sRGB. */
function iccProfile(primaries) {
  const curve = Buffer.alloc(12);
  curve.write("para");
  curve.writeUInt16BE(3, 8);
  const tags = {
    desc: text("Display P3"),
    cprt: text("public domain"),
    wtpt: xyz(D50),
    ...Object.fromEntries(Object.entries(primaries).map(([name, colour]) => [name, xyz(colour)])),
    rTRC: Buffer.concat([curve, fixed(SRGB_CURVE)]),
  };
  tags.gTRC = tags.bTRC = tags.rTRC;
  const names = Object.keys(tags);
  const table = Buffer.alloc(4 + 12 * names.length);
  table.writeUInt32BE(names.length);
  const content = [];
  let offset = 128 + table.length;
  for (const [index, name] of names.entries()) {
    table.write(name, 4 + 12 * index);
    table.writeUInt32BE(offset, 8 + 12 * index);
    table.writeUInt32BE(tags[name].length, 12 + 12 * index);
    const padded = Buffer.concat([tags[name], Buffer.alloc((4 - (tags[name].length % 4)) % 4)]);
    content.push(padded);
    offset += padded.length;
  }
  const header = Buffer.alloc(128);
  header.writeUInt32BE(offset);
  header.writeUInt32BE(0x04300000, 8);
  header.write("mntrRGB XYZ ", 12);
  for (const [index, part] of [2024, 1, 1, 0, 0, 0].entries()) header.writeUInt16BE(part, 24 + 2 * index);
  header.write("acsp", 36);
  fixed(D50).copy(header, 68);
  return Buffer.concat([header, table, ...content]);
}

function xyz(colour) {
  return Buffer.concat([Buffer.from("XYZ \0\0\0\0"), fixed(colour)]);
}

function text(words) {
  const header = Buffer.alloc(28);
  header.write("mluc");
  header.writeUInt32BE(1, 8);
  header.writeUInt32BE(12, 12);
  header.write("enUS", 16);
  header.writeUInt32BE(2 * words.length, 20);
  header.writeUInt32BE(28, 24);
  return Buffer.concat([header, Buffer.from(words, "utf16le").swap16()]);
}

/** Numbers with 16 bits before and behind the point. */
function fixed(numbers) {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [index, number] of numbers.entries()) bytes.writeInt32BE(Math.round(number * 65_536), 4 * index);
  return bytes;
}
