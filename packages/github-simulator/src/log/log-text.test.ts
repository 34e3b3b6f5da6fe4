// Generated logs: of exact length, ordered, reproducible, and with the configured oddities.

import { createHash } from "node:crypto";

import { expect, test } from "vitest";

import { Builder } from "../world/builder.ts";
import type { JobDraft } from "../world/builder.ts";
import type { Job } from "../world/model.ts";
import { World } from "../world/world.ts";
import { logContent, logSha256, sliceLog } from "./log-content.ts";
import { generateLog } from "./log-text.ts";

const startMs = Date.UTC(2026, 10, 1, 12);
const plain = {
  bom: false,
  crlf: false,
  nul: false,
  untimedLines: false,
  finalNewline: true,
  waitingLines: false,
  nestedGroups: false,
};

function makeJob(draft: Partial<JobDraft> = {}): Job {
  const logs = { medianBytes: 50_000, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 1_000_000_000 };
  const builder = new Builder(new World(), 1, logs);
  const run = builder.run({ repository: builder.repository(builder.owner("octo-org"), "api"), createdAtMs: startMs });
  return builder.job(run, { name: "build", durationMs: 90_000, ...draft, style: { ...plain, ...draft.style } });
}

function read(job: Job): Buffer {
  return Buffer.concat([...generateLog(job)]);
}

test.each([0, 9_000, 12_345, 100_001, 3_000_003])("a log that is asked for with %i bytes has what it promises", (bytes) => {
  for (const style of [
    {},
    { crlf: true },
    { bom: true, finalNewline: false },
    { untimedLines: true, nul: true, waitingLines: true },
  ]) {
    const job = makeJob({ bytes, style });
    const promised = logContent(job)?.bytes;
    expect(read(job).length).toBe(promised);
    // The runner's own lines take some thousand bytes.
    expect(bytes > 9_000 ? promised : bytes).toBe(bytes);
  }
});

test("the same job gives the same bytes every time", async () => {
  const first = createHash("sha256").update(read(makeJob())).digest("hex");
  expect(createHash("sha256").update(read(makeJob())).digest("hex")).toBe(first);
  expect(await logSha256(makeJob())).toBe(first);
});

test("every line has a time of seven digits, and times never decrease", () => {
  const lines = read(makeJob({ bytes: 200_000, style: { waitingLines: true } }))
    .toString("utf8")
    .trimEnd()
    .split("\n");
  const stamps = lines.map((line) => /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{7}Z(?= )/.exec(line)?.[0] ?? "no time");
  expect(stamps).toEqual(stamps.toSorted());
  expect(stamps).not.toContain("no time");
});

test("a log that waits for a runner begins before its job does, and ends at the job's end", () => {
  const job = makeJob({ style: { waitingLines: true } });
  const lines = read(job).toString("utf8").trimEnd().split("\n");
  const timeOf = (line: string | undefined) => Date.parse(line?.slice(0, 28) ?? "");
  expect(timeOf(lines[0])).toBeLessThan((job.startedAtMs ?? 0) - 5_000);
  expect(lines.at(-1)).toContain("Cleaning up orphan processes");
  expect((job.completedAtMs ?? 0) - timeOf(lines.at(-1))).toBeLessThan(5_000);
});

test("a cut log has no end marker and stops more than five seconds before its job does", () => {
  const job = makeJob({ style: { endMarker: false } });
  const text = read(job).toString("utf8");
  expect(text).not.toContain("Cleaning up orphan processes");
  const last = text.trimEnd().split("\n").at(-1) ?? "";
  expect((job.completedAtMs ?? 0) - Date.parse(last.slice(0, 28))).toBeGreaterThan(5_000);
});

test("groups are balanced, and the runner's markers are all there", () => {
  const text = read(makeJob({ conclusion: "failure", style: { nestedGroups: true } })).toString("utf8");
  expect(text.match(/##\[group\]/g)?.length).toBe(text.match(/##\[endgroup\]/g)?.length);
  for (const marker of [
    "Current runner version:",
    "##[group]GITHUB_TOKEN Permissions",
    "##[group]Run actions/checkout@v4",
    "Post job cleanup.",
    "##[error]Process completed with exit code 1.",
  ]) {
    expect(text).toContain(marker);
  }
  expect(text).toMatch(/Download action repository 'actions\/checkout@v4' \(SHA:[0-9a-f]{40}\)/);
});

test("oddities appear in the bytes as they do in real logs", () => {
  expect(read(makeJob({ style: { bom: true } })).subarray(0, 3)).toEqual(Buffer.from([0xef, 0xbb, 0xbf]));
  expect(read(makeJob({ style: { crlf: true } })).toString("utf8")).not.toMatch(/[^\r]\n/);
  expect(read(makeJob({ style: { nul: true } })).includes(0)).toBe(true);
  expect(read(makeJob({ style: { untimedLines: true } })).toString("utf8")).toMatch(/\n- second\n/);
  expect(read(makeJob({ style: { finalNewline: false } })).at(-1)).not.toBe(0x0a);
  expect(
    Math.max(
      ...read(makeJob({ style: { longLine: 300_000 } }))
        .toString("utf8")
        .split("\n")
        .map((line) => line.length),
    ),
  ).toBeGreaterThan(300_000);
});

test("a slice of a log is that part of its bytes", async () => {
  const job = makeJob({ bytes: 300_000 });
  const content = logContent(job);
  if (content === undefined) throw new Error("no log");
  const parts: Buffer[] = [];
  for await (const part of sliceLog(content, 65_000, 140_000)) parts.push(part);
  expect(Buffer.concat(parts)).toEqual(read(job).subarray(65_000, 140_001));
});
