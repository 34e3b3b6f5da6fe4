// Webhooks from the simulated GitHub to the whole program: what one costs, that copies are told, and that neither their chaos
// nor their loss changes how it ends.

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

type Stage = AsyncDisposable & {
  readonly workspace: Workspace;
  readonly simulator: Simulator;
  readonly client: Client;
  readonly settings: Settings;
  /** Starts the program with its route; resolves when it has looked at the repository once. */
  readonly start: () => Promise<Program>;
};

/** @param pollSeconds so many that only webhooks tell anything, or so few that polling finds it all */
async function openStage(pollSeconds: number): Promise<Stage> {
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
    await vi.waitFor(() => expect(program.printed()).toContain('"msg":"started"'), patience);
    await vi.waitFor(async () => {
      const { rows } = await client.query("select from archive.repositories where polled_at is not null");
      expect(rows).toHaveLength(1);
    }, patience);
    simulator.control.setWebhook({ url: `http://127.0.0.1:${port}/webhooks/github`, secret });
    return program;
  };
  return { workspace, simulator, client, settings, start, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const patience = { timeout: 30_000, interval: 50 };

async function logsOf({ client }: Stage, jobIds: readonly number[]): Promise<(string | null)[]> {
  const { rows } = await client.query<{ log: string }>(
    `select coalesce(log_reason, log_state) as log from unnest($1::bigint[]) with ordinality as asked(job_id, place)
      left join audit.jobs using (job_id) order by place`,
    [jobIds],
  );
  return rows.map(({ log }) => log);
}

const callsOf = ({ simulator }: Stage): string[] =>
  simulator.journal.entries({ origin: "api" }).map(({ method, url }: JournalEntry) => `${method} ${url}`);

test("a completed job costs one call, its log, and a skipped one none", { timeout: 300_000 }, async () => {
  await using stage = await openStage(3_600);
  await stage.start();
  stage.simulator.control.clearJournal({});
  const jobs = [
    { name: "build" },
    { name: "test", conclusion: "failure" as const },
    { name: "deploy", conclusion: "skipped" as const },
  ];
  const { jobIds } = stage.simulator.control.addRun({ repository, jobs, event: "push" });
  await vi.waitFor(async () => expect(await logsOf(stage, jobIds)).toEqual(["archived", "archived", "not_run"]), patience);
  const [build, failed] = jobIds;
  expect(callsOf(stage).toSorted()).toEqual([build, failed].map((id) => `GET /repos/${repository}/actions/jobs/${id}/logs`));
  const { rows } = await stage.client.query("select distinct event, actor is not null as has_actor from audit.jobs");
  expect(rows).toEqual([{ event: "push", has_actor: true }]);
});

test("of a re-run, copies cost no call and the others one, also when its run was not known", { timeout: 300_000 }, async () => {
  await using stage = await openStage(3_600);
  const { control, webhooks } = stage.simulator;
  await stage.start();
  const jobs = [{ name: "build" }, { name: "test", conclusion: "failure" as const }];
  const first = control.addRun({ repository, jobs, completedSecondsAgo: 30 });
  await vi.waitFor(async () => expect(await logsOf(stage, first.jobIds)).toEqual(["archived", "archived"]), patience);
  control.clearJournal({});
  const second = control.rerun({ runId: first.runId, failedOnly: true, state: "in_progress" });
  await vi.waitFor(async () => expect((await logsOf(stage, second.jobIds))[0]).toBe("copied"), patience);
  expect(callsOf(stage)).toEqual([]);
  stage.simulator.clock.advance(5_000);
  await control.completeRun({ runId: first.runId });
  await vi.waitFor(async () => expect(await logsOf(stage, second.jobIds)).toEqual(["copied", "archived"]), patience);
  expect(callsOf(stage)).toEqual([`GET /repos/${repository}/actions/jobs/${second.jobIds[1]}/logs`]);

  // Of another run nothing arrived but the end of one job of its second attempt.
  control.dropWebhooks({ next: 1_000 });
  const lost = control.addRun({ repository, jobs, completedSecondsAgo: 30 });
  const again = control.rerun({ runId: lost.runId, state: "in_progress" });
  stage.simulator.clock.advance(5_000);
  await control.completeRun({ runId: lost.runId });
  await webhooks.settled();
  control.dropWebhooks({ next: 0 });
  control.clearJournal({});
  const [jobId = 0] = again.jobIds;
  await control.sendWebhook({ jobId });
  await vi.waitFor(async () => expect(await logsOf(stage, [jobId])).toEqual(["archived"]), patience);
  expect(callsOf(stage).slice(-1)).toEqual([`GET /repos/${repository}/actions/jobs/${jobId}/logs`]);
  expect(callsOf(stage).length).toBeLessThanOrEqual(2);
});

/** Runs that end, go on, and run again. */
async function liveThroughADay({ simulator: { control, clock } }: Stage): Promise<void> {
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

async function checkInvariants({ workspace, simulator, settings }: Stage, program: Program) {
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
    await using shuffled = await openStage(3_600);
    const told = await shuffled.start();
    const { control, webhooks, world } = shuffled.simulator;
    control.holdWebhooks({});
    await liveThroughADay(shuffled);
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

    await using lost = await openStage(1);
    const polling = await lost.start();
    lost.simulator.control.dropWebhooks({ next: 1_000_000 });
    await liveThroughADay(lost);

    const [first, second] = [await checkInvariants(shuffled, told), await checkInvariants(lost, polling)];
    expect([first.violations, second.violations]).toEqual([[], []]);
    expect(first.archived).toBe(second.archived);
    expect(first.jobs).toBeGreaterThan(20);
    const { rows } = await lost.client.query("select from archive.deliveries");
    expect(rows).toEqual([]);
  },
);
