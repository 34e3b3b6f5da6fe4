// A month at GitHub in some minutes, followed by two replicas of each worker, under weather; then calm, a fresh job, one full
// pass, a seal, and the judge.

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
import { countOwed, untilSettled, watchProcesses } from "../system/watch.ts";
import { kindsFor, openChaos } from "./faults.ts";
import { forecast, type ScheduledFault, type FaultKind, faultKinds } from "./schedule.ts";

/** A fixed one, so that a seed names one world. */
const begin = new Date("2026-10-01T00:00:00Z");
/** Of a worker. A fetcher in the middle of a calm month has 52 in use after each sweep. */
const heapMb = 128;
/** A fresh job of a system in calm: webhook, download, load. */
const freshLimitSeconds = 60;

export type SoakOptions = Pick<SystemOptions, "queue" | "store"> & {
  readonly seed: number;
  readonly minutes: number;
  /** 1: a month of 40,000 runs. */
  readonly scale: number;
  /** None: a calm month, to compare with. */
  readonly kinds?: readonly FaultKind[];
  readonly onProgress: (line: string) => void;
  readonly signal?: AbortSignal;
};

export type SoakReport = {
  readonly verdict: CheckResult;
  readonly pass: { readonly code: number | null; readonly printed: string };
  /** How many gusts of each kind blew, and what they did to requests. */
  readonly gusts: ReadonlyMap<FaultKind, number>;
  readonly spoiled: { readonly github: number; readonly store: number };
  readonly deaths: number;
  /** Processes that ended by themselves: name, code and last message. */
  readonly unasked: readonly string[];
  readonly calmSeconds: number;
  readonly freshSeconds: number | undefined;
  readonly runs: number;
  readonly processes: readonly ProcessUse[];
  /** Of the workers of each kind: how much a process grows a minute, after its first. */
  readonly growthKbPerMinute: Readonly<Record<string, number>>;
};

/** @throws when the system does not come to rest, or `signal` aborts. Nothing that it started is left. */
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

  const gusts = forecast({ ...options, kinds: kindsFor(system, options.kinds ?? faultKinds) });
  const seen = await blowAll(system, { gusts, journal, options });
  simulator.clock.setSpeed(1);
  // What was planned ends, and the run that never does has been open for more than 35 days.
  simulator.clock.advance(6 * daySeconds * 1_000);
  await databaseClock.settled();
  await simulator.webhooks.settled();
  const calmSeconds = await untilSettled(system, { limitSeconds: 300 });
  options.onProgress(`calm after ${calmSeconds.toFixed(1)} s`);
  const freshSeconds = await timeFresh(system);
  const { verdict, pass } = await checkSystem(system, {
    journal,
    since: begin,
    hadFaults: gusts.length > 0,
    fresh: { seconds: freshSeconds, limit: freshLimitSeconds },
    queue: seen.queue,
  });
  return {
    verdict,
    pass: { code: pass.code, printed: pass.stdout + pass.stderr },
    gusts: countsOf(gusts),
    spoiled: { github: seen.spoiled, store: front?.hitCount() ?? 0 },
    deaths: system.replicas.reduce((sum, { lives }) => sum + lives.filter(({ asked }) => asked === "SIGKILL").length, 0),
    unasked: system.replicas.flatMap(({ name, unasked }) =>
      unasked.map(({ code, signal, last }) => `${name} ${code ?? signal}: ${lineOf(last)}`),
    ),
    calmSeconds,
    freshSeconds,
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
      // What GitHub lets live for an hour or a minute lives so long in real time: a worker cannot be faster than it is.
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
    // V8 takes of a large machine what it likes before it sweeps. In a small heap what grows is a leak, and ends in a death.
    NODE_OPTIONS: `--max-old-space-size=${heapMb}`,
  });
}

type Blown = { readonly queue: string[]; readonly spoiled: number };

/** Until the month and all its gusts are over. */
async function blowAll(
  system: System,
  { gusts, journal, options }: { gusts: readonly ScheduledFault[]; journal: ArchiveJournal; options: SoakOptions },
): Promise<Blown> {
  const { simulator, secrets, redis } = system;
  const began = performance.now();
  const blow = openChaos(system);
  const blowing = new Set<Promise<void>>();
  const queue: string[] = [];
  const faults = new Map<string, number>();
  const coming = [...gusts];
  const endMs = begin.getTime() + monthDays * daySeconds * 1_000;
  for (let rounds = 0; simulator.clock.nowMs() < endMs || coming.length > 0 || blowing.size > 0; rounds++) {
    options.signal?.throwIfAborted();
    const nowMs = performance.now() - began;
    for (let [gust] = coming; gust !== undefined && gust.atMs <= nowMs; [gust] = coming) {
      coming.shift();
      const blown: Promise<void> = blow(gust).finally(() => blowing.delete(blown));
      blowing.add(blown);
    }
    journal.drain();
    for (const { id, hits } of simulator.faults.list()) faults.set(id, hits);
    if (rounds % 100 === 99) {
      const texts = (await redis?.dump().catch(() => [])) ?? [];
      queue.push(...texts.filter((text) => secrets.some((secret) => text.includes(secret))));
      options.onProgress(
        `${Math.round(nowMs / 1_000)} s: ${JSON.stringify(await countOwed(system))}, ${coming.length} gusts to come`,
      );
    }
    await sleep(200);
  }
  return { queue, spoiled: [...faults.values()].reduce((sum, hits) => sum + hits, 0) };
}

/** Seconds from the end of a job to its log's archiving. */
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

/** Least squares over all lives of a kind that were longer than two minutes, each from its own mean. */
function growthOf(system: System): Record<string, number> {
  const growth: Record<string, number> = {};
  for (const kind of ["fetcher", "log-worker", "loader"] as const) {
    let [upper, lower] = [0, 0];
    for (const { samples } of system.of(kind).flatMap(({ lives }) => lives)) {
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

/** The last message of a worker's log. */
function lineOf(text: string): string {
  return /"msg":"([^"]*)"[^"]*$/.exec(text.trimEnd())?.[1] ?? text.slice(-200);
}

function countsOf(gusts: readonly ScheduledFault[]): Map<FaultKind, number> {
  return new Map(
    Array.from(
      Map.groupBy(gusts, ({ kind }) => kind),
      ([kind, all]) => [kind, all.length],
    ),
  );
}
