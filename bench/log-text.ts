// The CPU time of the single pass over a log: cutting, hashing, compressing, and reading the steps and facts of its lines. As a ratio to a
// loop of the minimum: SHA-256 of the text, zstd level 3 in frames of 1 MiB, SHA-256 of the result. On recorded logs
// (../shared/fixtures) where they exist, else on generated ones; and on floods of lines that the runner writes, against ordinary lines.
// npx pnpm exec node bench/log-text.ts

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { constants, zstdCompressSync } from "node:zlib";

import { LogEncoder } from "@actions-archive/archive/log/log-format";
import { LineScanner } from "@actions-archive/archive/log/text/line-scanner";
import { LogTextReader } from "@actions-archive/archive/log/text/log-text";

const gib = 1024 ** 3;
const rounds = 9;
const linesOfFlood = 200_000;
const recorded = fileURLToPath(new URL("../../shared/fixtures/job-logs/bugswarm/", import.meta.url));
const stamp = (second: number) => `2026-05-01T12:00:${String(second % 60).padStart(2, "0")}.1234567Z `;

function recordedText(): Buffer {
  return Buffer.concat(readdirSync(recorded).map((name) => readFileSync(recorded + name)));
}

function repeated(...lines: string[]): Buffer {
  return Buffer.from(
    Array.from({ length: linesOfFlood }, (_, index) => stamp(Math.floor(index / 2_000)) + lines[index % lines.length]).join("\n"),
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
  const scanner = new LineScanner({ onLine: () => false, onText: () => undefined, wantsPlain: () => false });
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

/** @returns the minimum CPU seconds of several rounds, which alternate between the parts so that all see the same load of the machine. */
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
  "bare loop": () => bareLoop(text),
  "the pass": () => encode(text),
  "of that, lines": () => scan(text),
  "of that, lines and what they say": () => scanAndRead(text),
});
const source = isRecorded
  ? `${(text.length / 1e6).toFixed(1)} MB of recorded logs`
  : "generated lines: ../shared/fixtures is not there";
process.stdout.write(`${source}\n${"".padEnd(34)} CPU s/GiB  × bare loop\n`);
for (const [name, seconds] of Object.entries(cost)) {
  const perGib = ((seconds * gib) / text.length).toFixed(2).padStart(9);
  process.stdout.write(`${name.padEnd(34)} ${perGib} ${(seconds / cost["bare loop"]).toFixed(2).padStart(12)}\n`);
}

const errors = repeated("##[error]boom");
const groups = repeated("##[group]Run make", "##[endgroup]");
const debugging = repeated("##[debug]Evaluating condition for step: 'x'");
const lines = measure({
  "ordinary lines": () => encode(ordinary),
  errors: () => encode(errors),
  groups: () => encode(groups),
  debugging: () => encode(debugging),
});
process.stdout.write(`\n${"".padEnd(34)} CPU µs/line  × ordinary\n`);
for (const [name, seconds] of Object.entries(lines)) {
  const perLine = ((seconds * 1e6) / linesOfFlood).toFixed(2).padStart(11);
  process.stdout.write(`${name.padEnd(34)} ${perLine} ${(seconds / lines["ordinary lines"]).toFixed(2).padStart(11)}\n`);
}

// The limit of a whole log-worker. The pass alone must stay well below it.
const mustRatio = 2.2;
const ratio = cost["the pass"] / cost["bare loop"];
process.stdout.write(`\nmust be at most ${mustRatio}: ${ratio.toFixed(2)}\n`);
process.exitCode = ratio <= mustRatio ? 0 : 1;
