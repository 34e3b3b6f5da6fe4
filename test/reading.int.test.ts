// `logs` and `search` on an archive, and their messages about what they cannot read.

import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import type { Section } from "@actions-archive/archive/record/record";
import { failLog } from "@actions-archive/database/ledger/log-states";
import { expect, test } from "vitest";
import { z } from "zod";

import { firstJobId, openFilledArchive } from "./support/filled-archive.ts";
import { mainOf, runCli } from "./support/processes.ts";
import { openWorkspace } from "./support/workspace.ts";

const stamp = "2026-05-01T10:00:10.1234567Z";
const stepNames = ["Set up job", "Run make", "Deploy", "Complete job", "Post make"];
const steps = stepNames.map((name, index) => ({
  number: index + 1,
  name,
  conclusion: name === "Deploy" ? "skipped" : "success",
}));

/** @returns a log with `parts` as its sections: a step's number and its text. */
function sectionsOf(parts: readonly (readonly [number | null, string])[]): { text: string; sections: Section[] } {
  let [line, start] = [1, 0];
  const sections = parts.map(([step_number, part]): Section => {
    const section = {
      step_number,
      first_line: line,
      line_count: part.split("\n").length - 1,
      raw_start: start,
      raw_bytes: Buffer.byteLength(part),
    };
    [line, start] = [line + section.line_count, start + section.raw_bytes];
    return section;
  });
  return { text: parts.map(([, part]) => part).join(""), sections };
}

const hostile = `${stamp} \u001B[31mred\u001B[0m\u001B[2J\u001B]0;title\u0007 50%\r100% \u009B1m \u202Egnp\r\n`;
const sample = sectionsOf([
  [1, `${stamp} Current runner version: '2.300.0'\n${stamp} é and so on\n`],
  [2, `${stamp} ##[group]Run make\n${hostile}${"x".repeat(200_000)}\n`],
  [null, `${stamp} who knows\n`],
  [4, `${stamp} Cleaning up orphan processes\n`],
]);

test("logs --step prints the step's lines and nothing else; --raw its bytes", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  await archive.archive({ job_id: firstJobId, steps }, sample.text, sample.sections);
  const run = (...args: string[]) => runCli(["logs", String(firstJobId), ...args], archive.options);

  const raw = await run("--step", "2", "--raw");
  expect(raw).toMatchObject({ code: 0, stderr: "" });
  expect(raw.stdoutBytes.equals(Buffer.from(`${stamp} ##[group]Run make\n${hostile}${"x".repeat(200_000)}\n`))).toBe(true);
  const safe = await run("--step", "2");
  expect(safe.stdout).toContain("\u001B[31mred\u001B[0m^[[2J^[]0;title^G 50%^M100% <U+009B>1m <U+202E>gnp^M\n");
  expect((await run("--step", "1")).stdout).toBe(`${stamp} Current runner version: '2.300.0'\n${stamp} é and so on\n`);
  const place = await run("--step", "4", "--json");
  expect(JSON.parse(place.stdout)).toMatchObject({
    job_id: firstJobId,
    step: { step_number: 4, first_line: 7, line_count: 1 },
  });
  expect((await run("--raw")).stdoutBytes.equals(Buffer.from(sample.text))).toBe(true);
});

test("logs and search see no byte order marks where the blocks of a log begin; logs --raw prints them", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const block = `\uFEFF${stamp} ##[group]Run make\n${stamp} filling a block of the runner\n`;
  const marked = sectionsOf([
    [1, `\uFEFF${stamp} Current runner version: '2.336.0'\n${stamp} é and so on\n`],
    [2, block.repeat(3)],
    [4, `\uFEFF${stamp} Cleaning up \uFEFForphan processes\n\uFEFF`],
  ]);
  await archive.archive({ job_id: firstJobId, steps }, marked.text, marked.sections);
  const run = (...args: string[]) => runCli(["logs", String(firstJobId), ...args], archive.options);

  expect((await run("--step", "2")).stdout).toBe(block.slice(1).repeat(3));
  expect((await run("--step", "2", "--raw")).stdout).toBe(block.repeat(3));
  const shown = marked.text.replace("up \uFEFF", "up <U+FEFF>").replaceAll("\uFEFF", "");
  expect((await run()).stdout).toBe(shown);
  expect((await run("--raw")).stdoutBytes.equals(Buffer.from(marked.text))).toBe(true);
  const found = await runCli(["search", "^(##.group|Current)"], archive.options);
  expect(found.code).toBe(0);
  expect(found.stdout.split("\n").map((line) => line.replace(/^.* job \d+ /, ""))).toEqual([
    `step 1 line 1 ${stamp}: Current runner version: '2.336.0'`,
    ...[3, 5, 7].map((line) => `step 2 line ${line} ${stamp}: ##[group]Run make`),
    "",
  ]);
});

test("logs --step explains why a step is not available, and lists those that are", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  await archive.archive({ job_id: firstJobId, steps }, sample.text, sample.sections);
  await archive.archive({ job_id: firstJobId + 1, steps }, sample.text);
  const run = (job: number, step: string) => runCli(["logs", String(job), "--step", step], archive.options);

  for (const [job, step, message] of [
    [firstJobId, "9", `Step 9 of job ${firstJobId} is not known.`],
    [firstJobId, "3", `Step 3 (Deploy) of job ${firstJobId} was skipped: it has no lines.`],
    [firstJobId, "5", `Step 5 (Post make) of job ${firstJobId} has no lines that could be attributed to it`],
    [firstJobId + 1, "2", `The record of job ${firstJobId + 1} has no positions of its steps.`],
  ] as const) {
    const { code, stdout, stderr } = await run(job, step);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  }
  const listed = "  1  Set up job (2 lines)\n  2  Run make (3 lines)\n  3  Deploy (skipped)\n";
  expect((await run(firstJobId, "3")).stderr).toContain(listed);
  expect((await run(firstJobId, "two")).stderr).toContain("must be a step's number");
});

test("logs explains why a log is not in the archive", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const job = (index: number) => ({ job_id: firstJobId + index });
  await archive.owe(job(0));
  await archive.owe(job(1));
  await failLog(archive.db, firstJobId + 1, "forbidden", "403");
  await archive.settleAbsent(job(2), { state: "absent", reason: "expired", copied_from: null });
  await archive.settleAbsent(job(3), { state: "absent", reason: "copied", copied_from: firstJobId + 9 });
  for (const [index, message] of [
    "is pending",
    "is failed: forbidden",
    "is absent: expired",
    `is absent: copied. It is the log of job ${firstJobId + 9}, of an earlier attempt: actions-archive logs ${firstJobId + 9}`,
    `No job ${firstJobId + 4} is known`,
  ].entries()) {
    const { code, stderr } = await runCli(["logs", String(firstJobId + index), "--step", "1"], archive.options);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  }
});

const Line = z.discriminatedUnion("kind", [
  z.looseObject({
    kind: z.literal("match"),
    job_id: z.int(),
    run_id: z.int(),
    step_number: z.int().nullable(),
    line_number: z.int(),
  }),
  z.looseObject({ kind: z.literal("unread"), job_id: z.int(), problem: z.string(), detail: z.string() }),
  z.looseObject({ kind: z.literal("summary"), logs: z.int(), matches: z.int(), unread: z.int(), complete: z.boolean() }),
]);

function parseLines(stdout: string): z.output<typeof Line>[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => Line.parse(JSON.parse(line)));
}

test("search finds lines with their job, step, number and time, and ends with 0, or with 1 without a match", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  await archive.archive({ job_id: firstJobId, steps }, sample.text, sample.sections);
  await archive.archive({ job_id: firstJobId + 1, repository: "acme/web" }, `${stamp} who else\n`);
  await archive.settleAbsent(
    { job_id: firstJobId + 2, conclusion: "skipped" },
    { state: "absent", reason: "not_run", copied_from: null },
  );
  const run = (...args: string[]) => runCli(["search", ...args], archive.options);

  const json = await run("--json", "^who [ek]");
  expect(json.code, json.stderr).toBe(0);
  expect(parseLines(json.stdout).toSorted((a, b) => Number(a["job_id"] ?? 0) - Number(b["job_id"] ?? 0))).toEqual([
    {
      kind: "summary",
      logs: 2,
      bytes: Buffer.byteLength(sample.text + `${stamp} who else\n`),
      matches: 2,
      unread: 0,
      complete: true,
    },
    {
      kind: "match",
      repository: "acme/app",
      run_id: 26_365_060_973,
      run_attempt: 1,
      job_id: firstJobId,
      workflow_name: "CI",
      job_name: "build",
      line_number: 6,
      time: stamp,
      text: "who knows",
      left_out: [0, 0],
      step_number: null,
    },
    expect.objectContaining({ job_id: firstJobId + 1, repository: "acme/web", step_number: null, text: "who else" }),
  ]);
  const text = await run("GROUP", "--ignore-case");
  expect(text).toMatchObject({
    code: 0,
    stdout: `acme/app run 26365060973 job ${firstJobId} step 2 line 3 ${stamp}: ##[group]Run make\n`,
    stderr: expect.stringContaining("1 match in 2 logs") as string,
  });
  const nothing = await run("--fixed", "^who");
  expect(nothing).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("No match in 2 logs") as string });
});

test("search prints of a hostile line's control sequences only colours", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  await archive.archive({ job_id: firstJobId, name: "evil\n\u001B[2Jname" }, hostile);
  const { stdout } = await runCli(["search", "gnp"], archive.options);
  expect(stdout).toContain("\u001B[31mred\u001B[0m^[[2J^[]0;title^G 50%^M100% <U+009B>1m <U+202E>gnp\u001B[0m\n");
  expect(stdout.split("\n")).toHaveLength(2);
});

test("search reads only the selected logs, the newest first, and ends at --max-matches", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const jobs = [
    { conclusion: "failure" },
    { workflow_name: "Nightly" },
    { repository: "acme/web" },
    { completed_at: "2026-06-01T00:00:00Z" },
    {},
  ];
  for (const [index, job] of jobs.entries()) await archive.archive({ job_id: firstJobId + index, ...job }, `${stamp} here\n`);
  const found = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli(["search", "--json", "here", ...args], archive.options);
    expect(code, stderr).toBe(0);
    return parseLines(stdout).flatMap((line) => (line.kind === "match" ? [line.job_id - firstJobId] : []));
  };
  expect(new Set(await found())).toEqual(new Set([0, 1, 2, 3, 4]));
  expect(await found("--conclusion", "failure")).toEqual([0]);
  expect(await found("--workflow", "Nightly")).toEqual([1]);
  expect(await found("--repository", "ACME/Web")).toEqual([2]);
  expect(await found("--since", "2026-05-02")).toEqual([3]);
  expect(new Set(await found("--until", "2026-05-02"))).toEqual(new Set([0, 1, 2, 4]));
  expect(await found("--max-matches", "1")).toHaveLength(1);
  const cut = await runCli(["search", "here", "--max-matches", "2"], archive.options);
  expect(cut).toMatchObject({ code: 0, stderr: expect.stringContaining("ended at --max-matches") as string });
});

test("search reports what it cannot read and ends with 3, with or without a match", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const job = (index: number) => ({ job_id: firstJobId + index });
  const damaged = await archive.archive(job(0), `${stamp} here\n`.repeat(5000));
  const missing = await archive.archive(job(1), `${stamp} here\n`);
  await archive.archive(job(2), `${stamp} here\n`);
  await archive.owe(job(3));
  await archive.owe(job(4), false);
  await archive.owe(job(5));
  await failLog(archive.db, firstJobId + 5, "forbidden", "403");
  await archive.settleAbsent(job(6), { state: "absent", reason: "deleted", copied_from: null });
  await archive.settleAbsent(job(7), { state: "absent", reason: "copied", copied_from: firstJobId + 2 });
  await archive.archive(job(8), `${"y".repeat(5 * 1024 * 1024)}\n`);
  const record = (index: number) =>
    join(workspace.archive, `records/github-simulator/700000001/26365060973/${firstJobId + index}.json`);
  await archive.archive(job(9), `${stamp} here\n`);
  await rm(record(9));
  const path = join(workspace.archive, damaged);
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(20) ^ 0xff, 20);
  await rm(path);
  await writeFile(path, bytes);
  await rm(join(workspace.archive, missing));

  const { code, stdout } = await runCli(["search", "--json", "here|not"], archive.options);
  expect(code).toBe(3);
  const lines = parseLines(stdout);
  expect(lines.at(-1)).toMatchObject({ kind: "summary", matches: 2, logs: 3, unread: 8, complete: false });
  const unread = lines.flatMap((line) => (line.kind === "unread" ? [[line.job_id - firstJobId, line.problem] as const] : []));
  expect(unread.toSorted(([a], [b]) => a - b)).toEqual([
    [0, "log_damaged"],
    [1, "log_damaged"],
    [3, "log_pending"],
    [4, "log_pending"],
    [5, "log_failed"],
    [6, "log_absent"],
    [8, "line_too_long"],
    [9, "record_unreadable"],
  ]);
  const text = await runCli(["search", "nothing of the kind"], archive.options);
  expect(text).toMatchObject({ code: 3, stdout: "" });
  expect(text.stderr).toMatch(/Not read, so matches may be missing:/);
  expect(text.stderr).toContain("log_absent: deleted");
  expect(text.stderr).toContain(`acme/app run 26365060973 job ${firstJobId}: log_damaged: The log ${damaged} in `);
  expect(text.stderr).toContain("No match in 3 logs");
  const fixed = await runCli(["search", "--json", "--fixed", "nothing"], archive.options);
  expect(parseLines(fixed.stdout).some((line) => line["problem"] === "line_too_long")).toBe(false);
});

test("a search whose output is closed ends silently", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  await archive.archive({ job_id: firstJobId }, `${stamp} here\n`.repeat(200_000));
  const { settings, cwd } = archive.options;
  const args = ["-c", '"$0" "$@" | head -n 1', process.execPath, mainOf("cli"), "search", "here"];
  const { stdout, stderr } = await promisify(execFile)("sh", args, { cwd, env: { PATH: "/usr/bin:/bin", ...settings } });
  expect(stdout).toBe(`acme/app run 26365060973 job ${firstJobId} step ? line 1 ${stamp}: here\n`);
  // stderr would contain a summary if the search had continued to the end.
  expect(stderr).toBe("");
});

test("a wrong search ends with 2 and shows the right usage", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  for (const [args, message] of [
    [["foo(?=bar)"], "Look-around and back-references are not supported"],
    [["here", "--repository", "acme/ap"], "No repository acme/ap is known"],
    [["here", "--since", "yesterday"], "must be a date"],
    [["here", "--max-matches", "0"], "1 or more"],
    [["here", "--conclusion", "fine"], "Allowed choices"],
  ] as const) {
    const { code, stdout, stderr } = await runCli(["search", ...args], archive.options);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  }
});
