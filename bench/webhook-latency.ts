// From webhook to row: `start` (all workers in one process) on a durable Postgres, a Redis and a folder, with the simulator as GitHub. Ten
// jobs a second complete for a minute, each in its own run. Measured from the sending of a delivery to the commit that shows its log as
// archived in audit.jobs, by commit timestamps. Aims: half of them within 250 ms, 99 of 100 within 1 s. Must: all of them archived.
// npx pnpm exec node bench/webhook-latency.ts

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import getPort from "get-port";
import { Client } from "pg";

import { mainOf, startProgram } from "../test/support/processes.ts";
import { report } from "./support/report.ts";
import { openServers } from "./support/servers.ts";
import { until } from "./support/wait.ts";

const perSecond = 10;
const warmUpJobs = 10 * perSecond;
const jobs = 60 * perSecond;
const runLastsMs = 5_000;
const logBytes = 60_000;
const repository = "octo-org/api";
const secret = "measured";

type Row = { job_id: number; decided_at: Date; committed_at: Date; record_key: string };

/** Times of one job in milliseconds since its delivery was sent. */
type Timeline = { answered: number; asked: number; decided: number; recorded: number; committed: number };

await using servers = await openServers();
const port = await getPort({ host: "127.0.0.1" });
const webhook = { url: `http://127.0.0.1:${port}/webhooks/github`, secret };
await using simulator = await startSimulator({ scenario: "empty", webhook, rateLimits: { perHour: 15_000, perMinute: 900 } });
simulator.control.addRepository({ repository });
const databaseUrl = await servers.createDatabase();
const archive = join(servers.folder, "archive");
await using program = startProgram(mainOf("cli"), ["start"], {
  cwd: servers.folder,
  settings: {
    GITHUB_API_URL: simulator.apiUrl,
    GITHUB_HOST: "github-simulator",
    GITHUB_TOKEN: simulator.token,
    GITHUB_LOG_HOSTS: simulator.logOrigin,
    GITHUB_WEBHOOK_SECRET: secret,
    ARCHIVE_REPOSITORIES: repository,
    ARCHIVE_URL: pathToFileURL(archive).href,
    DATABASE_URL: databaseUrl,
    QUEUE_URL: servers.redisUrl,
    SPOOL_DIR: join(servers.folder, "spool"),
    PORT: String(port),
    LOG_LEVEL: "warn",
  },
});
await until(
  () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    ),
  60_000,
);
await until(() => simulator.journal.entries({ url: "/actions/runs" }).length > 0, 30_000);

await using stack = new AsyncDisposableStack();
const client = new Client({ connectionString: databaseUrl });
await client.connect();
stack.defer(() => client.end());

const warm = await endJobs(simulator, warmUpJobs);
const measured = await endJobs(simulator, jobs);
await until(async () => (await countArchived()) === warm.length + measured.length, 120_000);
const timelines = await readTimelines(measured);
program.stop("SIGTERM");
const { stdout } = await program.ended;
process.stderr.write(stdout);

const share = (part: (timeline: Timeline) => number, quantile: number) => at(timelines.map(part), quantile);
const phase = (what: string, part: (timeline: Timeline) => number) => [
  { what: `${what}, p50 ms`, measured: share(part, 0.5) },
  { what: `${what}, p99 ms`, measured: share(part, 0.99) },
];
report([
  { what: "jobs archived and queryable", measured: timelines.length, limit: { kind: "must", atLeast: jobs } },
  {
    what: "webhook to queryable, p50 ms",
    measured: share(({ committed }) => committed, 0.5),
    limit: { kind: "aim", atMost: 250 },
  },
  {
    what: "webhook to queryable, p99 ms",
    measured: share(({ committed }) => committed, 0.99),
    limit: { kind: "aim", atMost: 1_000 },
  },
  ...phase("webhook to its 202: the ledger", ({ answered }) => answered),
  ...phase("to the question for the log: feeder, queue, budget", ({ asked, answered }) => asked - answered),
  ...phase("to the log stored: link, download, put", ({ decided, asked }) => decided - asked),
  ...phase("to the record written", ({ recorded, decided }) => recorded - decided),
  ...phase("to the row: queue, batch, commit", ({ committed, recorded }) => committed - recorded),
]);

/** Completes `count` jobs at a constant rate. @returns their ids. */
async function endJobs({ control }: Simulator, count: number): Promise<number[]> {
  const ended: Promise<number>[] = [];
  const began = performance.now();
  for (let index = 0; index < count; index++) {
    await sleep(Math.max(0, began + (index * 1_000) / perSecond - performance.now()));
    ended.push(endJob(control));
  }
  return Promise.all(ended);
}

async function endJob(control: Simulator["control"]): Promise<number> {
  const { runId, jobIds } = control.addRun({ repository, state: "in_progress", jobs: [{ name: "build", bytes: logBytes }] });
  await sleep(runLastsMs);
  await control.completeRun({ runId });
  return jobIds[0] ?? 0;
}

async function countArchived(): Promise<number> {
  const { rows } = await client.query<{ count: string }>("select count(*) from audit.jobs where log_state = 'archived'");
  return Number(rows[0]?.count);
}

async function readTimelines(jobIds: readonly number[]): Promise<Timeline[]> {
  const { rows } = await client.query<Row>(
    `select job_id::float8 as job_id, archived_at as decided_at, pg_xact_commit_timestamp(xmin) as committed_at, record_key
      from archive.logs where job_id = any($1::bigint[])`,
    [jobIds],
  );
  const sent = new Map(
    simulator.webhooks.deliveries.flatMap((delivery) => {
      // The simulator itself made this delivery.
      const { workflow_job: job } = JSON.parse(delivery.request.body) as { workflow_job?: { id: number } };
      return delivery.action === "completed" && job !== undefined ? [[job.id, delivery] as const] : [];
    }),
  );
  const asked = new Map(
    simulator.journal.entries({ url: "/logs" }).map((entry) => [Number(/jobs\/(\d+)\/logs/.exec(entry.url)?.[1]), entry]),
  );
  return Promise.all(
    rows.map(async ({ job_id, decided_at, committed_at, record_key }) => {
      const delivery = sent.get(job_id);
      const sentAt = delivery?.deliveredAtMs ?? Number.NaN;
      const { mtimeMs } = await stat(join(archive, record_key));
      return {
        answered: (delivery?.durationSeconds ?? 0) * 1_000,
        asked: (asked.get(job_id)?.receivedAt.getTime() ?? Number.NaN) - sentAt,
        decided: decided_at.getTime() - sentAt,
        recorded: mtimeMs - sentAt,
        committed: committed_at.getTime() - sentAt,
      };
    }),
  );
}

function at(values: readonly number[], quantile: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * quantile)] ?? Number.NaN;
}
