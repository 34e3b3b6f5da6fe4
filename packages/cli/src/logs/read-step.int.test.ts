// A step of a large log costs two reads of its object and little beyond the step, wherever in the log it is.

import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { type Frame, LogEncoder, type LogTotals } from "@actions-archive/archive/log-format";
import { putLog } from "@actions-archive/archive/logs";
import { openStore } from "@actions-archive/archive/open-store";
import type { Section } from "@actions-archive/archive/record";
import type { ByteRange, Store } from "@actions-archive/archive/store";
import { expect, test } from "vitest";

import type { FoundLog } from "./find-log.ts";
import { readStep } from "./read-step.ts";

type Read = { readonly key: string; readonly range: ByteRange | undefined };

/** The store as it is, with a note of each call that reads. */
function noteReads(store: Store): { store: Store; reads: Read[] } {
  const reads: Read[] = [];
  const noting = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        // The first two arguments of every method that reads.
        const [key, range] = args as [string, ByteRange | undefined];
        if (["head", "read", "open", "list"].includes(String(name))) reads.push({ key, range });
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { store: noting, reads };
}

async function openFolder(): Promise<AsyncDisposable & { readonly store: Store; readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-steps-"));
  return {
    path,
    store: await openStore({ ARCHIVE_URL: pathToFileURL(join(path, "archive")) }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

const stamp = "2026-05-01T10:00:10.1234567Z";

/** Text that compresses as logs do: words of a hash that repeat. */
function stepText(step: number, bytes: number): Buffer {
  const words = Array.from({ length: 400 }, (_, index) => createHash("sha256").update(`${step} ${index}`).digest("hex"));
  const lines = words.map((word, index) => `${stamp} ${word.slice(0, 20)} compiled ${words[(index * 7) % 400]?.slice(0, 6)}.o\n`);
  return Buffer.concat([Buffer.from(`${stamp} ##[group]Run step ${step}\n`), Buffer.alloc(bytes, lines.join(""))]);
}

async function putSteps(folder: { store: Store; path: string }, sizes: readonly number[]) {
  const encoder = new LogEncoder();
  const file = join(folder.path, "spool");
  const steps: { section: Section; sha256: string }[] = [];
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

const megabytes = 1_000_000;

test(
  "any step of a log of 260 MB is two reads at most, of no frame that holds nothing of the step",
  { timeout: 120_000 },
  async () => {
    await using folder = await openFolder();
    const sizes = [2000, 30 * megabytes, 500, 100 * megabytes, 70_000, 3 * megabytes, 90 * megabytes, 40, 37 * megabytes, 900];
    const { steps, totals, log } = await putSteps(folder, sizes);
    expect(totals.rawBytes).toBeGreaterThan(260 * megabytes);
    for (const { section, sha256 } of steps) {
      const { store, reads } = noteReads(folder.store);
      const hash = createHash("sha256");
      for await (const text of readStep(store, log, { step_number: section.step_number ?? 0, sections: [section] }))
        hash.update(text);
      expect(hash.digest("hex"), `step ${section.step_number}`).toBe(sha256);
      expect(reads.length).toBeLessThanOrEqual(2);
      const [table, frames] = reads.map(({ range = { start: 0, end: Infinity } }) => range);
      expect((table?.end ?? Infinity) - (table?.start ?? 0)).toBeLessThanOrEqual(64 * 1024);
      // The last step came with the table.
      if (frames === undefined) continue;
      const read = totals.frames.filter(({ storedStart }) => storedStart >= frames.start && storedStart < frames.end);
      const isOfStep = ({ rawStart, rawBytes }: Frame) =>
        rawStart < section.raw_start + section.raw_bytes && rawStart + rawBytes > section.raw_start;
      expect(read).toEqual(totals.frames.filter(isOfStep));
    }
  },
);

test("a step of a small log is one read", async () => {
  await using folder = await openFolder();
  const { steps, log } = await putSteps(folder, [100, 5000, 200_000]);
  for (const { section, sha256 } of steps) {
    const { store, reads } = noteReads(folder.store);
    const hash = createHash("sha256");
    for await (const text of readStep(store, log, { step_number: section.step_number ?? 0, sections: [section] }))
      hash.update(text);
    expect({ sha256: hash.digest("hex"), reads: reads.length }).toEqual({ sha256, reads: 1 });
  }
});

test("a step in two sections is read in order, without what stands between", async () => {
  await using folder = await openFolder();
  const { steps, log } = await putSteps(folder, [1000, 300_000, 1000, 1000]);
  const [first, , third, fourth] = steps.map(({ section }) => section);
  if (!first || !third || !fourth) throw new Error("there are four steps");
  const { store, reads } = noteReads(folder.store);
  const parts: Buffer[] = [];
  for await (const text of readStep(store, log, { step_number: 1, sections: [first, third, fourth] })) parts.push(text);
  expect(Buffer.concat(parts).equals(Buffer.concat([stepText(1, 1000), stepText(3, 1000), stepText(4, 1000)]))).toBe(true);
  expect(reads.length).toBeLessThanOrEqual(3);
});
