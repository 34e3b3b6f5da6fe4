// Storing and reading a log: put once, compared with others by its raw bytes, read completely or in part.

import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { constants, zstdCompressSync } from "node:zlib";

import { TransientError } from "@actions-archive/core/errors";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import { expect, test } from "vitest";

import { withMethods } from "../../test-support/changed-store.ts";
import { openStore } from "../open-store.ts";
import { collect, type Store } from "../store/store.ts";
import { encodeSeekTable, LogEncoder, type LogTotals } from "./log-format.ts";
import { putLog, readLogContent } from "./logs.ts";
import { readLog, readLogRange, readSeekTable } from "./read-log.ts";

const host = "github.com";
const ref = { repository_id: 11, run_id: 22, job_id: 33 };
const stamp = "2024-05-06T07:08:09.1234567Z ";
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const key = logKey(host, ref);

async function openFolder(): Promise<AsyncDisposable & { readonly store: Store; readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-logs-"));
  return {
    path,
    store: await openStore({ ARCHIVE_URL: pathToFileURL(path) }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

function encode(raw: Buffer): { object: Buffer; totals: LogTotals } {
  const encoder = new LogEncoder();
  const stored = encoder.write(raw);
  const { stored: rest, totals } = encoder.end();
  return { object: Buffer.concat([...stored, ...rest]), totals };
}

function compress(raw: Buffer): Buffer {
  return zstdCompressSync(raw, { params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 } });
}

/** The same raw bytes as another zstd version might store them. */
function encodeOtherwise(raw: Buffer): Buffer {
  const stored = compress(raw);
  return Buffer.concat([
    stored,
    encodeSeekTable([{ rawStart: 0, rawBytes: raw.length, storedStart: 0, storedBytes: stored.length }]),
  ]);
}

const raw = Buffer.from(`${stamp}##[group]Run make\n${`${stamp}hello\n`.repeat(200)}`);

test("a log is stored under its job's key with its raw hash and length as metadata, once", async () => {
  await using folder = await openFolder();
  const { object, totals } = encode(raw);
  const expected = { key, conflict: false, storedBytes: object.length, storedSha256: sha256(object) };
  expect(await putLog(folder.store, host, ref, object, totals)).toEqual({ ...expected, existing: false });
  expect(await putLog(folder.store, host, ref, object, totals)).toEqual({ ...expected, existing: true });
  expect((await folder.store.head(key))?.metadata).toEqual({ "raw-sha256": sha256(raw), "raw-bytes": String(raw.length) });
});

test("a log with other raw bytes gets an extra key, and the first stays", async () => {
  await using folder = await openFolder();
  const first = encode(raw);
  await putLog(folder.store, host, ref, first.object, first.totals);
  const other = encode(Buffer.concat([raw, Buffer.from("more")]));
  const place = { key: conflictingLogKey(host, ref, other.totals.rawSha256), conflict: true };
  expect(await putLog(folder.store, host, ref, other.object, other.totals)).toMatchObject({ ...place, existing: false });
  expect(await putLog(folder.store, host, ref, other.object, other.totals)).toMatchObject({ ...place, existing: true });
  expect(await folder.store.read(key)).toEqual(first.object);
});

test.for([true, false])(
  "equal raw bytes in other stored bytes are recognised, and described as they are (with metadata: %s)",
  async (hasMetadata) => {
    await using folder = await openFolder();
    const { object, totals } = encode(raw);
    const there = encodeOtherwise(raw);
    expect(there.equals(object)).toBe(false);
    const metadata = { "raw-sha256": sha256(raw), "raw-bytes": String(raw.length) };
    await folder.store.put(key, there, {
      sha256: sha256(there),
      contentType: "application/zstd",
      ...(hasMetadata ? { metadata } : {}),
    });
    expect(await putLog(folder.store, host, ref, object, totals)).toEqual({
      key,
      conflict: false,
      existing: true,
      storedBytes: there.length,
      storedSha256: sha256(there),
    });
  },
);

test("metadata is not trusted: a damaged object stays, and the log gets an extra key", async () => {
  await using folder = await openFolder();
  const { object, totals } = encode(raw);
  const damaged = Buffer.from(object);
  damaged.writeUInt8(damaged.readUInt8(30) ^ 1, 30);
  const metadata = { "raw-sha256": totals.rawSha256, "raw-bytes": String(totals.rawBytes) };
  await folder.store.put(key, damaged, { sha256: sha256(damaged), contentType: "application/zstd", metadata });
  expect(await putLog(folder.store, host, ref, object, totals)).toMatchObject({ conflict: true, existing: false });
  expect(await folder.store.read(key)).toEqual(damaged);
});

const sameLength = Buffer.from(raw.toString("utf8").replace("hello", "jello"));

test.for([
  { name: "no metadata and the same length", there: sameLength, metadata: undefined },
  { name: "no metadata and another length", there: Buffer.concat([raw, raw]), metadata: undefined },
  { name: "metadata that claims the new log's hash and length", there: sameLength, metadata: raw },
])("a different log is never taken for the one to store: with $name", async ({ there, metadata }) => {
  await using folder = await openFolder();
  const first = encode(there);
  await folder.store.put(key, first.object, {
    sha256: first.totals.storedSha256,
    contentType: "application/zstd",
    ...(metadata && { metadata: { "raw-sha256": sha256(metadata), "raw-bytes": String(metadata.length) } }),
  });
  const { object, totals } = encode(raw);
  const place = { key: conflictingLogKey(host, ref, totals.rawSha256), conflict: true };
  expect(await putLog(folder.store, host, ref, object, totals)).toMatchObject({ ...place, existing: false });
  expect(await collect(readLog(folder.store, place.key))).toEqual(raw);
  expect(await folder.store.read(key)).toEqual(first.object);
});

test("an existing log that cannot be read is neither equal nor a conflict: the put fails and is retried", async () => {
  await using folder = await openFolder();
  const { object, totals } = encode(raw);
  await putLog(folder.store, host, ref, object, totals);
  const fail = () => Promise.reject(new TransientError("store/unavailable", "The store is away."));
  const store = withMethods(folder.store, { read: fail, open: fail });
  await expect(putLog(store, host, ref, object, totals)).rejects.toThrow("The store is away.");
  expect(await folder.store.head(conflictingLogKey(host, ref, totals.rawSha256))).toBeUndefined();
});

test("eight workers that store one log at once store one object", async () => {
  await using folder = await openFolder();
  const { object, totals } = encode(raw);
  const outcomes = await Promise.all(Array.from({ length: 8 }, () => putLog(folder.store, host, ref, object, totals)));
  expect(outcomes.filter(({ existing }) => !existing)).toHaveLength(1);
  expect(new Set(outcomes.map((outcome) => outcome.key))).toEqual(new Set([key]));
});

test("any range of a log is read through its frames", async () => {
  await using folder = await openFolder();
  const text = Buffer.from(
    Array.from({ length: 60_000 }, (_, line) => `${stamp}${line % 700 === 0 ? "##[group]" : ""}line ${line}\n`).join(""),
  );
  const { object, totals } = encode(text);
  await putLog(folder.store, host, ref, object, totals);
  const table = await readSeekTable(folder.store, key, { sizeBytes: object.length });
  expect(table).toMatchObject({ frames: totals.frames, rawBytes: text.length });
  expect(table.frames.length).toBeGreaterThan(20);
  const border = table.frames[3]?.rawStart ?? 0;
  for (const [start, end] of [
    [0, 1],
    [border - 1, border + 1],
    [border, border + 10],
    [1000, 900_000],
    [text.length - 1, text.length],
    [0, text.length],
    [text.length - 5, text.length + 5],
    [7, 7],
  ] as const) {
    expect(
      (await collect(readLogRange(folder.store, key, { start, end }, { table }))).equals(text.subarray(start, end)),
      `${start}-${end}`,
    ).toBe(true);
  }
  expect((await collect(readLog(folder.store, key))).equals(text)).toBe(true);
  expect(await readLogContent(folder.store, key)).toEqual({
    rawBytes: text.length,
    rawSha256: totals.rawSha256,
    storedBytes: object.length,
    storedSha256: totals.storedSha256,
  });
});

test("a log whose seek table is larger than one read is read with a second", async () => {
  await using folder = await openFolder();
  const pieces = Array.from({ length: 9000 }, (_, index) => Buffer.from(`${index},`));
  const stored = pieces.map(compress);
  const frames = pieces.map((piece, index) => ({
    rawStart: 0,
    rawBytes: piece.length,
    storedStart: 0,
    storedBytes: stored[index]?.length ?? 0,
  }));
  const object = Buffer.concat([...stored, encodeSeekTable(frames)]);
  await folder.store.put(key, object, { sha256: sha256(object), contentType: "application/zstd" });
  const text = Buffer.concat(pieces);
  const range = { start: 0, end: text.length };
  expect((await collect(readLogRange(folder.store, key, range))).equals(text)).toBe(true);
  expect((await collect(readLog(folder.store, key))).equals(text)).toBe(true);
});

test("a log of another length than its record says is refused", async () => {
  await using folder = await openFolder();
  const { object, totals } = encode(raw);
  await putLog(folder.store, host, ref, object, totals);
  expect((await collect(readLog(folder.store, key, { rawBytes: raw.length }))).equals(raw)).toBe(true);
  await expect(collect(readLog(folder.store, key, { rawBytes: raw.length + 1 }))).rejects.toMatchObject({
    code: "store/corrupt",
    message: expect.stringContaining(`${key} in ${folder.store.url} holds ${raw.length} bytes of text, but its record says`),
  });
});

test("the error for a damaged or missing log names it", async () => {
  await using folder = await openFolder();
  await expect(collect(readLog(folder.store, key))).rejects.toMatchObject({
    code: "store/corrupt",
    message: expect.stringContaining(key),
  });
  const { object } = encode(raw);
  for (const [name, bytes] of [
    ["cut", object.subarray(0, -1)],
    ["empty", Buffer.alloc(0)],
    ["flipped", Buffer.concat([object.subarray(0, 20), Buffer.from([1, 2, 3]), object.subarray(23)])],
  ] as const) {
    await folder.store.put(name, bytes, { sha256: sha256(bytes), contentType: "application/zstd" });
    await expect(collect(readLog(folder.store, name)), name).rejects.toMatchObject({
      code: "store/corrupt",
      message: expect.stringContaining(name),
    });
  }
});

const hasZstd = spawnSync("zstdcat", ["--version"]).status === 0;
const zstdcat = async (path: string) =>
  (await promisify(execFile)("zstdcat", [path], { encoding: "buffer", maxBuffer: 512 * 1024 * 1024 })).stdout;

test.skipIf(!hasZstd)(
  "zstdcat prints the log, and zstd finds a size and a checksum in every frame (skipped without zstd on the PATH)",
  async () => {
    await using folder = await openFolder();
    const text = Buffer.concat([raw, Buffer.alloc(3_000_000, "a long line without end "), Buffer.from([0, 255, 10, 13, 10])]);
    const { object, totals } = encode(text);
    const path = join(folder.path, "log.zst");
    await writeFile(path, object);
    expect((await zstdcat(path)).equals(text)).toBe(true);
    const { stdout } = await promisify(execFile)("zstd", ["-lv", path]);
    expect(stdout).toMatch(new RegExp(`Zstandard Frames: ${totals.frames.length}`));
    expect(stdout).toMatch(/Skippable Frames: 1/);
    expect(stdout).toMatch(/Check: XXH64/);
    expect(stdout).toContain(`(${text.length} B)`);
  },
);

const fixtures = join(import.meta.dirname, "../../../../../shared/fixtures/job-logs");

test.skipIf(!existsSync(fixtures) || !hasZstd)(
  "real logs are decoded to the same bytes by the reader and by zstdcat (skipped without ../shared/fixtures or zstd)",
  { timeout: 300_000 },
  async () => {
    await using folder = await openFolder();
    let [logs, endMarkers] = [0, 0];
    for (const set of ["bugswarm", "hub4j-github-api"]) {
      for (const name of await readdir(join(fixtures, set))) {
        const text = await readFile(join(fixtures, set, name));
        const { object, totals } = encode(text);
        logs += 1;
        const job = { ...ref, job_id: logs };
        const stored = await putLog(folder.store, host, job, object, totals);
        expect((await collect(readLog(folder.store, stored.key))).equals(text), name).toBe(true);
        expect((await zstdcat(join(folder.path, stored.key))).equals(text), name).toBe(true);
        if (totals.tail.hasEndMarker) endMarkers += 1;
      }
    }
    expect({ logs, endMarkers }).toEqual({ logs: 57, endMarkers: 57 });
  },
);
