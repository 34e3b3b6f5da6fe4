// What the one pass over a log costs, in CPU time: cutting, hashing, compressing, and reading the steps and facts of its lines. As a ratio
// to a loop that only does what no archive can do without: SHA-256 of the text, zstd level 3 in frames of 1 MiB, SHA-256 of
// the result. On recorded logs (../shared/fixtures) where they are, else on generated ones; and on floods of lines that the
// runner writes, against ordinary lines. Run: npx pnpm exec node bench/log-text.ts

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { constants, zstdCompressSync } from "node:zlib";

import { LineScanner } from "@actions-archive/archive/line-scanner";
import { LogEncoder } from "@actions-archive/archive/log-format";
import { LogTextReader } from "@actions-archive/archive/log-text";

const gib = 1024 ** 3;
const rounds = 9;
const recorded = fileURLToPath(new URL("../../shared/fixtures/job-logs/bugswarm/", import.meta.url));
const stamp = (second: number) => `2026-05-01T12:00:${String(second % 60).padStart(2, "0")}.1234567Z `;

function recordedText(): Buffer {
  return Buffer.concat(readdirSync(recorded).map((name) => readFileSync(recorded + name)));
}

function repeated(...lines: string[]): Buffer {
  return Buffer.from(
    Array.from({ length: 200_000 }, (_, index) => stamp(Math.floor(index / 2_000)) + lines[index % lines.length]).join("\n"),
  );
}

function chunksOf(text: Buffer): Buffer[] {
  const bytes = 64 * 1024;
  return Array.from({ length: Math.ceil(text.length / bytes) }, (_, index) => text.subarray(index * bytes, (index + 1) * bytes));
}

function bareLoop(text: Buffer): void {
  const [raw, stored] = [createHash("sha256"), createHash("sha256")];
  for (const chunk of chunksOf(text)) raw.update(chunk);
  for (let at = 0; at < text.length; at += 1024 * 1024) {
    const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 };
    stored.update(zstdCompressSync(text.subarray(at, at + 1024 * 1024), { params }));
  }
  raw.digest();
  stored.digest();
}

function encode(text: Buffer): void {
  const encoder = new LogEncoder();
  for (const chunk of chunksOf(text)) encoder.write(chunk);
  encoder.end();
}

function scan(text: Buffer): void {
  const scanner = new LineScanner({ onLine: () => false, onText: () => undefined });
  for (const chunk of chunksOf(text)) scanner.scan(chunk);
  scanner.end();
}

function scanAndRead(text: Buffer): void {
  const reader = new LogTextReader();
  const scanner = new LineScanner(reader);
  for (const chunk of chunksOf(text)) scanner.scan(chunk);
  scanner.end();
  reader.end();
}

/** The least CPU seconds of several rounds, taken in turns so that all share the machine's weather. */
function measure<K extends string>(parts: Readonly<Record<K, () => void>>): Record<K, number> {
  const names = Object.keys(parts) as K[];
  const best = Object.fromEntries(names.map((name) => [name, Infinity])) as Record<K, number>;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      const before = process.cpuUsage();
      parts[name]();
      const { user, system } = process.cpuUsage(before);
      best[name] = Math.min(best[name], (user + system) / 1e6);
    }
  }
  return best;
}

const isRecorded = existsSync(recorded);
const ordinary = repeated(
  "PASS src/store/client.12 #4711 in 31 ms, 12 assertions",
  "fetched lib/queue.88 from cache, 4096 bytes",
);
const text = isRecorded ? recordedText() : ordinary;
const cost = measure({
  bare: () => bareLoop(text),
  pass: () => encode(text),
  scan: () => scan(text),
  scanAndRead: () => scanAndRead(text),
});
const perGib = (seconds: number) => Number(((seconds * gib) / text.length).toFixed(2));
const ratio = (seconds: number) => Number((seconds / cost.bare).toFixed(2));
console.log(
  isRecorded ? `${(text.length / 1e6).toFixed(1)} MB of recorded logs` : "generated lines: ../shared/fixtures is not there",
);
console.table(
  Object.fromEntries(
    Object.entries(cost).map(([name, seconds]) => [name, { "CPU s/GiB": perGib(seconds), "× bare loop": ratio(seconds) }]),
  ),
);

const floods = {
  ordinary,
  errors: repeated("##[error]boom"),
  marks: repeated("##[group]Run make", "##[endgroup]"),
  debug: repeated("##[debug]Evaluating condition for step: 'x'"),
};
const lines = measure({
  ordinary: () => encode(floods.ordinary),
  errors: () => encode(floods.errors),
  marks: () => encode(floods.marks),
  debug: () => encode(floods.debug),
});
console.table(
  Object.fromEntries(
    Object.entries(lines).map(([name, seconds]) => [
      name,
      { "CPU µs/line": Number((seconds * 5).toFixed(2)), "× ordinary": Number((seconds / lines.ordinary).toFixed(2)) },
    ]),
  ),
);

// The whole log-worker's limit is 2.2; the pass alone must leave room for the rest.
if (ratio(cost.pass) > 2.2) {
  console.error(`The pass costs ${ratio(cost.pass)} times the bare loop, over 2.2`);
  process.exitCode = 1;
}
