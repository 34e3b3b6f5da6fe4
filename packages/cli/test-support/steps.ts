// Logs with steps of any size in a folder store, and a count of the calls that read them, for tests and benchmarks.

import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { LogEncoder, type LogTotals } from "@actions-archive/archive/log/log-format";
import { putLog } from "@actions-archive/archive/log/logs";
import { openStore } from "@actions-archive/archive/open-store";
import type { ByteRange, Store } from "@actions-archive/archive/store/store";
import { withCalls } from "@actions-archive/archive/test-support/changed-store";
import type { StepSection } from "@actions-archive/database/audit/logs";

import type { FoundLog } from "../src/logs/find-log.ts";

export type Read = { readonly key: string; readonly range: ByteRange | undefined };

/** Wraps the store and records each call that reads. */
export function recordReads(store: Store): { store: Store; reads: Read[] } {
  const reads: Read[] = [];
  const recording = withCalls(store, ({ method, args, make }) => {
    // The first two arguments of every method that reads.
    const [key, range] = args as [string, ByteRange | undefined];
    if (["head", "read", "open", "list"].includes(method)) reads.push({ key, range });
    return make();
  });
  return { store: recording, reads };
}

export async function openFolder(): Promise<AsyncDisposable & { readonly store: Store; readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-steps-"));
  return {
    path,
    store: await openStore({ ARCHIVE_URL: pathToFileURL(join(path, "archive")) }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

const stamp = "2026-05-01T10:00:10.1234567Z";

/** Text of `bytes` bytes after a first line. No line repeats within a frame, so that it compresses about as logs do. */
export function stepText(step: number, bytes: number): Buffer {
  const lines = Array.from({ length: Math.min(30_000, Math.ceil(bytes / 50)) }, (_, index) => {
    const word = createHash("sha256").update(`${step} ${index}`).digest("hex");
    return `${stamp} compiling src/module-${index % 300}/${word.slice(0, 8)}.c into objects\n`;
  });
  return Buffer.concat([Buffer.from(`${stamp} ##[group]Run step ${step}\n`), Buffer.alloc(bytes, lines.join(""))]);
}

/** Stores a log with one section per step, of slightly more than `sizes` bytes each. */
export async function putSteps(folder: { store: Store; path: string }, sizes: readonly number[]) {
  const encoder = new LogEncoder();
  const file = join(folder.path, "spool");
  const steps: { section: StepSection; sha256: string }[] = [];
  let start = 0;
  for (const [index, bytes] of sizes.entries()) {
    const text = stepText(index + 1, bytes);
    steps.push({
      section: { step_number: index + 1, first_line: 1, line_count: 1, raw_start: start, raw_bytes: text.length },
      sha256: createHash("sha256").update(text).digest("hex"),
    });
    start += text.length;
    for (const part of encoder.write(text)) appendFileSync(file, part);
  }
  const { stored, totals } = encoder.end();
  for (const part of stored) appendFileSync(file, part);
  const ref = { repository_id: 1, run_id: 2, job_id: 3 };
  const { key } = await putLog(folder.store, "github.com", ref, { path: file, sizeBytes: totals.storedBytes }, totals);
  return { steps, totals, log: foundLog(key, totals) };
}

function foundLog(log_key: string, { storedBytes, rawBytes }: LogTotals): FoundLog {
  const nothing = { log_reason: null, log_version_id: null, copied_from_job_id: null };
  return {
    ...nothing,
    log_state: "archived",
    log_key,
    stored_bytes: storedBytes,
    raw_bytes: rawBytes,
    record_key: "records/none",
  };
}
