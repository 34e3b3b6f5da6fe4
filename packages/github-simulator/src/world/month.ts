// The month scenario: what makes archivers miss jobs, at the size of a busy company. It begins with the clock, is planned at once as a
// function of the seed, and becomes visible as the clock runs.

import { dayMs, hourMs } from "../durations.ts";
import type { Settings } from "../options.ts";
import { createRandom, type Random } from "../random.ts";
import { type Builder, endOf } from "./builder.ts";
import { wholeSecond } from "./generate.ts";
import type { Repository, Run } from "./model.ts";
import { addMonthRun, addRunThatGoesOn, rerunLate, rerunOften } from "./month-runs.ts";
import { fullNameOf } from "./world.ts";

export const monthDays = 30;

/** Small logs, since a month tests missed jobs and not bytes. */
export const monthLogs = { medianBytes: 2_000, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 60_000 } as const;

const busyDays = [3, 11, 18, 26] as const;
const busyRunsPerDay = 5_000;
/** More than GitHub lists for one query, within one minute. */
const burstRuns = 1_200;
/** Runs in addition to those of busy days and bursts, over all other repositories. */
const ordinaryRuns = 16_400;
const ownerNames = ["octo-org", "acme", "globex", "initech"] as const;
const names = ["api", "web", "infra", "docs", "mobile"] as const;

/** A planned change of the world itself. */
export type MonthEvent = { readonly atMs: number; readonly happen: () => void };

export type Month = {
  readonly monthEvents: readonly MonthEvent[];
  /** `owner/name` at the start, of repositories with a webhook. */
  readonly watched: readonly string[];
};

type Plan = {
  readonly builder: Builder;
  readonly random: Random;
  readonly startMs: number;
  /** Scales a number of full size. */
  readonly scaled: (count: number, atLeast?: number) => number;
  /** The repository with thousands of runs a day, and the nineteen others. */
  readonly busy: Repository;
  readonly others: readonly Repository[];
};

/** Fills `builder`'s world with the month that begins at `startMs`: 40,000 runs, times `settings.scale`. */
export function generateMonth(builder: Builder, settings: Settings, startMs: number): Month {
  const repositories = names.flatMap((name) => ownerNames.map((login) => builder.repository(builder.owner(login), name)));
  const [busy, ...others] = repositories;
  if (busy === undefined) throw new RangeError("a month without repositories");
  const scaled = (count: number, atLeast = 1) => Math.max(atLeast, Math.round(count * settings.scale));
  const plan: Plan = { builder, random: createRandom(settings.seed, "month"), startMs, scaled, busy, others };
  const untilMs = startMs + monthDays * dayMs;
  for (const [repository, moments] of drawTimes(plan))
    for (const createdAtMs of moments.toSorted((left, right) => left - right))
      addMonthRun({ builder, repository, createdAtMs, untilMs });
  addOddRuns(plan);
  return { monthEvents: [...planDeletions(plan), ...planMoves(plan)], watched: others.slice(0, 8).map(fullNameOf) };
}

/** @returns creation times of runs, by repository. */
function drawTimes({ random, startMs, scaled, busy, others }: Plan): Map<Repository, number[]> {
  const moments = new Map<Repository, number[]>();
  const add = (repository: Repository, day: number, offsetMs = 0) => {
    const all = moments.get(repository) ?? [];
    all.push(wholeSecond(startMs + day * dayMs) + offsetMs);
    moments.set(repository, all);
  };
  for (const day of busyDays) for (let count = scaled(busyRunsPerDay); count > 0; count--) add(busy, day + random.next());
  for (let count = scaled(ordinaryRuns, 200); count > 0; count--) {
    // The smaller of two draws, so that some repositories are busier than others.
    const index = Math.min(random.int(0, others.length - 1), random.int(0, others.length - 1));
    add(others[index] ?? busy, random.next() * monthDays);
  }
  for (const [repository, day] of [
    [busy, 11.5],
    [repositoryAt(others, 0), 6.2],
    [repositoryAt(others, 12), 21.7],
  ] as const) {
    const count = scaled(burstRuns, 130);
    // A quarter of them in the same second: more than a page holds.
    for (let index = 0; index < count; index++) add(repository, day, index < count / 4 ? 20_000 : random.int(0, 59) * 1000);
  }
  return moments;
}

// Runs of days, two that never end (the 35 days of one are over soon after the month), and reruns at GitHub's limits.
function addOddRuns({ builder, random, startMs, scaled, others }: Plan): void {
  const at = (day: number) => wholeSecond(startMs + day * dayMs);
  for (let count = scaled(40, 2); count > 0; count--) {
    const createdAtMs = at(random.next() * (monthDays - 6));
    addRunThatGoesOn({ builder, repository: random.pick(others), createdAtMs, durationMs: (1 + random.next() * 3.9) * dayMs });
  }
  addRunThatGoesOn({ builder, repository: repositoryAt(others, 1), createdAtMs: at(0.4), durationMs: null });
  addRunThatGoesOn({ builder, repository: repositoryAt(others, 14), createdAtMs: at(20.3), durationMs: null });
  for (let count = scaled(8, 1); count > 0; count--)
    rerunOften({ builder, random, repository: random.pick(others), createdAtMs: at(1 + random.next() * 25), attempts: 40 });
  for (let count = scaled(20, 3); count > 0; count--) {
    const day = random.next() * 0.9;
    // The last one at the very end of the 30 days in which GitHub allows reruns.
    const afterDays = count === 1 ? 29.99 - day : 29 + random.next() * (0.95 - day);
    rerunLate({ builder, random, repository: random.pick(others), createdAtMs: at(day), afterMs: afterDays * dayMs });
  }
}

// Half of them at their own time, the others when a client fetches the next page.
function planDeletions({ builder, random, startMs }: Plan): readonly MonthEvent[] {
  const monthEvents: MonthEvent[] = [];
  for (const run of builder.world.runs.values()) {
    if (!random.chance(0.004) || run.attempts.length > 1 || run.createdAtMs < startMs + hourMs || goesOn(run)) continue;
    if (random.chance(0.5)) run.deletedOncePaged = true;
    else {
      // Between a minute and twelve hours after its end, more often early.
      const afterMs = 60_000 * Math.exp(random.next() * Math.log(12 * 60));
      monthEvents.push({ atMs: endOf(run) + afterMs, happen: () => void (run.deleted = true) });
    }
  }
  return monthEvents;
}

function goesOn(run: Run): boolean {
  return run.attempts.some(({ jobs }) => jobs.some(({ completedAtMs }) => completedAtMs === null));
}

// Two renames and a transfer; and a new repository takes over an old name that has other runs.
function planMoves({ builder, random, startMs, scaled, others }: Plan): readonly MonthEvent[] {
  const { world } = builder;
  const at = (day: number) => wholeSecond(startMs + day * dayMs);
  const [watched, renamed, transferred] = [4, 9, 10].map((index) => repositoryAt(others, index));
  if (watched === undefined || renamed === undefined || transferred === undefined) throw new RangeError("too few repositories");
  const { owner, name } = renamed;
  const takeOver = () => {
    const repository = builder.repository(owner, name);
    const moments = Array.from({ length: scaled(400, 20) }, () => at(17.8 + random.next() * 10));
    for (const createdAtMs of moments.toSorted((left, right) => left - right))
      addMonthRun({ builder, repository, createdAtMs, untilMs: at(monthDays) });
  };
  return [
    { atMs: at(8.3), happen: () => world.moveRepository(watched, { name: `${watched.name}-v2` }) },
    { atMs: at(17.6), happen: () => world.moveRepository(renamed, { name: `${name}-classic` }) },
    { atMs: at(17.75), happen: takeOver },
    {
      atMs: at(13.4),
      happen: () => world.moveRepository(transferred, { owner: builder.owner("octo-org"), name: `${transferred.name}-initech` }),
    },
  ];
}

function repositoryAt(repositories: readonly Repository[], index: number): Repository {
  const repository = repositories[index];
  if (repository === undefined) throw new RangeError("too few repositories");
  return repository;
}
