// Runs the month scenario: a simulated GitHub with a fast clock in this process, and the three workers as processes on real engines.
// Afterwards one full pass, and the check of all invariants.

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

import { daySeconds } from "@actions-archive/core/durations";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { monthDays } from "@actions-archive/github-simulator/world/month";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { ArchiveJournal } from "@actions-archive/testkit/invariants/archive-journal";
import { checkInvariants, type CheckResult } from "@actions-archive/testkit/invariants/invariants";
import { folderSource, listFiles } from "@actions-archive/testkit/invariants/object-source";
import { watchRows } from "@actions-archive/testkit/invariants/watch-rows";
import { followClock } from "@actions-archive/testkit/simulated-clock";
import getPort from "get-port";
import { Client } from "pg";
import { z } from "zod";

import { mainOf, type Program, type ProgramOptions, runCli, type Settings, startProgram } from "../processes.ts";
import { simulatedHost } from "../workspace.ts";

/** Fixed, so that a seed reproduces the generated month. */
const begin = new Date("2026-10-01T00:00:00Z");
/** Limit for the workers after the month; the pass does what is still due. */
const maxDrainMs = 240_000;
const workers = ["loader", "log-worker", "fetcher"] as const;
type Worker = (typeof workers)[number];

export type MonthOptions = {
  readonly seed: number;
  /** 1 is a month of 40,000 runs. */
  readonly scale: number;
  /** Real seconds per simulated day. */
  readonly secondsPerDay: number;
  /** Empty engines and folders, for this month only. */
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly folder: string;
  /** Called every few seconds, until the pass. */
  readonly onProgress: (line: string) => void;
  /** Override the workers' settings. */
  readonly settings?: Settings;
  readonly nodeOptions?: string;
};

export type MonthReport = {
  readonly verdict: CheckResult;
  /** Exit code and output of the pass at the end. */
  readonly pass: { readonly code: number | null; readonly printed: string };
  readonly calls: ReadonlyMap<string, number>;
  readonly apiCalls: number;
  readonly deliveries: number;
  readonly seconds: { readonly month: number; readonly drain: number; readonly pass: number; readonly check: number };
  /** By worker, and for this process with the simulator and the checks: peak resident size in MB, processor time in seconds. */
  readonly use: Readonly<Record<string, Use>>;
  /** Jobs without a terminal state at the end of the month. */
  readonly backlog: number;
  readonly runs: number;
  /** How often the workers logged each message. */
  readonly messages: ReadonlyMap<string, number>;
};

/** @throws when a worker exits by itself. */
export async function followMonth(options: MonthOptions): Promise<MonthReport> {
  await using stack = new AsyncDisposableStack();
  const port = await getPort({ host: "127.0.0.1" });
  const { simulator, secret } = await startMonth(options, port);
  stack.use(simulator);
  const databaseClock = stack.use(await followClock(options.databaseUrl, simulator.clock));
  const settings = settingsOf(options, simulator);
  const client = new Client({ connectionString: options.databaseUrl });
  await client.connect();
  stack.defer(() => client.end());
  await watchRows(client);
  const start = (worker: Worker) => {
    const own = worker === "fetcher" ? { PORT: String(port), GITHUB_WEBHOOK_SECRET: secret } : {};
    return stack.use(startProgram(mainOf(worker), [], { cwd: options.folder, settings: { ...settings, ...own } }));
  };
  const programs = Object.fromEntries(workers.map((worker) => [worker, start(worker)])) as Record<Worker, Program>;
  const month: Month = { options, simulator, client, programs, journal: new ArchiveJournal(simulator), began: performance.now() };

  const endMs = begin.getTime() + monthDays * daySeconds * 1000;
  await follow(month, async () => simulator.clock.nowMs() >= endMs);
  const monthSeconds = secondsSince(month.began);
  // Planned runs end. The run that never ends has been open for more than 35 days, when GitHub cancels it.
  simulator.clock.setSpeed(1);
  simulator.clock.advance(6 * daySeconds * 1000);
  await databaseClock.settled();
  const { unsettled: backlog } = await countUnsettled(client);
  const endedAtMs = performance.now();
  await simulator.webhooks.settled();
  await follow(month, async () => performance.now() - endedAtMs > maxDrainMs || isIdle(await countUnsettled(client)));
  const drain = secondsSince(endedAtMs);
  const use = await usesOf(programs);
  await stopAll(programs);

  const passBegan = performance.now();
  const pass = await passUntilClosed({ cwd: options.folder, settings }, client);
  const passSeconds = secondsSince(passBegan);
  month.journal.drain();
  const checkStartMs = performance.now();
  const objects = folderSource(`${options.folder}/archive`);
  const { journal } = month;
  const leftovers = await listFiles(`${options.folder}/spool`);
  const outputs = await Promise.all(workers.map(async (name) => ({ name, text: (await programs[name].ended).stdout })));
  const canaries = [secret, simulator.app?.privateKey ?? ""];
  const verdict = await checkInvariants({
    simulator,
    journal,
    client,
    objects,
    since: begin,
    hadFaults: false,
    outputs,
    canaries,
    leftovers,
  });
  return {
    verdict,
    pass: { code: pass.code, printed: pass.stdout + pass.stderr },
    calls: journal.calls,
    apiCalls: journal.apiCalls,
    deliveries: simulator.webhooks.sent,
    seconds: { month: monthSeconds, drain, pass: passSeconds, check: secondsSince(checkStartMs) },
    use: { ...use, simulator: await useOf(process.pid) },
    backlog,
    runs: simulator.world.runs.size,
    messages: await messagesOf(programs),
  };
}

/** Runs passes that are days apart for attempts: a run deleted before it was listed is closed after a day of 404s. */
async function passUntilClosed(options: ProgramOptions, client: Client) {
  const days = 3;
  for (let day = 1; ; day++) {
    const pass = await runCli(["start", "--once", "--max-wait", "30"], options);
    if (pass.code === 0 || day === days) return pass;
    await client.query(
      "update archive.attempts set same_reason_since = same_reason_since - interval '1 day' where check_reason = 'run_not_found'",
    );
  }
}

export type Use = { readonly peakMb: number; readonly cpuSeconds: number };

type Month = {
  readonly options: MonthOptions;
  readonly simulator: Simulator;
  readonly client: Client;
  readonly programs: Record<Worker, Program>;
  readonly journal: ArchiveJournal;
  readonly began: number;
};

// A GHES, without rate limits, so that the month takes little time; and an App with an installation for each owner.
async function startMonth({ seed, scale, secondsPerDay }: MonthOptions, port: number) {
  const clockSpeed = daySeconds / secondsPerDay;
  const secret = "hush-of-a-hostile-month";
  const simulator = await startSimulator({
    scenario: "month",
    seed,
    scale,
    face: "ghes",
    clockStart: begin,
    clockSpeed,
    // Lifetimes of an hour or a minute at GitHub last as long in real time, since workers run in real time.
    app: { id: 7, tokenLifetimeSeconds: Math.max(3_600, 60 * clockSpeed) },
    linkLifetimeSeconds: 60 * clockSpeed,
    logDelaySeconds: 30,
    webhook: {
      url: `http://127.0.0.1:${port}/webhooks/github`,
      secret,
      unreliable: { lost: 0.2, doubled: 0.1, lanes: 8 },
    },
  });
  const large = { query: "per_page=100", status: 502, times: "forever" } as const;
  // Two repositories whose large pages always fail, and occasional failures of other large pages.
  for (const index of [4, 14]) {
    const repository = simulator.world.repositories[index];
    if (repository) simulator.faults.add({ ...large, path: `/repos/${fullNameOf(repository)}/actions/runs` });
  }
  simulator.faults.add({ ...large, path: "*/actions/runs", chance: 0.02 });
  simulator.faults.add({ ...large, path: "*/jobs", chance: 0.005 });
  return { simulator, secret };
}

function settingsOf({ databaseUrl, redisUrl, folder, secondsPerDay, settings, nodeOptions }: MonthOptions, simulator: Simulator) {
  return {
    GITHUB_API_URL: simulator.apiUrl,
    GITHUB_HOST: simulatedHost,
    GITHUB_APP_ID: "7",
    GITHUB_APP_PRIVATE_KEY: simulator.app?.privateKey ?? "",
    GITHUB_LOG_HOSTS: simulator.logOrigin,
    ARCHIVE_SINCE: begin.toISOString(),
    ARCHIVE_URL: pathToFileURL(`${folder}/archive`).href,
    SPOOL_DIR: `${folder}/spool`,
    DATABASE_URL: databaseUrl,
    QUEUE_URL: redisUrl,
    // About two hours of the month. The default would be a day and a half.
    POLL_INTERVAL_SECONDS: String(Math.max(1, Math.round(secondsPerDay / 12))),
    LOG_SETTLE_SECONDS: "1",
    RUN_SETTLE_SECONDS: "0",
    LOG_LEVEL: "warn",
    ...(nodeOptions === undefined ? {} : { NODE_OPTIONS: nodeOptions }),
    ...settings,
  };
}

async function follow(month: Month, isOver: () => Promise<boolean>): Promise<void> {
  const { client, programs, journal, simulator, options, began } = month;
  let ended: string | undefined;
  for (const worker of workers) void programs[worker].ended.then(() => (ended ??= worker));
  for (let rounds = 0; !(await isOver()); rounds++) {
    if (ended !== undefined)
      throw new Error(`the ${ended} ended by itself: ${programs[ended as Worker].printed().slice(-2_000)}`);
    await nextMoment(500);
    journal.drain();
    if (rounds % 20 !== 0) continue;
    const { unsettled, lagging, jobs } = await countUnsettled(client);
    const day = ((simulator.clock.nowMs() - begin.getTime()) / 1000 / daySeconds).toFixed(1);
    options.onProgress(
      `${Math.round(secondsSince(began))} s, day ${day}: ${jobs} jobs known, ${unsettled} logs owed, ${lagging} attempts to list, ${journal.apiCalls} calls`,
    );
  }
}

function nextMoment(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  return promise;
}

/** `lagging` counts due attempts only: attempts known by webhooks are listed later, at the latest by the pass. */
type Counts = { jobs: number; unsettled: number; lagging: number; unloaded: number };

async function countUnsettled(client: Client): Promise<Counts> {
  const { rows } = await client.query<Counts>(`
    select count(*)::int as jobs, (count(*) filter (where log_state in ('pending', 'failed')))::int as unsettled,
      (select count(*)::int from archive.attempts where state = 'open' and status = 'completed' and check_due_at <= now()) as lagging,
      (count(*) filter (where rows_loaded_at is null))::int as unloaded
    from archive.log_jobs`);
  return rows[0] ?? { jobs: 0, unsettled: 0, lagging: 0, unloaded: 0 };
}

function isIdle({ unsettled, lagging, unloaded }: Counts): boolean {
  return unsettled === 0 && lagging === 0 && unloaded === 0;
}

async function stopAll(programs: Record<Worker, Program>): Promise<void> {
  for (const worker of workers) programs[worker].stop("SIGTERM");
  for (const worker of workers) {
    const { code, stdout, stderr } = await programs[worker].ended;
    if (code !== 0) throw new Error(`the ${worker} ended with ${code}: ${stdout.slice(-2_000)}${stderr}`);
  }
}

async function usesOf(programs: Record<Worker, Program>): Promise<Record<string, Use>> {
  return Object.fromEntries(
    await Promise.all(workers.map(async (worker) => [worker, await useOf(programs[worker].pid)] as const)),
  );
}

// https://man7.org/linux/man-pages/man5/proc_pid_status.5.html and proc_pid_stat.5.html: kB, and ticks of a hundredth of a second.
async function useOf(pid: number): Promise<Use> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    peakMb: Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024),
    cpuSeconds: Math.round((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100),
  };
}

const Line = z.looseObject({ level: z.number(), msg: z.string(), err: z.looseObject({ message: z.string() }).optional() });

async function messagesOf(programs: Record<Worker, Program>): Promise<Map<string, number>> {
  const messages = new Map<string, number>();
  for (const worker of workers) {
    for (const text of (await programs[worker].ended).stdout.split("\n").filter((line) => line.startsWith("{"))) {
      const { level, msg, err } = Line.parse(JSON.parse(text));
      // Names and numbers vary, so they are masked, and similar messages count as one.
      const detail = err === undefined ? "" : `: ${err.message.replaceAll(/\d+/g, "0").slice(0, 100)}`;
      const key = `${worker}${level >= 50 ? " (error)" : ""}: ${msg}${detail}`;
      messages.set(key, (messages.get(key) ?? 0) + 1);
    }
  }
  return messages;
}

function secondsSince(moment: number): number {
  return (performance.now() - moment) / 1000;
}
