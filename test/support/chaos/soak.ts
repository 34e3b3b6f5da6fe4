// The soak test. A simulated month passes in minutes, followed by two replicas of each worker, under random faults. After the faults:
// a fresh job, one full pass, a seal, and the check of all invariants.

import { setTimeout as sleep } from "node:timers/promises";

import { daySeconds } from "@actions-archive/core/durations";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { monthDays } from "@actions-archive/github-simulator/world/month";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { ArchiveJournal } from "@actions-archive/testkit/invariants/archive-journal";
import type { ProcessUse } from "@actions-archive/testkit/invariants/evidence";
import type { CheckResult } from "@actions-archive/testkit/invariants/invariants";
import { watchRows } from "@actions-archive/testkit/invariants/watch-rows";
import { followClock } from "@actions-archive/testkit/simulated-clock";
import { Client } from "pg";

import type { Settings } from "../processes.ts";
import { checkSystem, usesOf } from "../system/check-system.ts";
import { openSystem, type System, type SystemOptions } from "../system/system.ts";
import { countDueWork, untilSettled, watchProcesses } from "../system/watch.ts";
import { kindsFor, openChaos } from "./faults.ts";
import { scheduleFaults, type ScheduledFault, type FaultKind, faultKinds } from "./schedule.ts";

/** Fixed, so that a seed reproduces the generated month. */
const begin = new Date("2026-10-01T00:00:00Z");
/** Heap limit of a worker, in MB. A fetcher in the middle of a month without faults has 52 in use after each collection. */
const heapMb = 128;
/** From the end of a fresh job to its archived log, once the faults are over: webhook, download, load. */
const freshLimitSeconds = 60;

export type SoakOptions = Pick<SystemOptions, "queue" | "store"> & {
  readonly seed: number;
  readonly minutes: number;
  /** 1: a month of 40,000 runs. */
  readonly scale: number;
  /** Empty: a month without faults, for comparison. */
  readonly kinds?: readonly FaultKind[];
  readonly onProgress: (line: string) => void;
  readonly signal?: AbortSignal;
};

export type SoakReport = {
  readonly verdict: CheckResult;
  readonly pass: { readonly code: number | null; readonly printed: string };
  /** Faults of each kind that were applied, and the requests that they affected. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  readonly spoiled: { readonly github: number; readonly store: number };
  readonly crashes: number;
  /** Processes that ended without a signal from the test: name, code and last message. */
  readonly unexpectedExits: readonly string[];
  readonly quiesceSeconds: number;
  readonly freshJobSeconds: number | undefined;
  readonly runs: number;
  readonly processes: readonly ProcessUse[];
  /** By kind of worker: the growth of a process's memory, from its second minute on. */
  readonly growthKbPerMinute: Readonly<Record<string, number>>;
};

/** @throws when the system does not quiesce in time, or `signal` aborts. Everything that was started is stopped in either case. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  await using stack = new AsyncDisposableStack();
  const system = stack.use(
    await openSystem({ ...options, replicas: 2, startSimulator: monthOf(options), settings: settingsOf(options) }),
  );
  const { simulator, postgres, front } = system;
  const databaseClock = stack.use(await followClock(postgres.directUrl, simulator.clock));
  const journal = new ArchiveJournal(simulator);
  const watcher = new Client({ connectionString: postgres.directUrl });
  await watcher.connect();
  await watchRows(watcher);
  await watcher.end();
  stack.use(watchProcesses(system));
  for (const replica of system.replicas) replica.start();

  const faults = scheduleFaults({ ...options, kinds: kindsFor(system, options.kinds ?? faultKinds) });
  const effects = await applyAll(system, { faults, journal, options });
  simulator.clock.setSpeed(1);
  // Planned runs end. The run that never ends has been open for more than 35 days, when GitHub cancels it.
  simulator.clock.advance(6 * daySeconds * 1_000);
  await databaseClock.settled();
  await simulator.webhooks.settled();
  const quiesceSeconds = await untilSettled(system, { limitSeconds: 300 });
  options.onProgress(`quiescent after ${quiesceSeconds.toFixed(1)} s`);
  const freshJobSeconds = await timeFresh(system);
  const { verdict, pass } = await checkSystem(system, {
    journal,
    since: begin,
    hadFaults: faults.length > 0,
    fresh: { seconds: freshJobSeconds, limit: freshLimitSeconds },
    queue: effects.queue,
  });
  return {
    verdict,
    pass: { code: pass.code, printed: pass.stdout + pass.stderr },
    faults: countsOf(faults),
    spoiled: { github: effects.spoiled, store: front?.hitCount() ?? 0 },
    crashes: system.replicas.reduce(
      (sum, { lifetimes }) => sum + lifetimes.filter(({ sentSignal }) => sentSignal === "SIGKILL").length,
      0,
    ),
    unexpectedExits: system.replicas.flatMap(({ name, unexpectedExits }) =>
      unexpectedExits.map(({ code, signal, last }) => `${name} ${code ?? signal}: ${lastMessageOf(last)}`),
    ),
    quiesceSeconds,
    freshJobSeconds,
    runs: simulator.world.runs.size,
    processes: usesOf(system),
    growthKbPerMinute: growthOf(system),
  };
}

const secondsPerDay = ({ minutes }: SoakOptions) => (minutes * 60) / (monthDays + 1);

function monthOf(options: SoakOptions): SystemOptions["startSimulator"] {
  const clockSpeed = daySeconds / secondsPerDay(options);
  return ({ url, secret }) =>
    startSimulator({
      scenario: "month",
      seed: options.seed,
      scale: options.scale,
      face: "ghes",
      clockStart: begin,
      clockSpeed,
      // Lifetimes of an hour or a minute at GitHub last as long in real time, since workers run in real time.
      app: { id: 7, tokenLifetimeSeconds: Math.max(3_600, 60 * clockSpeed) },
      linkLifetimeSeconds: 60 * clockSpeed,
      logDelaySeconds: 30,
      webhook: { url, secret, unreliable: { lost: 0.2, doubled: 0.1, lanes: 8 } },
    });
}

function settingsOf(options: SoakOptions): NonNullable<SystemOptions["settings"]> {
  return (): Settings => ({
    ARCHIVE_SINCE: begin.toISOString(),
    POLL_INTERVAL_SECONDS: String(Math.max(1, Math.round(secondsPerDay(options) / 12))),
    SEAL_INTERVAL_SECONDS: "20",
    LOG_LEVEL: "warn",
    // V8 collects late on a machine with much memory. In a small heap a leak ends in a crash.
    NODE_OPTIONS: `--max-old-space-size=${heapMb}`,
  });
}

type FaultEffects = { readonly queue: string[]; readonly spoiled: number };

/** Resolves when the month and all faults are over. */
async function applyAll(
  system: System,
  { faults, journal, options }: { faults: readonly ScheduledFault[]; journal: ArchiveJournal; options: SoakOptions },
): Promise<FaultEffects> {
  const { simulator, secrets, redis } = system;
  const began = performance.now();
  const applyFault = openChaos(system);
  const inProgress = new Set<Promise<void>>();
  const queue: string[] = [];
  const hitsById = new Map<string, number>();
  const scheduled = [...faults];
  const endMs = begin.getTime() + monthDays * daySeconds * 1_000;
  for (let rounds = 0; simulator.clock.nowMs() < endMs || scheduled.length > 0 || inProgress.size > 0; rounds++) {
    options.signal?.throwIfAborted();
    const nowMs = performance.now() - began;
    for (let [fault] = scheduled; fault !== undefined && fault.atMs <= nowMs; [fault] = scheduled) {
      scheduled.shift();
      const applied: Promise<void> = applyFault(fault).finally(() => inProgress.delete(applied));
      inProgress.add(applied);
    }
    journal.drain();
    for (const { id, hits } of simulator.faults.list()) hitsById.set(id, hits);
    if (rounds % 100 === 99) {
      const texts = (await redis?.dump().catch(() => [])) ?? [];
      queue.push(...texts.filter((text) => secrets.some((secret) => text.includes(secret))));
      options.onProgress(
        `${Math.round(nowMs / 1_000)} s: ${JSON.stringify(await countDueWork(system))}, ${scheduled.length} faults to come`,
      );
    }
    await sleep(200);
  }
  return { queue, spoiled: [...hitsById.values()].reduce((sum, hits) => sum + hits, 0) };
}

/** @returns seconds from the end of a job to its archived log. */
async function timeFresh({ simulator, postgres }: System): Promise<number | undefined> {
  const repository = simulator.world.repositories[0];
  if (repository === undefined) return undefined;
  const began = performance.now();
  const { jobIds } = simulator.control.addRun({ repository: fullNameOf(repository), jobs: [{ name: "fresh" }] });
  for (let seconds = 0; seconds < 2 * freshLimitSeconds; seconds = (performance.now() - began) / 1_000) {
    const rows = await postgres.ask("select log_state from audit.jobs where job_id = $1", [jobIds[0]]);
    if (rows[0]?.["log_state"] === "archived") return (performance.now() - began) / 1_000;
    await sleep(100);
  }
  return undefined;
}

const firstMinuteMs = 60_000;

/** The slope by least squares over all lifetimes of a kind longer than two minutes, each around its own mean. */
function growthOf(system: System): Record<string, number> {
  const growth: Record<string, number> = {};
  for (const kind of ["fetcher", "log-worker", "loader"] as const) {
    let [upper, lower] = [0, 0];
    for (const { samples } of system.of(kind).flatMap(({ lifetimes }) => lifetimes)) {
      const [first] = samples;
      const later = samples.filter(({ atMs }) => first !== undefined && atMs - first.atMs > firstMinuteMs);
      if (later.length < firstMinuteMs / 1_000) continue;
      const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
      const [atMs, rssKb] = [mean(later.map((each) => each.atMs)), mean(later.map((each) => each.rssKb))];
      for (const each of later) {
        upper += (each.atMs - atMs) * (each.rssKb - rssKb);
        lower += (each.atMs - atMs) ** 2;
      }
    }
    if (lower > 0) growth[kind] = Math.round((upper / lower) * 60_000);
  }
  return growth;
}

/** @returns the last message of a worker's log. */
function lastMessageOf(text: string): string {
  return /"msg":"([^"]*)"[^"]*$/.exec(text.trimEnd())?.[1] ?? text.slice(-200);
}

function countsOf(faults: readonly ScheduledFault[]): Map<FaultKind, number> {
  return new Map(
    Array.from(
      Map.groupBy(faults, ({ kind }) => kind),
      ([kind, all]) => [kind, all.length],
    ),
  );
}
