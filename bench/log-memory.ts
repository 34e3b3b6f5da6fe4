// The peak resident size of a log-worker process (VmHWM, proc_pid_status(5)), for several kinds of logs, with a new process for each kind;
// and whether each log is archived byte for byte. The simulated GitHub and its log host run in this process. Must: at most 300 MiB; aim:
// 256 MiB. Linux only.
// npx pnpm exec node bench/log-memory.ts [NAME]: only the kinds whose name contains NAME

import { createHash, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";

import { readLog } from "@actions-archive/archive/log/read-log";
import { logKey } from "@actions-archive/core/object-key";
import type { Job } from "@actions-archive/github-simulator/world/model";

import { hashInto, type LogScenario, openLogScenario } from "./support/log-scenario.ts";
import { readSampleText, writeRepeated } from "./support/log-text.ts";

const MiB = 1024 * 1024;
const mustBytes = 300 * MiB;
const aimBytes = 256 * MiB;
const stamp = "2026-01-01T00:00:00.0000000Z ";

/** By kind: logs, written line by line. */
const kinds: readonly { readonly name: string; readonly logs: number; readonly write: (path: string) => Promise<void> }[] = [
  // Eight concurrently, the worker's default, and one that begins when the first of them ends.
  { name: "9 logs of 260 MB", logs: 9, write: (path) => writeWithLongLine(path, 260_000_000, 72_000_000) },
  { name: "1 GiB", logs: 1, write: (path) => writeRepeated(path, readSampleText().bytes, 1024 * MiB) },
  {
    name: "one line of 72 MB",
    logs: 1,
    write: (path) => writeRepeated(path, Buffer.alloc(1_000_000, "one endless line "), 72_000_000),
  },
  { name: "5 million lines", logs: 1, write: (path) => writeLines(path, 5_000_000, (line) => `${stamp}line ${line}`) },
  { name: "2 million markers", logs: 1, write: (path) => writeLines(path, 2_000_000, (line) => `${stamp}##[group]Run ${line}`) },
  {
    name: "a million errors",
    logs: 1,
    write: (path) => writeLines(path, 1_000_000, (line) => `${stamp}##[error]broken ${line}`),
  },
  { name: "300 MB of noise", logs: 1, write: (path) => writeRepeated(path, randomBytes(1_000_000), 300_000_000) },
  { name: "1 byte", logs: 1, write: (path) => writeRepeated(path, Buffer.from("x"), 1) },
  { name: "0 bytes", logs: 1, write: (path) => writeRepeated(path, Buffer.from("x"), 0) },
];

/** Writes recorded lines, with one line of `lineBytes` in the middle. */
async function writeWithLongLine(path: string, sizeBytes: number, lineBytes: number): Promise<void> {
  const { bytes } = readSampleText();
  await using file = await open(path, "w");
  const halfBytes = (sizeBytes - lineBytes) / 2;
  for (const part of [
    repeatTo(bytes, halfBytes),
    repeatTo(Buffer.alloc(1_000_000, "one endless line "), lineBytes),
    repeatTo(bytes, halfBytes),
  ])
    for (const piece of part) await file.write(piece);
}

function* repeatTo(text: Buffer, sizeBytes: number): Generator<Buffer, void, undefined> {
  for (let written = 0; written < sizeBytes; written += text.length) yield text.subarray(0, sizeBytes - written);
}

async function writeLines(path: string, count: number, lineOf: (line: number) => string): Promise<void> {
  await using file = await open(path, "w");
  const linesAtOnce = 50_000;
  for (let from = 0; from < count; from += linesAtOnce)
    await file.write(Array.from({ length: linesAtOnce }, (_, line) => `${lineOf(from + line)}\n`).join(""));
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await hashInto(hash, path);
  return hash.digest("hex");
}

async function isArchivedWhole({ archive: { store, identity } }: LogScenario, job: Job, rawSha256: string): Promise<boolean> {
  const key = logKey(identity.host, { repository_id: job.run.repository.id, run_id: job.run.id, job_id: job.id });
  if (job.log.kind === "file" && job.log.bytes === 0) return (await store.head(key)) === undefined;
  const hash = createHash("sha256");
  for await (const text of readLog(store, key)) hash.update(text);
  return hash.digest("hex") === rawSha256;
}

await using scenario = await openLogScenario();
let worstBytes = 0;
let isAllWhole = true;
const rows: string[] = [];
const wanted = kinds.filter(({ name }) => name.includes(process.argv[2] ?? ""));
for (const [index, { name, logs, write }] of wanted.entries()) {
  const path = join(scenario.folder, String(index));
  await write(path);
  const jobs: Job[] = [];
  for (let count = 0; count < logs; count++) jobs.push(await scenario.addJob(path));
  const { peakBytes, maxBlockMs, seconds } = await scenario.archiveAll(jobs);
  const rawSha256 = await hashOf(path);
  const isWhole = (await Promise.all(jobs.map((job) => isArchivedWhole(scenario, job, rawSha256)))).every(Boolean);
  worstBytes = Math.max(worstBytes, peakBytes);
  isAllWhole &&= isWhole;
  const row = `${name.padEnd(20)} ${(peakBytes / MiB).toFixed(0).padStart(8)} ${maxBlockMs.toFixed(0).padStart(10)} ${seconds.toFixed(1).padStart(8)}  ${isWhole ? "equal" : "WRONG"}`;
  process.stderr.write(`${row}\n`);
  rows.push(row);
}
process.stdout.write(`log                  peak MiB   block ms  seconds  bytes\n${rows.join("\n")}\n`);
process.stdout.write(
  `at most ${(worstBytes / MiB).toFixed(0)} MiB; must be at most ${mustBytes / MiB}, aim ${aimBytes / MiB}${worstBytes > aimBytes ? ", missed" : ""}\n`,
);
process.exitCode = worstBytes <= mustBytes && isAllWhole ? 0 : 1;
