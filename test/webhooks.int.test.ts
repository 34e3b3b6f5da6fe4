// Webhooks from the simulated GitHub to the whole program: how many requests a job costs, how copies are recognized, and that reordered or
// lost webhooks do not change the final state.

import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { Client } from "pg";
import { expect, test, vi } from "vitest";

import { checkFolder } from "./support/check-folder.ts";
import { findFreePort } from "./support/free-port.ts";
import { mainOf, type Program, runCli, type Settings, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

const repository = "octo-org/api";
const secret = "hush";

type Scenario = AsyncDisposable & {
  readonly workspace: Workspace;
  readonly simulator: Simulator;
  readonly client: Client;
  readonly settings: Settings;
  /** Starts the program with its webhook route. Resolves after the first poll of the repository. */
  readonly start: () => Promise<Program>;
};

/** @param pollSeconds so long that only webhooks report anything, or so short that polling finds everything */
async function openScenario(pollSeconds: number): Promise<Scenario> {
  const stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const simulator = stack.use(await startSimulator({ scenario: "empty" }));
  simulator.control.addRepository({ repository });
  const port = await findFreePort();
  const engines = await engineSettings(workspace);
  const settings = {
    ...githubSettings(simulator),
    ...engines,
    ARCHIVE_REPOSITORIES: repository,
    POLL_INTERVAL_SECONDS: String(pollSeconds),
    GITHUB_WEBHOOK_SECRET: `rotated-out,${secret}`,
    PORT: String(port),
  };
  const client = new Client({ connectionString: engines["DATABASE_URL"] });
  await client.connect();
  stack.defer(() => client.end());
  const start = async () => {
    const program = stack.use(startProgram(mainOf("cli"), ["start"], { cwd: workspace.folder, settings }));
    await vi.waitFor(() => expect(program.printed()).toContain('"msg":"started"'), waitOptions);
    await vi.waitFor(async () => {
      const { rows } = await client.query("select from archive.repositories where polled_at is not null");
      expect(rows).toHaveLength(1);
    }, waitOptions);
    simulator.control.setWebhook({ url: `http://127.0.0.1:${port}/webhooks/github`, secret });
    return program;
  };
  return { workspace, simulator, client, settings, start, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const waitOptions = { timeout: 30_000, interval: 50 };

async function logsOf({ client }: Scenario, jobIds: readonly number[]): Promise<(string | null)[]> {
  const { rows } = await client.query<{ log: string }>(
    `select coalesce(log_reason, log_state) as log from unnest($1::bigint[]) with ordinality as asked(job_id, place)
      left join audit.jobs using (job_id) order by place`,
    [jobIds],
  );
  return rows.map(({ log }) => log);
}

const callsOf = ({ simulator }: Scenario): string[] =>
  simulator.journal.entries({ origin: "api" }).map(({ method, url }: JournalEntry) => `${method} ${url}`);

test("a completed job costs one call, its log, and a skipped one none", { timeout: 300_000 }, async () => {
  await using scenario = await openScenario(3_600);
  await scenario.start();
  scenario.simulator.control.clearJournal({});
  const jobs = [
    { name: "build" },
    { name: "test", conclusion: "failure" as const },
    { name: "deploy", conclusion: "skipped" as const },
  ];
  const { jobIds } = scenario.simulator.control.addRun({ repository, jobs, event: "push" });
  await vi.waitFor(async () => expect(await logsOf(scenario, jobIds)).toEqual(["archived", "archived", "not_run"]), waitOptions);
  const [build, failed] = jobIds;
  expect(callsOf(scenario).toSorted()).toEqual([build, failed].map((id) => `GET /repos/${repository}/actions/jobs/${id}/logs`));
  const { rows } = await scenario.client.query("select distinct event, actor is not null as has_actor from audit.jobs");
  expect(rows).toEqual([{ event: "push", has_actor: true }]);
});

test("of a re-run, copies cost no call and the others one, also when its run was not known", { timeout: 300_000 }, async () => {
  await using scenario = await openScenario(3_600);
  const { control, webhooks } = scenario.simulator;
  await scenario.start();
  const jobs = [{ name: "build" }, { name: "test", conclusion: "failure" as const }];
  const first = control.addRun({ repository, jobs, completedSecondsAgo: 30 });
  await vi.waitFor(async () => expect(await logsOf(scenario, first.jobIds)).toEqual(["archived", "archived"]), waitOptions);
  control.clearJournal({});
  const second = control.rerun({ runId: first.runId, failedOnly: true, state: "in_progress" });
  await vi.waitFor(async () => expect((await logsOf(scenario, second.jobIds))[0]).toBe("copied"), waitOptions);
  expect(callsOf(scenario)).toEqual([]);
  scenario.simulator.clock.advance(5_000);
  await control.completeRun({ runId: first.runId });
  await vi.waitFor(async () => expect(await logsOf(scenario, second.jobIds)).toEqual(["copied", "archived"]), waitOptions);
  expect(callsOf(scenario)).toEqual([`GET /repos/${repository}/actions/jobs/${second.jobIds[1]}/logs`]);

  // Of another run, only the end of one job of its second attempt was delivered.
  control.dropWebhooks({ next: 1_000 });
  const lost = control.addRun({ repository, jobs, completedSecondsAgo: 30 });
  const again = control.rerun({ runId: lost.runId, state: "in_progress" });
  scenario.simulator.clock.advance(5_000);
  await control.completeRun({ runId: lost.runId });
  await webhooks.settled();
  control.dropWebhooks({ next: 0 });
  control.clearJournal({});
  const [jobId = 0] = again.jobIds;
  await control.sendWebhook({ jobId });
  await vi.waitFor(async () => expect(await logsOf(scenario, [jobId])).toEqual(["archived"]), waitOptions);
  expect(callsOf(scenario).slice(-1)).toEqual([`GET /repos/${repository}/actions/jobs/${jobId}/logs`]);
  expect(callsOf(scenario).length).toBeLessThanOrEqual(2);
});

/** Adds runs that complete, stay open, and are rerun. */
async function simulateDay({ simulator: { control, clock } }: Scenario): Promise<void> {
  const jobs = [
    { name: "build" },
    { name: "test", conclusion: "failure" as const },
    { name: "skip", conclusion: "skipped" as const },
  ];
  const runs = Array.from({ length: 6 }, () => control.addRun({ repository, jobs, completedSecondsAgo: 20 }));
  const open = control.addRun({ repository, jobs: [{ name: "slow" }], state: "in_progress" });
  clock.advance(10_000);
  for (const { runId } of runs.slice(0, 3)) control.rerun({ runId, failedOnly: true });
  clock.advance(10_000);
  await control.completeRun({ runId: open.runId });
}

async function checkInvariants({ workspace, simulator, settings }: Scenario, program: Program) {
  program.stop("SIGTERM");
  expect((await program.ended).code).toBe(0);
  const { code, stdout, stderr } = await runCli(["start", "--once", "--max-wait", "60"], { cwd: workspace.folder, settings });
  expect(code, stdout + stderr).toBe(0);
  return checkFolder({ simulator, archive: workspace.archive, databaseUrl: settings["DATABASE_URL"], hadFaults: false });
}

test(
  "doubled, reversed and forged webhooks end as polling alone does, when all of them are lost",
  { timeout: 300_000 },
  async () => {
    await using shuffled = await openScenario(3_600);
    const shuffledProgram = await shuffled.start();
    const { control, webhooks, world } = shuffled.simulator;
    control.holdWebhooks({});
    await simulateDay(shuffled);
    await control.releaseWebhooks({ order: "reverse" });
    for (const { id: jobId } of world.jobs.values()) {
      await control.sendWebhook({ jobId, times: 3 });
      await control.sendWebhook({ jobId, action: "queued", forged: true });
    }
    for (const runId of world.runs.keys()) {
      await control.sendWebhook({ runId, action: "requested" });
      await control.sendWebhook({ runId, times: 2 });
    }
    await webhooks.settled();
    const statuses = new Set(webhooks.deliveries.map(({ statusCode }) => statusCode));
    expect(statuses).toEqual(new Set([202, 401]));

    await using lost = await openScenario(1);
    const polling = await lost.start();
    lost.simulator.control.dropWebhooks({ next: 1_000_000 });
    await simulateDay(lost);

    const [first, second] = [await checkInvariants(shuffled, shuffledProgram), await checkInvariants(lost, polling)];
    expect([first.violations, second.violations]).toEqual([[], []]);
    expect(first.archived).toBe(second.archived);
    expect(first.jobs).toBeGreaterThan(20);
    const { rows } = await lost.client.query("select from archive.deliveries");
    expect(rows).toEqual([]);
  },
);
