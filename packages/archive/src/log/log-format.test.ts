// The frames of a log depend only on its text, and their concatenation is the text.

import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";

import fc from "fast-check";
import { expect, test } from "vitest";

import {
  encodeSeekTable,
  type Frame,
  LogEncoder,
  type LogTotals,
  maxFrameBytes,
  minFrameBytes,
  parseFooter,
  parseSeekTable,
  seekTableBytes,
} from "./log-format.ts";
import { decodeFrame } from "./read-log.ts";

const stamp = "2024-05-06T07:08:09.1234567Z ";
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

function encode(raw: Buffer, chunkSizes: readonly number[] = [raw.length]): { object: Buffer; totals: LogTotals } {
  const encoder = new LogEncoder();
  const stored: Buffer[] = [];
  for (let at = 0, index = 0; at < raw.length; index += 1) {
    const size = chunkSizes[index % chunkSizes.length] ?? raw.length;
    stored.push(...encoder.write(raw.subarray(at, at + size)));
    at += size;
  }
  const { stored: rest, totals } = encoder.end();
  return { object: Buffer.concat([...stored, ...rest]), totals };
}

function decode(object: Buffer): { frames: Frame[]; raw: Buffer } {
  const frames = parseSeekTable(object.subarray(-parseFooter(object.subarray(-9), object.length)), object.length);
  const raw = frames.map(({ storedStart, storedBytes, rawBytes }) =>
    decodeFrame(object.subarray(storedStart, storedStart + storedBytes), rawBytes),
  );
  return { frames, raw: Buffer.concat(raw) };
}

// Lines of all kinds, some long: markers, times, NUL, CR, invalid UTF-8.
const line = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 200 }).map((text) => Buffer.from(`${stamp}${text}\n`)) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom("##[group]Run x\n", "Post job cleanup.\r\n", "##[section]\n", "Cleaning up orphan processes\n")
      .map((text) => Buffer.from(stamp + text)),
  },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 1_500_000 }).map((size) => Buffer.alloc(size, "long ")) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 3000 })
      .map((lines) => Buffer.from(`${stamp}some text of a usual length\n`.repeat(lines))),
  },
);
const log = fc
  .array(line, { minLength: 1, maxLength: 12 })
  .map((lines) => Buffer.concat(lines))
  .filter((raw) => raw.length > 0);
const chunkSizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 2_000_000 })), {
  minLength: 1,
  maxLength: 5,
});

test("any log is decoded to the same bytes, from frames that match the totals and their limits", () => {
  fc.assert(
    fc.property(log, (raw) => {
      const { object, totals } = encode(raw);
      const { frames, raw: back } = decode(object);
      expect(back.equals(raw)).toBe(true);
      expect(frames).toEqual(totals.frames);
      expect(totals).toMatchObject({
        rawBytes: raw.length,
        rawSha256: sha256(raw),
        storedBytes: object.length,
        storedSha256: sha256(object),
      });
      expect(totals.oddities.nul).toBe(raw.filter((byte) => byte === 0).length);
      const newlines = raw.filter((byte) => byte === 10).length;
      expect(totals.lines).toBe(newlines + (raw.at(-1) === 10 ? 0 : 1));
      for (const { rawBytes } of frames.slice(0, -1)) expect(rawBytes).toBeGreaterThan(0);
      for (const { rawBytes } of frames) expect(rawBytes).toBeLessThanOrEqual(maxFrameBytes);
    }),
    { numRuns: 60 },
  );
});

test("any chunking gives the same object", () => {
  fc.assert(
    fc.property(log, chunkSizes, (raw, sizes) => {
      const [whole, pieces] = [encode(raw), encode(raw, raw.length > 300_000 ? sizes.map((size) => size + 50) : sizes)];
      expect(pieces.totals).toEqual(whole.totals);
      expect(pieces.object.equals(whole.object)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("a frame ends at the first marker line after 64 KiB of text", () => {
  const filler = `${stamp}${"x".repeat(70)}\n`;
  const marker = `${stamp}##[group]Run make\n`;
  const before = filler.repeat(Math.ceil(minFrameBytes / filler.length));
  const { totals } = encode(Buffer.from(marker + before + marker + filler + marker + before + marker));
  expect(totals.frames.map(({ rawBytes }) => rawBytes)).toEqual([
    marker.length + before.length,
    marker.length + filler.length + marker.length + before.length,
    marker.length,
  ]);
});

test("a frame without a marker ends at the last line end before 1 MiB", () => {
  const filler = `${stamp}${"x".repeat(70)}\n`;
  const { totals } = encode(Buffer.from(filler.repeat(25_000)));
  const full = Math.floor(maxFrameBytes / filler.length) * filler.length;
  expect(totals.frames.slice(0, 2).map(({ rawBytes }) => rawBytes)).toEqual([full, full]);
});

test("a line of 72 MB is cut anywhere, in bounded memory", () => {
  const encoder = new LogEncoder();
  const chunk = Buffer.alloc(256 * 1024, "all work and no play ");
  let stored = 0;
  for (let index = 0; index < 275; index += 1) for (const frame of encoder.write(chunk)) stored += frame.length;
  const { stored: rest, totals } = encoder.end();
  expect(totals).toMatchObject({
    rawBytes: 275 * chunk.length,
    lines: 1,
    storedBytes: stored + rest.reduce((sum, frame) => sum + frame.length, 0),
  });
  expect(totals.frames.every(({ rawBytes }) => rawBytes <= maxFrameBytes)).toBe(true);
});

test("the totals contain the oddities of a log", () => {
  const { totals } = encode(Buffer.from(`\uFEFF${stamp}a\0b\r\nvalue\n${stamp}Cleaning up orphan processes`));
  expect(totals).toMatchObject({
    lines: 3,
    oddities: { bom: true, crlf: 1, nul: 1, linesWithoutTime: 1 },
    tail: { hasEndMarker: true },
    firstTime: stamp.trim(),
    lastTime: stamp.trim(),
  });
});

test("a log of one byte is encoded, an empty log is an error", () => {
  expect(decode(encode(Buffer.from("x")).object).raw.toString()).toBe("x");
  expect(() => new LogEncoder().end()).toThrow("has no stored form");
});

test("a wrong seek table is refused", () => {
  const { object } = encode(Buffer.from(`${stamp}text\n`.repeat(50_000)));
  const table = object.subarray(-parseFooter(object.subarray(-9), object.length));
  expect(() => parseFooter(Buffer.from("ninebytes"), 1000)).toThrow("no seek table");
  expect(() => parseFooter(table.subarray(-9), seekTableBytes(1) - 1)).toThrow("no seek table");
  expect(() => parseSeekTable(table, object.length + 1)).toThrow("not as long");
  const huge = Buffer.from(table);
  huge.writeUInt32LE(0xffffffff, 8);
  expect(() => parseSeekTable(huge, object.length)).toThrow("impossible frame");
  const damaged = Buffer.from(table);
  damaged.writeUInt8(0, 0);
  expect(() => parseSeekTable(damaged, object.length)).toThrow("damaged seek table");
});

const oneFrame = (storedBytes: number, rawBytes: number) =>
  encodeSeekTable([{ rawStart: 0, rawBytes, storedStart: 0, storedBytes }]);

test.each([
  ["no text", 13, 0],
  ["more text than a frame may have", 13, maxFrameBytes + 1],
  ["no stored bytes", 0, 13],
  ["more stored bytes than its text can take", 13 + 8 * 1024 + 1, 13],
])("a frame with %s is impossible, though the table is as long as its object says", (_what, storedBytes, rawBytes) => {
  const table = oneFrame(storedBytes, rawBytes);
  expect(() => parseSeekTable(table, storedBytes + table.length)).toThrow("impossible frame");
});

test("a seek table without frames, of another length than it says or of another format is refused", () => {
  const none = encodeSeekTable([]);
  expect(() => parseSeekTable(none, none.length)).toThrow("not as long");
  const table = oneFrame(13, 13);
  expect(parseSeekTable(table, 13 + table.length)).toHaveLength(1);
  const short = Buffer.from(table);
  short.writeUInt32LE(1, 4);
  expect(() => parseSeekTable(short, 13 + table.length)).toThrow("damaged seek table");
  const unknown = Buffer.from(table.subarray(-9));
  // The descriptor's highest bit says that the entries have checksums, and are longer.
  unknown.writeUInt8(0x80, 4);
  expect(() => parseFooter(unknown, 1000)).toThrow("no seek table");
  const foreign = Buffer.from(table.subarray(-9));
  foreign.writeUInt32LE(1, 5);
  expect(() => parseFooter(foreign, 1000)).toThrow("no seek table");
});

test("a frame is accepted only if it matches its entry", () => {
  const raw = Buffer.from(`${stamp}text\n`.repeat(100));
  const { object, totals } = encode(raw);
  const frame = object.subarray(0, totals.frames[0]?.storedBytes);
  expect(decodeFrame(frame, raw.length).equals(raw)).toBe(true);
  expect(() => decodeFrame(frame, raw.length - 1)).toThrow("cannot be decoded");
  expect(() => decodeFrame(frame, raw.length + 1)).toThrow(`of ${raw.length} bytes`);
  expect(() => decodeFrame(frame.subarray(0, -1), raw.length)).toThrow(/has a frame/);
  const flipped = Buffer.from(frame);
  flipped.writeUInt8(flipped.readUInt8(frame.length - 1) ^ 1, frame.length - 1);
  expect(() => decodeFrame(flipped, raw.length)).toThrow("cannot be decoded");
  expect(() => decodeFrame(Buffer.from("plain text"), 10)).toThrow("not zstd");
  expect(() => decodeFrame(zstdCompressSync(raw), raw.length)).toThrow("without a checksum");
});

test("a frame is full with the last line that ends within its limit", () => {
  const frameOf = (secondEnd: number) => {
    const first = `${stamp}${"a".repeat(500_000)}\n`;
    const second = `${stamp}${"b".repeat(secondEnd - first.length - stamp.length - 1)}\n`;
    const { totals } = encode(Buffer.from(`${first}${second}${stamp}c\n`), [10_000]);
    return [totals.frames[0]?.rawBytes, first.length];
  };
  expect(frameOf(maxFrameBytes)[0]).toBe(maxFrameBytes);
  const [rawBytes, firstEnd] = frameOf(maxFrameBytes + 1);
  expect(rawBytes).toBe(firstEnd);
});
