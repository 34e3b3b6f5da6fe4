// Recorded logs: each split by the job object that was recorded with it, by the files of the steps in a real zip,
// or by steps that were read from it by eye; and what was extracted from all of them against a search of their lines.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inflateRawSync } from "node:zlib";

import { expect, test } from "vitest";
import { z } from "zod";

import { encode } from "../../../test-support/log-lines.ts";
import { splitLog } from "../steps/split-log.ts";
import type { JobStep } from "../steps/step-cost.ts";
import { logFacts } from "./log-facts.ts";

const fixtures = fileURLToPath(new URL("../../../../../../shared/fixtures/", import.meta.url));
const isAbsent = !existsSync(fixtures);

const Step = z.object({
  number: z.int(),
  name: z.string(),
  conclusion: z.string().nullable(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
});
const Job = z.object({ steps: z.array(Step) });
/** The complete response or a single job. */
const Answer = z.union([Job, z.object({ jobs: z.array(Job).min(1) }).transform(({ jobs }) => jobs[0] ?? { steps: [] })]);

function stepsOf(file: string): JobStep[] {
  const { steps } = Answer.parse(JSON.parse(readFileSync(`${fixtures}${file}`, "utf8")));
  return steps.map(({ number, name, ...step }) => ({ step_number: number, step_name: name, ...step }));
}

function linesOf(bytes: Buffer): string[] {
  const lines = bytes
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** First lines by step number, unassigned ones under 0. */
function starts(bytes: Buffer, steps: readonly JobStep[]): (readonly [number, number])[] {
  return splitLog(encode(bytes), steps).map(({ step_number, first_line }) => [step_number ?? 0, first_line]);
}

const pairs = "api/bugswarm/";
test.skipIf(isAbsent).each([
  [
    "bugswarm/build_system_testing__6642948886.log",
    `${pairs}eclipse-che-che-server-actions-jobs-6642948886.json`,
    [[0, 1], [1, 6], [2, 42], [3, 850], [4, 854], [5, 894], [9, 1916], [10, 1917], [11, 1929]],
  ],
  [
    "bugswarm/build_system_testing__6991832152.log",
    `${pairs}mwgh-ob-pos-actions-jobs-6991832152.json`,
    [[0, 1], [1, 6], [2, 42], [3, 515], [4, 538], [7, 665], [8, 666], [9, 678]],
  ],
  [
    "hub4j-github-api/job-2270858630.txt",
    "api/hub4j-github-api/GHWorkflowRunTest/wiremock/testJobs/__files/10-r_h_g_actions_jobs__2270858630.json",
    [[0, 1], [1, 6], [2, 34], [3, 39]],
  ],
] as const)("all steps of %s begin where its job object and the eye say (skipped without ../shared/fixtures)", (log, job, expected) => {
  expect(starts(readFileSync(`${fixtures}job-logs/${log}`), stepsOf(job))).toEqual(expected);
}); // prettier-ignore

/** Steps read by a person in logs without a recorded job object: composite actions, named steps, failing steps. */
const readByEye = [
  [
    "pair-filter__31343776564-orig.log",
    [
      [1, "Set up job", 1],
      [2, "Run actions/checkout@v4", 31],
      [3, "Set up Python 3.9", 203],
      [4, "Run pre-commit/action@v3.0.1", 216],
      [7, "Post Run pre-commit/action@v3.0.1", 361],
      [9, "Post Run actions/checkout@v4", 362],
      [10, "Complete job", 374],
    ],
  ],
  [
    "python__27403903613-orig.log",
    [
      [1, "Set up job", 1],
      [2, "Run actions/checkout@v4", 40],
      [3, "Set up Python", 126],
      [4, "Clone PyVistaQt", 140],
      [5, "Setup headless display", 154],
      [6, "Install PyVistaQt requirements", 485],
      [7, "Install PyVista from main", 1161],
      [8, "Test Package", 1323],
      [14, "Post Set up Python", 1501],
      [15, "Post Run actions/checkout@v4", 1502],
      [16, "Complete job", 1514],
    ],
  ],
  [
    "cacher__8295325184.log",
    [
      [1, "Set up job", 6],
      [2, "Checkout", 43],
      [3, "Validate wrapper", 726],
      [4, "JDK 8", 733],
      [5, "Remember JDK 8", 779],
      [6, "JDK 11", 786],
      [7, "Remember JDK 11", 835],
      [8, "JDK 17", 844],
      [9, "Remember JDK 17", 895],
      [10, "Build", 906],
      [16, "Post JDK 17", 1327],
      [17, "Post JDK 11", 1328],
      [18, "Post JDK 8", 1329],
      [19, "Post Checkout", 1330],
      [20, "Complete job", 1342],
    ],
  ],
] as const;

test.skipIf(isAbsent).each(readByEye)(
  "all steps of %s begin where a person found them, however their times were rounded (skipped without ../shared/fixtures)",
  (log, eye) => {
    const bytes = readFileSync(`${fixtures}job-logs/bugswarm/${log}`);
    const lines = linesOf(bytes);
    const timeOf = (line: number) => Date.parse(lines[line - 1]?.slice(0, 28) ?? "");
    for (const round of [Math.floor, Math.round]) {
      const second = (line: number) => new Date(round(timeOf(line) / 1000) * 1000).toISOString();
      const steps = eye.map(([step_number, step_name, line], index) => ({
        step_number,
        step_name,
        conclusion: "success",
        started_at: second(line),
        completed_at: second(eye[index + 1]?.[2] ?? lines.length),
      }));
      const found = starts(bytes, steps).filter(([step]) => step !== 0);
      expect(found).toEqual(eye.map(([step, , line]) => [step, line]));
    }
  },
);

/** The members of a zip: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.12 and 4.3.16. */
function readZip(path: string): Map<string, Buffer> {
  const zip = readFileSync(path);
  const end = zip.lastIndexOf(Buffer.from("PK\u0005\u0006"));
  const members = new Map<string, Buffer>();
  for (let at = zip.readUInt32LE(end + 16), count = zip.readUInt16LE(end + 10); count > 0; count -= 1) {
    const nameBytes = zip.readUInt16LE(at + 28);
    const [method, size, local] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20), zip.readUInt32LE(at + 42)];
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const stored = zip.subarray(start, start + size);
    members.set(zip.toString("utf8", at + 46, at + 46 + nameBytes), method === 8 ? inflateRawSync(stored) : stored);
    at += 46 + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return members;
}

test.skipIf(isAbsent)(
  "the job's log in a real zip is split into exactly the files of its steps (skipped without ../shared/fixtures)",
  () => {
    const zip = readZip(`${fixtures}job-logs/zips/hub4j-run-711446981-logs_101.zip`);
    const log = zip.get("1_build.txt") ?? Buffer.alloc(0);
    const files = [...zip].flatMap(([name, bytes]) => {
      const [, number, title] = /^build\/(\d+)_(.+)\.txt$/.exec(name) ?? [];
      return number === undefined || title === undefined ? [] : [{ number: Number(number), title, lines: linesOf(bytes) }];
    });
    const timeOf = (line = "") => Date.parse(line.slice(0, 28));
    for (const round of [Math.floor, Math.round]) {
      const second = (ms: number) => new Date(round(ms / 1000) * 1000).toISOString();
      const steps = files.map(({ number, title, lines }) => ({
        step_number: number,
        // Names of files lack slashes.
        step_name: title.replace("actionscheckout", "actions/checkout"),
        conclusion: "success",
        started_at: second(timeOf(lines[0])),
        completed_at: second(timeOf(lines.at(-1))),
      }));
      const all = linesOf(log);
      const sections = splitLog(encode(log), steps);
      const found = sections.flatMap(({ step_number, first_line, line_count }) =>
        step_number === null ? [] : [[step_number, all.slice(first_line - 1, first_line - 1 + line_count).map(textOf)]],
      );
      expect(found).toEqual(
        files.toSorted((a, b) => a.number - b.number).map(({ number, lines }) => [number, lines.map(textOf)]),
      );
      // Lines before the runner are in no file.
      expect(sections.filter(({ step_number }) => step_number === null)).toMatchObject([{ first_line: 1, line_count: 5 }]);
    }
  },
);

// The two hold the same text with times that differ by some ticks.
const textOf = (line: string) => line.slice(29);
const hasTime = (line: string) => /^\d{4}-\d\d-\d\dT\S{16}Z /.test(line);

test.skipIf(isAbsent)(
  "the actions and annotations of every recorded log are those that a search of its lines finds (skipped without ../shared/fixtures)",
  () => {
    const folders = ["bugswarm", "hub4j-github-api", "pytorch-test-infra/classify"].map((name) => `${fixtures}job-logs/${name}/`);
    const files = folders
      .flatMap((folder) => readdirSync(folder).map((name) => folder + name))
      .filter((path) => statSync(path).isFile());
    let [downloads, annotations] = [0, 0];
    for (const path of files) {
      // The authors of the fragments added a line, a prefix and marks.
      const text = readFileSync(path, "utf8")
        .replace(/^#=SOURCE=#.*\n/, "")
        .replaceAll("#=MATCH=# ", "")
        .replaceAll(/[‹›]/g, "")
        .replaceAll("\0", "\uFFFD");
      const all = linesOf(Buffer.from(text)).map((line) => line.replace(/\r$/, ""));
      const lines = all.filter((line) => hasTime(line)).map(textOf);
      const facts = logFacts(encode(Buffer.from(text)), []);
      const found = facts.action_uses.filter(({ action }) => !action.startsWith("docker://"));
      const searched = lines.flatMap((line) => {
        const [, action, ref, sha] = /^Download action repository '(.+)@(.+)'(?: \(SHA:(.+)\))?$/.exec(line) ?? [];
        return action === undefined ? [] : [{ action, ref, sha: sha ?? null }];
      });
      expect(
        found.map(({ action, ref, sha }) => ({ action, ref, sha })),
        path,
      ).toEqual(searched);
      // A line without a timestamp belongs to the message above.
      const messages: string[] = [];
      for (const line of all) {
        if (hasTime(line)) messages.push(textOf(line));
        else messages.push(`${messages.pop() ?? ""}\n${line}`);
      }
      const marked = messages.filter((message) => /^##\[(error|warning|notice)\]/.test(message));
      expect(
        facts.annotations.map(({ level, message }) => `##[${level}]${message}`),
        path,
      ).toEqual(marked.map((message) => /^##\[\w+\][^]{0,500}/u.exec(message)?.[0].replace(/\n+$/, "")));
      downloads += searched.length;
      annotations += marked.length;
    }
    expect(downloads).toBeGreaterThan(100);
    expect(annotations).toBeGreaterThan(50);
  },
);
