// Extracted rows are those of the record in force, in any order and repetition of records.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { jobId, jobObject, type Json, logRow, repositoryId } from "../../test-support/samples.ts";
import { findSection } from "../audit/logs.ts";
import { transact } from "../connection/open-database.ts";
import { type LogFactsOfRecord, replaceLogFacts } from "./log-facts.ts";
import { upsertJobs, upsertLogs } from "./rows.ts";

async function openHarness() {
  const { db, pool, [Symbol.asyncDispose]: dispose } = await openTestDatabase();
  const ask = async (query: string) => (await pool.query<Record<string, unknown>>(query)).rows;
  await ask(`insert into archive.identity (archive_id, host) values ('00000000-0000-4000-8000-000000000000', 'github.com')`);
  await ask(
    `insert into archive.repositories (repository_id, full_name, is_private) values (${repositoryId}, 'acme/app', false)`,
  );
  return {
    db,
    ask,
    async load(version: number, facts: Partial<LogFactsOfRecord>, state: "archived" | "absent" = "archived", job: Json = {}) {
      const row = logRow({ state, version });
      await transact(db, async (trx) => {
        await upsertJobs(trx, [{ repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object: jobObject(job) }]);
        await upsertLogs(trx, [row]);
        await replaceLogFacts(trx, [{ ...facts, job_id: jobId, record_key: row.record_key }]);
      });
    },
    rows: async () => ({
      steps: await ask("select step_number, first_line, line_count from audit.steps order by 1"),
      uses: await ask("select step_number, action, ref, sha, used_at, repository, host from audit.action_uses"),
      annotations: await ask("select step_number, level, line_number, message from audit.annotations order by line_number"),
      permissions: await ask("select scope, access from audit.permissions order by scope"),
      runners: await ask("select kind, runner_version, os, image, region, secret_source from audit.runners"),
      leftOut: await ask("select action_uses_left_out, annotations_left_out, permissions_left_out from audit.jobs"),
      locked: await ask("select locked_actions, cache_mode from audit.jobs"),
    }),
    [Symbol.asyncDispose]: () => dispose(),
  };
}

const use = {
  step_number: 2,
  action: "actions/checkout",
  ref: "v4",
  sha: "a".repeat(40),
  line_number: 40,
  used_at: "2026-05-01T10:00:10.1234567Z",
};
const facts = {
  sections: [
    { step_number: null, first_line: 1, line_count: 5, raw_start: 0, raw_bytes: 200 },
    { step_number: 1, first_line: 6, line_count: 30, raw_start: 200, raw_bytes: 3_000 },
    { step_number: 9, first_line: 36, line_count: 5_000_000_000, raw_start: 3_200, raw_bytes: 500_000_000_000 },
  ],
  action_uses: [use, { ...use, step_number: null, action: "docker://postgres", ref: null, sha: null, used_at: null }],
  annotations: [{ step_number: 9, level: "error", line_number: 5_000_000_001, message: "a\0b" }],
  runner: {
    version: "2.330.0",
    os: "Ubuntu 24.04.1 LTS",
    image: "ubuntu-24.04",
    secret_source: "Acti\0ns",
    cache_mode: "write-only",
    unheard: "of",
  },
  locked_actions: true,
  token_permissions: { Contents: "read", "Pull\0s": "read", "Pull\uFFFDs": "write" },
  left_out: { action_uses: 7, groups: 3 },
};

test("a record's facts are the rows of its job, with every column", async () => {
  await using harness = await openHarness();
  await harness.load(1, facts);
  const { steps, uses, annotations, ...rest } = await harness.rows();
  expect(steps).toEqual([
    { step_number: 1, first_line: 6, line_count: 30 },
    { step_number: 2, first_line: null, line_count: null },
    { step_number: 9, first_line: 36, line_count: 5_000_000_000 },
  ]);
  const common = { repository: "acme/app", host: "github.com" };
  expect(uses).toEqual([
    {
      ...common,
      step_number: 2,
      action: "actions/checkout",
      ref: "v4",
      sha: "a".repeat(40),
      used_at: new Date("2026-05-01T10:00:10.123Z"),
    },
    { ...common, step_number: null, action: "docker://postgres", ref: null, sha: null, used_at: null },
  ]);
  expect(annotations).toEqual([{ step_number: 9, level: "error", line_number: 5_000_000_001, message: "a\uFFFDb" }]);
  expect(rest).toEqual({
    permissions: [
      { scope: "Contents", access: "read" },
      { scope: "Pull\uFFFDs", access: "write" },
    ],
    runners: [
      {
        kind: "hosted",
        runner_version: "2.330.0",
        os: "Ubuntu 24.04.1 LTS",
        image: "ubuntu-24.04",
        region: null,
        secret_source: "Acti\uFFFDns",
      },
    ],
    leftOut: [{ action_uses_left_out: 7, annotations_left_out: 0, permissions_left_out: 0 }],
    locked: [{ locked_actions: true, cache_mode: "write-only" }],
  });
});

test("a fact that was not extracted is null, and one that was not found is an empty list", async () => {
  await using harness = await openHarness();
  await harness.load(1, { sections: facts.sections });
  const unknown = { action_uses_left_out: null, annotations_left_out: null, permissions_left_out: null };
  expect((await harness.rows()).leftOut).toEqual([unknown]);
  await harness.load(2, { action_uses: [] });
  const rows = await harness.rows();
  expect(rows.leftOut).toEqual([{ ...unknown, action_uses_left_out: 0 }]);
  // From a version without this extraction.
  expect(rows.locked).toEqual([{ locked_actions: null, cache_mode: null }]);
  await harness.load(3, { action_uses: [], locked_actions: false });
  expect((await harness.rows()).locked).toEqual([{ locked_actions: false, cache_mode: null }]);
});

test.each([
  [["self-hosted", "linux"], "GitHub Actions", { image: "ubuntu-24.04" }, "self-hosted"],
  [["big"], "Large", { region: "westus" }, "hosted"],
  [["big"], "Large", { version: "2.330.0" }, "self-hosted"],
  [["ubuntu-latest"], "GitHub Actions", undefined, "hosted"],
  [["big"], "Large", undefined, null],
])("a job with labels %j of group %s, whose log says %j, ran on a runner of kind %s", async (labels, group, runner, kind) => {
  await using harness = await openHarness();
  await harness.load(1, { runner }, "archived", { labels, runner_group_name: group });
  expect((await harness.rows()).runners).toMatchObject([{ kind }]);
});

test.for([
  ["Acme/App/.github/actions/lint", "d".repeat(40), true],
  ["acme/app", "d".repeat(40), true],
  // By its name before the repository was renamed.
  ["acme/old-name/lint", "c".repeat(40), true],
  ["acme/app/lint", "v1", false],
  ["acme/app-tools/lint", "d".repeat(40), false],
  ["acme/other/lint", "d".repeat(40), false],
  ["docker://acme/app", null, false],
] as const)("whether %s at %s is of the job's own repository, at a commit: %s", async ([action, ref, isSelfRepository]) => {
  await using harness = await openHarness();
  await harness.load(1, { action_uses: [{ ...use, action, ref, sha: ref }] }, "archived", { head_sha: "c".repeat(40) });
  expect(await harness.ask("select is_self_repository from audit.action_uses")).toEqual([
    { is_self_repository: isSelfRepository },
  ]);
});

test("a step's place in its log is found by its number", async () => {
  await using harness = await openHarness();
  await harness.load(1, facts);
  expect(await findSection(harness.db, jobId, 9)).toEqual(facts.sections[2]);
  expect(await findSection(harness.db, jobId, 2)).toBeUndefined();
});

test("of a step with several sections the row is the first, which begins with its first line", async () => {
  await using harness = await openHarness();
  const later = { step_number: 1, first_line: 5_000_000_036, line_count: 4, raw_start: 500_000_003_200, raw_bytes: 90 };
  await harness.load(1, { ...facts, sections: [...facts.sections, later] });
  expect((await harness.rows()).steps).toContainEqual({ step_number: 1, first_line: 6, line_count: 30 });
  expect(await findSection(harness.db, jobId, 1)).toEqual(facts.sections[1]);
});

test("a later version replaces an earlier one, and an earlier one that arrives late changes nothing", async () => {
  await using harness = await openHarness();
  const later = { sections: facts.sections.slice(0, 2), action_uses: [{ ...use, ref: "v5" }], annotations: [] };
  await harness.load(1, facts);
  await harness.load(2, later);
  const rows = await harness.rows();
  expect(rows.uses).toMatchObject([{ ref: "v5" }]);
  expect(rows).toMatchObject({ annotations: [], permissions: [], runners: [{ runner_version: null }] });
  expect(rows.steps.at(-1)).toEqual({ step_number: 9, first_line: null, line_count: null });
  await harness.load(1, facts);
  await harness.load(3, {}, "absent");
  expect(await harness.rows()).toEqual(rows);
});

test("a repeated load writes no row anew", async () => {
  await using harness = await openHarness();
  await harness.load(1, facts);
  const versions = () =>
    Promise.all(
      ["sections", "action_uses", "annotations", "permissions", "log_facts"].map((table) =>
        harness.ask(`select xmin::text, ctid::text from archive.${table} order by 2`),
      ),
    );
  const before = await versions();
  await harness.load(1, facts);
  expect(await versions()).toEqual(before);
});
