// Compares the ledger's views with the simulator's oracle: coverage is complete exactly where no work is due, and gaps, retry and status
// show the rest to an operator.

import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { attemptStatus, currentAttempt } from "@actions-archive/github-simulator/world/timeline";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { followClock } from "@actions-archive/testkit/simulated-clock";
import { Client } from "pg";
import { expect, test } from "vitest";
import { z } from "zod";

import { askSql } from "./support/ask-sql.ts";
import { type ProgramOptions, runCli } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const Coverage = z.array(
  z.object({
    repository: z.string(),
    window_start: z.coerce.date(),
    window_end: z.coerce.date(),
    runs_found: z.int(),
    jobs_found: z.int(),
    jobs_loaded: z.int(),
    logs_archived: z.int(),
    logs_absent: z.int(),
    logs_pending: z.int(),
    logs_failed: z.int(),
    complete: z.boolean(),
  }),
);
type Coverage = z.output<typeof Coverage>;
const Gaps = z.object({ gaps: z.array(z.object({ kind: z.string(), reason: z.string(), run_id: z.int().nullable() })) });
const Status = z.object({
  coverage: z.array(z.object({ repository: z.string(), complete: z.boolean(), gaps: z.record(z.string(), z.int()) })),
});

async function readCoverage(options: ProgramOptions): Promise<Coverage> {
  return Coverage.parse(await askSql("select * from coverage order by repository, window_start", options));
}

async function readJson<T>(schema: z.ZodType<T>, args: readonly string[], options: ProgramOptions): Promise<T> {
  const { code, stdout, stderr } = await runCli([...args, "--json"], options);
  expect(code, stderr).toBe(0);
  return schema.parse(JSON.parse(stdout));
}

/** @returns the runs that GitHub shows; `isOpen` while they are in progress. */
function visibleRuns({ world, clock }: Simulator) {
  const now = clock.nowMs();
  return [...world.runs.values()]
    .filter(({ deleted, createdAtMs, repository }) => !deleted && !repository.hidden && createdAtMs <= now)
    .map((run) => {
      const attempt = currentAttempt(run, now);
      const isOpen = attempt === undefined || attemptStatus(run, attempt, now).status !== "completed";
      return { id: run.id, repository: fullNameOf(run.repository), createdAt: new Date(run.createdAtMs), isOpen };
    });
}

const sum = (rows: Coverage, key: "runs_found" | "jobs_found" | "jobs_loaded" | "logs_archived" | "logs_absent") =>
  rows.reduce((total, row) => total + row[key], 0);

/** @returns the incomplete rows, and those that should be incomplete. */
function incompleteDays(rows: Coverage, runs: readonly { repository: string; createdAt: Date }[]) {
  const holds = (row: Coverage[number]) =>
    runs.some(
      ({ repository, createdAt }) => repository === row.repository && createdAt >= row.window_start && createdAt < row.window_end,
    );
  return { found: rows.filter(({ complete }) => !complete), expected: rows.filter(holds) };
}

async function openClient({ settings }: ProgramOptions): Promise<Client> {
  const client = new Client({ connectionString: settings?.["DATABASE_URL"] ?? "" });
  await client.connect();
  return client;
}

test("after a pass every day is complete but those of a run in progress, or of one that was deleted before it was listed", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "demo", rateLimits: { perHour: 100_000 } });
  const options = { cwd: workspace.folder, settings: { ...githubSettings(simulator), ...(await engineSettings(workspace)) } };
  const repository = simulator.world.repositories.filter(({ hidden }) => !hidden).map(fullNameOf)[0] ?? "";
  const doomed = simulator.control.addRun({ repository, state: "in_progress", durationSeconds: 3_600 });
  simulator.control.advanceClock({ ms: 5 * 60_000 });
  await using _ = await followClock(options.settings["DATABASE_URL"] ?? "", simulator.clock);

  const first = await runCli(["start", "--once", "--json"], options);
  expect(first.code, first.stderr).toBe(0);

  const rows = await readCoverage(options);
  const runs = visibleRuns(simulator);
  const open = runs.filter(({ isOpen }) => isOpen);
  const days = incompleteDays(rows, open);
  expect(open.length).toBeGreaterThanOrEqual(2);
  expect(days.found).toEqual(days.expected);
  const { jobs } = await simulator.control.world({});
  const expected = jobs.flatMap((job) => job.expected ?? []);
  expect(sum(rows, "runs_found")).toBe(runs.length);
  expect(sum(rows, "jobs_found")).toBe(expected.length);
  expect(sum(rows, "jobs_loaded")).toBe(expected.length);
  expect(sum(rows, "logs_archived")).toBe(expected.filter(({ state }) => state === "archived").length);
  expect(sum(rows, "logs_absent")).toBe(expected.filter(({ state }) => state === "absent").length);
  const { gaps } = await readJson(Gaps, ["gaps"], options);
  expect(gaps.map(({ kind, run_id }) => [kind, run_id])).toEqual([
    ["not_sealed", null],
    ...open.map(({ id }) => ["run_open", id]),
  ]);

  simulator.control.deleteRun({ runId: doomed.runId });
  // A day of 404s. Before that it may be an outage.
  const client = await openClient(options);
  for (const pass of ["first", "second", "third"]) {
    const { code, stderr } = await runCli(["start", "--once", "--json", "--max-wait", "15"], options);
    expect({ pass, code }, stderr).toEqual({ pass, code: pass === "third" ? 0 : 3 });
    await client.query("update archive.attempts set same_reason_since = same_reason_since - interval '1 day'");
  }
  await client.end();

  const after = await readJson(Gaps, ["gaps", "--kind", "attempt_gone"], options);
  expect(after.gaps).toEqual([{ kind: "attempt_gone", reason: "deleted", run_id: doomed.runId }]);
  const later = incompleteDays(await readCoverage(options), open);
  expect(later.found).toEqual(later.expected);
  const status = await readJson(Status, ["status"], options);
  const lines = new Map(status.coverage.map((line) => [line.repository, line]));
  expect(lines.get(repository)).toMatchObject({ complete: false, gaps: { attempt_gone: 1 } });
  const isTouched = (name: string) => open.some((run) => run.repository === name);
  expect(status.coverage.filter(({ complete, repository: name }) => complete === isTouched(name))).toEqual([]);
});

test("a log that failed is listed with advice, makes the pass incomplete, and is archived by retry", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perHour: 100_000 } });
  const { jobIds } = simulator.control.addRun({
    repository: "acme/app",
    jobs: [{ name: "good" }, { name: "forbidden" }],
    completedSecondsAgo: 3_600,
  });
  const [good = 0, forbidden = 0] = jobIds;
  simulator.control.addFault({
    origin: "api",
    path: `*/actions/jobs/${forbidden}/logs`,
    times: "forever",
    status: 403,
    body: '{"message":"Resource not accessible by integration"}',
  });
  const options = { cwd: workspace.folder, settings: { ...githubSettings(simulator), ...(await engineSettings(workspace)) } };

  const first = await runCli(["start", "--once", "--json"], options);
  expect(first.code, first.stderr).toBe(3);
  expect(JSON.parse(first.stdout)).toMatchObject({
    complete: false,
    owed: [{ kind: "log_failed", reason: "forbidden", job_id: forbidden, repository: "acme/app" }],
    not_owed: [],
  });
  const shown = await runCli(["gaps", "--repository", "ACME/app"], options);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(
    new RegExp(`log_failed .*acme/app job ${forbidden} .*forbidden.*grant the credential Actions: read`),
  );
  expect((await runCli(["status"], options)).stdout).toMatch(/acme\/app .*no: 1 log_failed/);
  const [row] = (await readCoverage(options)).filter(({ runs_found }) => runs_found > 0);
  expect(row).toMatchObject({ jobs_found: 2, jobs_loaded: 2, logs_archived: 1, logs_failed: 1, complete: false });

  const refused = await runCli(["retry", String(forbidden), String(good), "7"], options);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(new RegExp(`job ${good} of run \\d+ in acme/app has not failed, it is archived`));
  expect(refused.stderr).toMatch(/No job 7 is known.*Nothing was retried/);
  expect((await runCli(["retry", "--reason", "too_large"], options)).stdout).toBe("No log has failed; nothing to retry.\n");
  expect((await runCli(["retry", "--reason", "nonsense"], options)).code).toBe(2);

  simulator.control.clearFaults({});
  const retried = await runCli(["retry", "--json"], options);
  expect(JSON.parse(retried.stdout)).toEqual({
    retried: 1,
    jobs: [{ job_id: forbidden, repository: "acme/app", reason: "forbidden" }],
  });
  const second = await runCli(["start", "--once", "--json"], options);
  expect(second.code, second.stderr).toBe(0);
  expect(JSON.parse(second.stdout)).toMatchObject({ complete: true, owed: [], counts: { archived: 2, failed: 0 } });
});

test("a repository that another process holds for too long makes the pass incomplete, though it was covered before", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perHour: 100_000 } });
  simulator.control.addRun({ repository: "acme/app", completedSecondsAgo: 3_600 });
  const settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)) };
  const options = { cwd: workspace.folder, settings };
  expect((await runCli(["start", "--once"], options)).code).toBe(0);
  const client = new Client({ connectionString: settings["DATABASE_URL"] });
  await client.connect();
  await client.query(
    "update archive.repositories set lease_holder = gen_random_uuid(), leased_until = now() + interval '10 minutes'",
  );
  await client.end();

  const { code, stdout, stderr } = await runCli(["start", "--once", "--max-wait", "1"], options);
  expect(code, stderr).toBe(3);
  expect(stdout).toContain("Not listed: acme/app: another process lists the repository");
  expect(stdout).toContain("Not complete.");
});
