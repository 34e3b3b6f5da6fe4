// Fills a world with owners, repositories, and day by day with runs. A day's runs depend only on the seed, the repository and the day. With
// `live`, later days are generated shortly before the clock reaches them.

import { dayMs } from "../durations.ts";
import type { Settings } from "../options.ts";
import { createRandom, type Random } from "../random.ts";
import type { Builder } from "./builder.ts";
import type { Owner, Repository, Run } from "./model.ts";
import { matrix, type Pattern, weightedPatterns } from "./patterns.ts";

/** Without `live`, runs start so early that they and their reruns ended a quarter of an hour before the start. */
const quietMs = 2.5 * 3_600_000;

const repositoryNames = ["api", "web", "infra", "docs", "mobile", "billing", "search", "ingest", "ledger", "gateway"];
const ownerNames = ["octo-org", "acme", "globex", "initech", "umbrella"];

/** Knows which days exist, and generates the next. */
export type Generator = {
  /** Generates all runs that are created up to an hour after `nowMs`. Only with `live`. @returns the new runs. */
  readonly generateUntil: (nowMs: number) => readonly Run[];
};

/** Generates owners, repositories and their history up to `startMs`. */
export function generateWorld(builder: Builder, settings: Settings, startMs: number): Generator {
  const owners = Array.from({ length: settings.owners }, (_, index) => {
    const name = ownerNames[index % ownerNames.length] ?? "octo-org";
    return builder.owner(index < ownerNames.length ? name : `${name}-${Math.floor(index / ownerNames.length)}`);
  });
  const repositories = Array.from({ length: settings.repositories }, (_, index) => {
    const name = repositoryNames[Math.floor(index / owners.length) % repositoryNames.length] ?? "api";
    const round = Math.floor(index / (owners.length * repositoryNames.length));
    return builder.repository(ownerAt(owners, index), round === 0 ? name : `${name}-${round}`, {
      retentionDays: settings.retentionDays,
    });
  });
  const fork = makeFork(builder, repositories[0]?.name ?? "api");
  for (let day = -settings.days; day < 0; day++) {
    const isLast = day === -1 && !settings.live;
    for (const repository of repositories) generateDay(day, isLast ? dayMs - quietMs : dayMs, repository);
  }

  let nextDay = 0;
  function generateUntil(nowMs: number): readonly Run[] {
    const made: Run[] = [];
    while (settings.live && startMs + nextDay * dayMs <= nowMs + 3_600_000) {
      for (const repository of repositories) made.push(...generateDay(nextDay, dayMs, repository));
      nextDay++;
    }
    return made;
  }

  function generateDay(day: number, lengthMs: number, repository: Repository): readonly Run[] {
    const random = createRandom(settings.seed, "day", repository.id, day);
    const count = Math.floor(settings.runsPerDay) + (random.chance(settings.runsPerDay % 1) ? 1 : 0);
    const moments = Array.from(
      { length: count },
      () => startMs + day * dayMs + random.int(0, Math.floor(lengthMs / 1000)) * 1000,
    );
    return moments
      .toSorted((left, right) => left - right)
      .map((createdAtMs) => {
        const pattern = settings.cases === "plain" ? matrix : pickPattern(random);
        return pattern({ builder, repository, createdAtMs: wholeSecond(createdAtMs), random, jobs: settings.jobsPerRun, fork });
      });
  }

  return { generateUntil };
}

/** Creates a fork for pull requests. It belongs to a user, and no archiver selects it. */
export function makeFork(builder: Builder, name: string): Repository {
  return builder.repository(builder.owner("first-timer", "User"), name, { private: false });
}

/** GitHub's `created_at` has no fraction. */
export function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function pickPattern(random: Random): Pattern {
  let left = random.next() * weightedPatterns.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [pattern, weight] of weightedPatterns) {
    left -= weight;
    if (left < 0) return pattern;
  }
  return matrix;
}

function ownerAt(owners: readonly Owner[], index: number): Owner {
  const owner = owners[index % owners.length];
  if (owner === undefined) throw new RangeError("a world needs at least one owner");
  return owner;
}
