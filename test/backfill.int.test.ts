// Backfills as operators use them: estimated, started, watched, paused and cancelled; and with the same result when processes are killed
// and queues are flushed meanwhile.

import { startSimulator, type Simulator } from "@actions-archive/github-simulator/simulator";
import { openRunFolder } from "@actions-archive/testkit/run-folder";
import { openTestRedis } from "@actions-archive/testkit/test-redis";
import { Redis } from "ioredis";
import { Client } from "pg";
import { expect, test, vi } from "vitest";
import { z } from "zod";

import { askSql } from "./support/ask-sql.ts";
import { checkFolder } from "./support/check-folder.ts";
import { killEverything } from "./support/kill.ts";
import { mainOf, type Program, type ProgramOptions, runCli, type Settings, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

/** A GHES without rate limits, since speed is not tested here. */
const world = { face: "ghes", repositories: 2, days: 5, runsPerDay: 8, jobsPerRun: 3 } as const;
const Begun = z.object({ backfill_id: z.int(), fetcher_connected: z.boolean() });
const Report = z.object({
  backfill: z.object({ state: z.string() }),
  progress: z.object({ jobs: z.int(), settled: z.int(), expected_jobs: z.int(), hours_left: z.number().nullable() }),
});

async function optionsFor(workspace: Workspace, simulator: Simulator, settings: Settings = {}): Promise<ProgramOptions> {
  // Rerun scans cover a day. Older runs are the backfill's.
  const own = { ARCHIVE_SINCE: "1", POLL_INTERVAL_SECONDS: "1", SPOOL_DIR: `${workspace.folder}/spool` };
  const base = { ...githubSettings(simulator), ...(await engineSettings(workspace)), ...own, ...settings };
  return { cwd: workspace.folder, settings: base };
}

async function ask<T extends z.ZodType>(schema: T, args: readonly string[], options: ProgramOptions): Promise<z.output<T>> {
  const { code, stdout, stderr } = await runCli([...args, "--json"], options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return schema.parse(JSON.parse(stdout));
}

const show = (id: number, options: ProgramOptions) => ask(Report, ["backfill", "show", String(id)], options);

async function expectWhole(
  simulator: Simulator,
  { archive }: Workspace,
  options: ProgramOptions,
  hadFaults = false,
): Promise<void> {
  const databaseUrl = options.settings["DATABASE_URL"];
  expect((await checkFolder({ simulator, archive, databaseUrl, hadFaults })).violations).toEqual([]);
  const query = `select (select count(*) from coverage where not complete) as incomplete,
    (select count(*) from gaps where kind not in ('not_sealed', 'run_open')) as gaps`;
  expect(await askSql(query, options)).toEqual([{ incomplete: 0, gaps: 0 }]);
}

/** Everything that must be equal in two archives of the same world. */
const comparedColumns = `select job_id, run_id, run_attempt, last_listed_attempt, conclusion, log_state, log_reason, log_key, log_bytes, log_sha256,
  (select count(*) from steps where steps.job_id = jobs.job_id) as steps from jobs order by job_id`;

test("where no fetcher runs, backfill --wait does the whole work itself, and ends with 0", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator(world);
  const options = await optionsFor(workspace, simulator);
  const { code, stdout, stderr } = await runCli(["backfill", "octo-org/*", "--wait", "--json"], options);
  expect(code, stderr).toBe(0);
  const jobs = (await simulator.control.world({})).jobs.length;
  expect(JSON.parse(stdout)).toMatchObject({
    complete: true,
    backfill: { state: "done", repositories: 2, repositories_done: 2 },
    progress: { listed_percent: 100, jobs, settled: jobs, expected_jobs: jobs, hours_left: 0 },
    owed: [],
  });
  await expectWhole(simulator, workspace, options);
});

test("a dry run prints the estimated cost, and starts nothing", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ ...world, face: "github.com" });
  const options = await optionsFor(workspace, simulator);
  const { jobs } = await simulator.control.world({ expected: false });
  const plan = await ask(
    z.object({
      runs: z.int(),
      jobs: z.int(),
      api_calls: z.int(),
      hours: z.number(),
      runs_expired: z.int(),
      runs_expiring: z.int(),
    }),
    ["backfill", "octo-org/*", "--dry-run", "--since", "30"],
    options,
  );
  expect(plan.runs).toBe(80);
  expect(plan.jobs / jobs.length).toBeGreaterThan(0.5);
  expect(plan.jobs / jobs.length).toBeLessThan(2);
  expect(plan.api_calls).toBeGreaterThan(plan.jobs);
  expect(plan.hours).toBeCloseTo(plan.api_calls / 4_000, 1);
  expect(plan).toMatchObject({ runs_expired: 0, runs_expiring: 0 });
  expect(await askSql("select count(*) as runs from coverage", options)).toEqual([{ runs: 0 }]);
  expect(await ask(z.object({ backfills: z.array(z.unknown()) }), ["backfill", "list"], options)).toEqual({ backfills: [] });
});

test("a wrong argument is reported, and nothing is started", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator(world);
  const options = await optionsFor(workspace, simulator, { ARCHIVE_REPOSITORIES: "octo-org/api,!octo-org/web" });
  const cases = [
    [["octo-org/nope", "octo-org/api"], "octo-org/nope: GitHub answered 404"],
    [["octo-org/web"], "octo-org/web: ARCHIVE_REPOSITORIES excludes it"],
    [["octo-org"], "not of the form owner/name"],
    [[], "Name a repository"],
    [["octo-org/api", "--since", "2030-01-01"], "--since must be earlier"],
    [["octo-org/api", "--since", "3", "--until", "4"], "--since must be earlier"],
    [["octo-org/api", "--since", "yesterday"], "must be a date"],
    [["show", "7"], "There is no backfill 7"],
    [["pause", "7"], "There is no backfill 7"],
    [["pause", "x"], "must be a backfill's number"],
  ] as const;
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runCli(["backfill", ...args], options);
    expect({ args, code, stdout, stderr }).toEqual({ args, code: 2, stdout: "", stderr: expect.stringContaining(message) });
  }
  expect((await runCli(["backfill", "list"], options)).stdout).toBe("There are no backfills.\n");
});

test("a backfill is paused, resumed and cancelled, and its due work is a gap meanwhile", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator(world);
  const options = await optionsFor(workspace, simulator);
  const { backfill_id: id, fetcher_connected } = await ask(Begun, ["backfill", "octo-org/api", "--since", "9"], options);
  expect(fetcher_connected).toBe(false);
  const gaps = "select kind, repository, reason from gaps";
  expect(await askSql(gaps, options)).toEqual([{ kind: "window_open", repository: "octo-org/api", reason: "unlisted" }]);
  const steer = (step: string) => ask(z.object({ state: z.string() }), ["backfill", step, String(id)], options);
  expect(await steer("pause")).toEqual({ state: "paused" });
  expect(await askSql(gaps, options)).toEqual([{ kind: "window_open", repository: "octo-org/api", reason: "paused" }]);
  // A pass neither continues nor awaits the backfill, and reports work as due.
  const pass = await runCli(["start", "--once", "--max-wait", "30", "--json"], { ...options, settings: { ...options.settings } });
  expect(pass.code, pass.stderr).toBe(3);
  expect(JSON.parse(pass.stdout)).toMatchObject({ owed: [{ kind: "window_open", reason: "paused" }] });
  expect(await steer("resume")).toEqual({ state: "running" });
  // The next pass completes the backfill.
  const next = await runCli(["start", "--once", "--json"], options);
  expect(next.code, next.stdout).toBe(0);
  expect(await show(id, options)).toMatchObject({ backfill: { state: "done" }, progress: { hours_left: 0 } });
  expect((await runCli(["backfill", "cancel", String(id)], options)).stderr).toContain(`Backfill ${id} is done`);

  const { backfill_id: other } = await ask(Begun, ["backfill", "octo-org/web", "--since", "9"], options);
  expect((await runCli(["backfill", "cancel", String(other)], options)).stdout).toBe(`Backfill ${other} is cancelled.\n`);
  expect(await askSql("select count(*) as open from gaps where kind = 'window_open'", options)).toEqual([{ open: 0 }]);
  const listed = (await runCli(["backfill", "list"], options)).stdout;
  expect(listed).toMatch(new RegExp(`${other} │ octo-org/web +│ cancelled`));
});

test("where a fetcher runs, backfill --wait watches, and redelivery_requests for no log itself", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator(world);
  const watcher = "ghp_the-watcher";
  simulator.control.addToken({ token: watcher, id: "watcher" });
  const options = await optionsFor(workspace, simulator);
  await using start = startProgram(mainOf("cli"), ["start"], options);
  await start.prints('"msg":"started"');
  const { code, stderr } = await runCli(["backfill", "octo-org/*", "--wait"], {
    ...options,
    settings: { ...options.settings, GITHUB_TOKEN: watcher },
  });
  expect(code, stderr).toBe(0);
  const own = simulator.journal.entries({ origin: "api" }).filter(({ credential }) => credential === "watcher");
  expect(own.length).toBeGreaterThan(0);
  expect(own.filter(({ url }) => url.includes("/logs") || url.includes("/attempts/"))).toEqual([]);
  start.stop("SIGTERM");
  expect((await start.ended).code).toBe(0);
  await expectWhole(simulator, workspace, options);
});

test.skipIf(process.platform !== "linux")(
  "twice FLUSHALL and kill -9 of everything in mid-backfill: the same end as undisturbed (Linux only)",
  { timeout: 600_000 },
  async () => {
    await using workspace = await openWorkspace();
    await using reference = await openWorkspace();
    await using simulator = await startSimulator({ ...world, runsPerDay: 20 });
    const undisturbed = await optionsFor(reference, simulator);
    expect((await runCli(["backfill", "octo-org/*", "--wait"], undisturbed)).code).toBe(0);

    // A separate Redis, since FLUSHALL would delete the queues of other tests.
    await using folder = await openRunFolder();
    await using redis = await openTestRedis({ url: undefined, folder: folder.path });
    if (!("url" in redis.provided)) throw new Error(redis.provided.missing);
    const options = await optionsFor(workspace, simulator, { QUEUE_URL: redis.provided.url, DOWNLOAD_CONCURRENCY: "2" });
    simulator.faults.add({ origin: "log", times: "forever", delayMs: 20 });
    const { backfill_id: id } = await ask(Begun, ["backfill", "octo-org/*", "--since", "10"], options);
    const database = new Client({ connectionString: options.settings["DATABASE_URL"] });
    await database.connect();
    const settled = async () => (await database.query("select from archive.log_jobs where log_state <> 'pending'")).rowCount ?? 0;
    const start = () => startProgram(mainOf("cli"), ["start"], { ...options, isGroupLeader: true });
    for (const share of [60, 150]) {
      await using program: Program = start();
      await vi.waitFor(async () => expect(await settled()).toBeGreaterThan(share), { timeout: 120_000, interval: 20 });
      await flush(redis.provided.url);
      await killEverything(program.pid, workspace.folder);
      expect((await show(id, options)).backfill.state).toBe("running");
      await flush(redis.provided.url);
    }
    await using program = start();
    await vi.waitFor(async () => expect((await show(id, options)).backfill.state).toBe("done"), {
      timeout: 150_000,
      interval: 500,
    });
    program.stop("SIGTERM");
    expect((await program.ended).code).toBe(0);
    await database.end();
    await expectWhole(simulator, workspace, options, true);
    expect(await askSql(comparedColumns, options)).toEqual(await askSql(comparedColumns, undisturbed));
  },
);

async function flush(url: string): Promise<void> {
  const client = new Redis(url);
  expect(await client.flushall()).toBe("OK");
  client.disconnect();
}
