// The facts extracted from a log's lines, and their bounds.

import { expect, test } from "vitest";

import { encode, iso, jobStep, logBytes, stamp } from "../../../test-support/log-lines.ts";
import { LogEncoder } from "../log-format.ts";
import { logFacts } from "./log-facts.ts";

const sha = (digit: string) => digit.repeat(40);
const at = (second: number, ...texts: string[]) => texts.map((text) => ({ at: second, text }));
const read = (lines: readonly { at: number | undefined; text: string }[], steps = oneStep) =>
  logFacts(encode(logBytes(lines)), steps);

const oneStep = [jobStep(1, "Set up job", [0, 1]), jobStep(2, "Run make", [1, 9]), jobStep(3, "Complete job", [9, 9])];
const setUp = at(0.1, "Current runner version: '2.329.0'", "Prepare all required actions", "Getting action download info");
const make = at(1.1, "##[group]Run make", "\u001b[36;1mmake\u001b[0m", "##[endgroup]");

test("an action is used by each step that runs it, with its path; a hidden one by no known step", () => {
  const { action_uses } = read(
    [
      ...setUp,
      ...at(0.2, `Download action repository 'actions/checkout@v4' (SHA:${sha("a")})`),
      ...at(0.3, `Download action repository 'acme/tools@main' (SHA:${sha("b")})`),
      ...at(0.4, "Download action repository 'acme/old@v1'", `Download action repository 'acme/hidden@v2' (SHA:${sha("c")})`),
      ...at(1.1, "##[group]Run actions/checkout@v4", "with:", "##[endgroup]", "ok"),
      ...at(2.1, "##[group]Run acme/tools/lint/fast@main", "with:", "##[endgroup]", "ok"),
      ...at(3.1, "##[group]Run actions/checkout@v4", "with:", "##[endgroup]", "ok"),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Fetch", [1, 2]),
      jobStep(3, "Lint", [2, 3]),
      jobStep(4, "Fetch again", [3, 4]),
    ],
  );
  expect(
    action_uses.map(({ step_number, action, ref, sha: commit, line_number }) => [step_number, action, ref, commit, line_number]),
  ).toEqual([
    [2, "actions/checkout", "v4", sha("a"), 4],
    [4, "actions/checkout", "v4", sha("a"), 4],
    [3, "acme/tools/lint/fast", "main", sha("b"), 5],
    [null, "acme/old", "v1", null, 6],
    [null, "acme/hidden", "v2", sha("c"), 7],
  ]);
  expect(action_uses[0]?.used_at).toBe(`${iso(0.2).slice(0, -1)}0000Z`);
});

test("an action that the workflow names by $/path is a use at the workflow's commit", () => {
  const commit = sha("f");
  const { action_uses } = read(
    [
      ...setUp,
      ...at(0.2, `##[debug]Resolving $/.github/actions/lint → acme/app/.github/actions/lint@${commit}`),
      ...at(0.2, `Download action repository 'acme/app@${commit}' (SHA:${commit})`),
      ...at(1.1, `##[group]Run acme/app/.github/actions/lint@${commit}`, "with:", "##[endgroup]", "ok"),
    ],
    [jobStep(1, "Set up job", [0, 1]), jobStep(2, "Lint", [1, 2])],
  );
  expect(action_uses).toMatchObject([{ step_number: 2, action: "acme/app/.github/actions/lint", ref: commit, sha: commit }]);
});

test("immutable packages, reusable workflows and images are uses too", () => {
  const digest = `sha256:${"d".repeat(64)}`;
  const { action_uses } = read([
    ...setUp,
    ...at(0.2, "##[group]Download immutable action package 'actions/cache@v4'", "Version: 4.2.0", `Digest: ${digest}`, `Source commit SHA: ${sha("e")}`, "##[endgroup]"),
    ...at(0.3, `Uses: acme/workflows/.github/workflows/ci.yml@refs/heads/main (${sha("f")})`, "##[group] Inputs", "  uses: Download action repository 'acme/fake@v1'", "##[endgroup]"),
    ...at(0.5, "##[group]Pull down action image 'ghcr.io:443/acme/report:v1'", "##[command]/usr/bin/docker pull ghcr.io:443/acme/report:v1", `Digest: ${digest}`, "##[endgroup]"),
    ...at(0.6, "##[group]Checking docker version", "##[endgroup]", "##[command]/usr/bin/docker pull postgres", "##[warning]Docker pull failed with exit code 1, back off 7 seconds before retry.", "##[command]/usr/bin/docker pull postgres"),
    ...make,
    ...at(2, "##[command]/usr/bin/docker pull acme/fake:1"),
  ]); // prettier-ignore
  expect(action_uses.map(({ action, ref, sha: commit }) => [action, ref, commit])).toEqual([
    ["actions/cache", "v4", sha("e")],
    ["acme/workflows/.github/workflows/ci.yml", "refs/heads/main", sha("f")],
    ["docker://ghcr.io:443/acme/report", "v1", digest],
    ["docker://postgres", null, null],
  ]);
});

test("the job's own output adds no action, unless it prints the runner's complete block, whose step is then recorded", () => {
  const fake = `Download action repository 'acme/fake@v1' (SHA:${sha("a")})`;
  const { action_uses } = read([
    ...setUp,
    ...make,
    ...at(2, fake, "Getting action download info", fake),
    { at: undefined, text: fake },
    ...at(3, "Prepare all required actions", "my own words", fake),
    ...at(4, "Prepare all required actions", "Getting action download info", fake.replace("fake", "nested")),
  ]);
  expect(action_uses.map(({ action, line_number }) => [action, line_number])).toEqual([["acme/nested", 16]]);
});

test("a multi-line message does not end a block that downloads a local composite action's actions", () => {
  const { action_uses } = read([
    ...setUp,
    ...make,
    ...at(2, "Prepare all required actions", "Getting action download info"),
    ...at(2, "Failed to resolve action download info. Error: the service is away"),
    { at: undefined, text: "and says no more" },
    ...at(2.5, "Retrying in 12 seconds", `Download action repository 'acme/nested@v1' (SHA:${sha("a")})`),
    { at: undefined, text: `Download action repository 'acme/untimed@v1' (SHA:${sha("a")})` },
  ]);
  expect(action_uses.map(({ action }) => action)).toEqual(["acme/nested"]);
});

test("the runner's machine and the token's permissions are read from its own lines", () => {
  const { runner, token_permissions } = read([
    ...at(
      0.1,
      "Current runner version: '2.336.0'",
      "Runner name: 'rack-7'",
      "Runner group name: 'datacenter'",
      "Machine name: 'build-1'",
    ),
    ...at(
      0.1,
      "##[group]Runner Image Provisioner",
      "Hosted Compute Agent",
      "Version: 20260729.566",
      "Azure Region: eastus",
      "##[endgroup]",
    ),
    ...at(0.1, "##[group]Operating System", "Ubuntu", "24.04.4", "LTS", "##[endgroup]"),
    ...at(0.1, "##[group]Runner Image", "Image: ubuntu-24.04", "Version: 20260810.271.1", "##[endgroup]"),
    ...at(
      0.1,
      "##[group]GITHUB_TOKEN Permissions",
      "Contents: read",
      "PullRequests: write",
      "##[endgroup]",
      "Secret source: Actions",
    ),
    ...make,
    ...at(2, "Runner name: 'fake'", "##[group]GITHUB_TOKEN Permissions", "Contents: write", "##[endgroup]"),
  ]);
  expect(runner).toEqual({
    version: "2.336.0",
    name: "rack-7",
    group: "datacenter",
    machine: "build-1",
    provisioner: "20260729.566",
    region: "eastus",
    os: "Ubuntu 24.04.4 LTS",
    image: "ubuntu-24.04",
    image_version: "20260810.271.1",
    secret_source: "Actions",
  });
  expect(token_permissions).toEqual({ Contents: "read", PullRequests: "write" });
});

test("a job with locked action versions and its cache mode are known by the runner's own lines", () => {
  const locked = "Using locked action versions from the workflow's lockfile";
  const [version, ...prepare] = setUp;
  const job = (...texts: string[]) => read([...(version ? [version] : []), ...at(0.1, ...texts), ...prepare, ...make]);
  expect(job("Secret source: Actions", "Cache mode: write-only", locked)).toMatchObject({
    locked_actions: true,
    runner: { secret_source: "Actions", cache_mode: "write-only" },
  });
  const plain = job("Secret source: Actions");
  expect([plain.locked_actions, plain.runner]).toEqual([false, { version: "2.329.0", secret_source: "Actions" }]);
  const inGroup = job("##[group]Runner Image", locked, "Cache mode: read", "##[endgroup]", `${locked}s`);
  expect([inGroup.locked_actions, inGroup.runner["cache_mode"]]).toEqual([false, undefined]);
  const faked = read([...setUp, ...make, ...at(2, "Cache mode: none", locked), { at: undefined, text: locked }]);
  expect([faked.locked_actions, faked.runner["cache_mode"]]).toEqual([false, undefined]);
});

test("annotations have level, line and step, and text that Postgres accepts", () => {
  const { annotations } = read([
    ...setUp,
    ...make,
    ...at(2, "##[error]a\0b", "##[warning]", "##[notice]\u001b[31mred", "x ##[error]not one"),
    { at: undefined, text: "##[error]nor this" },
    ...at(9.1, "Cleaning up orphan processes", `##[warning]${"é".repeat(600)}`),
  ]);
  expect(annotations).toEqual([
    { step_number: 2, level: "error", line_number: 7, message: "a\uFFFDb" },
    { step_number: 2, level: "warning", line_number: 8, message: "" },
    { step_number: 2, level: "notice", line_number: 9, message: "\u001b[31mred" },
    { step_number: 3, level: "warning", line_number: 13, message: "é".repeat(500) },
  ]);
});

test("groups are an outline of their step; an unclosed group ends with it", () => {
  const { groups } = read([
    ...setUp,
    ...make,
    ...at(2, "##[group]outer", "##[group]inner", "text", "##[endgroup]", "##[endgroup]", "##[endgroup]", "##[group]open", "text"),
    ...at(9.1, "Cleaning up orphan processes", "##[group]of the end", "##[endgroup]"),
  ]);
  expect(groups).toEqual([
    { step_number: 2, depth: 0, title: "Run make", first_line: 4, line_count: 3 },
    { step_number: 2, depth: 0, title: "outer", first_line: 7, line_count: 5 },
    { step_number: 2, depth: 1, title: "inner", first_line: 8, line_count: 3 },
    { step_number: 2, depth: 0, title: "open", first_line: 13, line_count: 2 },
    { step_number: 3, depth: 0, title: "of the end", first_line: 16, line_count: 2 },
  ]);
});

test("two hundred thousand errors, groups and marks only increase a count, and hide no step before or after them", () => {
  const flood = `${stamp(2)}##[error]boom\n${stamp(2)}##[group]Run again\n${stamp(2)}##[endgroup]\n`;
  const count = 200_000;
  const encoder = new LogEncoder();
  encoder.write(logBytes([...setUp, ...make]));
  for (let index = 0; index < count / 1000; index += 1) encoder.write(Buffer.from(flood.repeat(1000)));
  encoder.write(logBytes(at(9.1, "##[error]the end", "Cleaning up orphan processes")));
  const facts = logFacts(encoder.end().totals, oneStep);
  expect(facts.annotations).toHaveLength(400);
  expect(facts.annotations.at(-1)).toMatchObject({ message: "the end", step_number: 2 });
  expect(facts.groups).toHaveLength(500);
  expect(facts.left_out).toMatchObject({ annotations: count + 1 - 400, groups: count + 1 - 500 });
  expect(facts.left_out.marks).toBeGreaterThan(count - 1000);
  expect(facts.sections).toMatchObject([
    { step_number: 1, first_line: 1, line_count: 3 },
    { step_number: 2, first_line: 4, line_count: 3 + 3 * count + 1 },
    { step_number: 3, line_count: 1 },
  ]);
});

test("an error of 72 MB is one annotation with the head of its text", () => {
  const encoder = new LogEncoder();
  encoder.write(Buffer.from(`${stamp(1)}##[error]`));
  const chunk = Buffer.alloc(1024 * 1024, "all work and no play ");
  for (let index = 0; index < 72; index += 1) encoder.write(chunk);
  const { annotations, sections } = logFacts(encoder.end().totals, []);
  expect(annotations).toMatchObject([{ level: "error", line_number: 1, message: expect.stringMatching(/^all work.{492}$/) }]);
  expect(sections).toMatchObject([{ step_number: null, first_line: 1, line_count: 1 }]);
});

test("a thousand actions are listed as far as the cap, and the rest is counted", () => {
  const downloads = Array.from(
    { length: 1000 },
    (_, index) => `Download action repository 'acme/a${index}@v1' (SHA:${sha("a")})`,
  );
  const facts = read([...setUp, ...at(0.2, ...downloads), ...make]);
  expect(facts.action_uses).toHaveLength(500);
  expect(facts.left_out.action_uses).toBe(500);
});
