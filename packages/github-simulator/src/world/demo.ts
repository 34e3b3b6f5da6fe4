// The demo world: five repositories of two owners, every final state, each completed long before the clock's now, and one run that is
// still in progress.

import { hourMs } from "../durations.ts";
import type { Settings } from "../options.ts";
import { createRandom } from "../random.ts";
import { type Builder, endOf } from "./builder.ts";
import { makeFork, wholeSecond } from "./generate.ts";
import type { Repository } from "./model.ts";
import * as patterns from "./patterns.ts";
import { addRerun } from "./rerun.ts";

/** Sizes that keep the whole demo near 35 MB, including the heavy tail. */
export const demoLogs = { medianBytes: 22_000, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 12 * 1024 * 1024 } as const;
const tailBytes = [11_000_000, 8_500_000] as const;

/** Fills `builder`'s world, as a function of its seed and `startMs`. */
export function generateDemo(builder: Builder, settings: Settings, startMs: number): void {
  const octo = builder.owner("octo-org");
  const acme = builder.owner("acme");
  const api = builder.repository(octo, "api", { stepTimes: { form: "zone", minutes: -480 } });
  const web = builder.repository(octo, "web", { stepTimes: { form: "plain" } });
  const infra = builder.repository(octo, "infra", { stepTimes: { form: "milliseconds" }, private: true });
  const legacy = builder.repository(acme, "legacy-shop", { stepTimes: { form: "zone", minutes: 330 } });
  const billing = builder.repository(acme, "billing", { retentionDays: 30, private: true });
  const fork = makeFork(builder, "api");
  const random = createRandom(settings.seed, "demo");

  // Newest first. Each run has its own slot; the last three hours are empty.
  let slot = 0;
  const contextFor = (repository: Repository, jobs = 4): patterns.PatternContext => {
    const createdAtMs = wholeSecond(startMs - (4 + slot * 1.4) * hourMs - random.int(0, 1_500) * 1000);
    slot++;
    return { builder, repository, createdAtMs, random, jobs, fork };
  };

  for (const repository of [api, web, infra, legacy, billing]) {
    for (let count = 0; count < 2; count++) patterns.matrix(contextFor(repository, random.int(4, 9)));
    patterns.failed(contextFor(repository));
    patterns.rerunFailed(contextFor(repository));
  }
  for (const pattern of [...onceEach, ...onceEach.slice(0, 6)])
    pattern(contextFor(pickRepository(slot, [api, web, infra, billing])));
  // More than one page of jobs.
  patterns.matrix(contextFor(web, 124));
  tail(contextFor(infra), builder);
  manyAttempts(contextFor(legacy, 1), builder);
  patterns.lostBlob(contextFor(legacy));
  patterns.matrix(contextFor(legacy, 2)).deleted = true;
  inProgress(builder, api, startMs);
  builder.world.moveRepository(legacy, { name: "shop" });
  builder.world.moveRepository(billing, { owner: octo });
}

const onceEach: readonly patterns.Pattern[] = [
  patterns.reusable,
  patterns.cancelled,
  patterns.checkRun,
  patterns.forkPullRequest,
  patterns.rerunAll,
  patterns.oddFields,
  patterns.oddLogs,
  patterns.rerunFailedSameIds,
  patterns.lostFork,
  patterns.actionRequired,
  patterns.startupFailure,
  patterns.logsDeleted,
  patterns.expired,
];

function pickRepository(slot: number, repositories: readonly Repository[]): Repository {
  const repository = repositories[slot % repositories.length];
  if (repository === undefined) throw new RangeError("no repository");
  return repository;
}

// 0.6 % of the logs, here two, hold 60 % of the bytes.
function tail({ repository, createdAtMs }: patterns.PatternContext, builder: Builder): void {
  const run = builder.run({ repository, createdAtMs, workflow: "Nightly", event: "schedule" });
  tailBytes.forEach((bytes, index) =>
    builder.job(run, { name: `soak (${index + 1})`, bytes, style: { bom: true, waitingLines: true } }),
  );
}

// A flaky job that was rerun many times.
function manyAttempts(context: patterns.PatternContext, builder: Builder): void {
  const { repository, createdAtMs } = context;
  const run = builder.run({ repository, createdAtMs: createdAtMs - 30 * hourMs });
  builder.job(run, { name: "flaky", conclusion: "failure", bytes: 9_000 });
  for (let attempt = 2; attempt <= 25; attempt++) {
    addRerun(builder, run, {
      atMs: wholeSecond(endOf(run)) + 120_000,
      bytes: 9_000,
      conclusion: attempt === 25 ? "success" : "failure",
    });
  }
}

function inProgress(builder: Builder, repository: Repository, startMs: number): void {
  const run = builder.run({ repository, createdAtMs: wholeSecond(startMs - 25 * 60_000) });
  builder.job(run, { name: "build", durationMs: 180_000 });
  builder.job(run, { name: "soak", durationMs: null });
  builder.job(run, { name: "publish", durationMs: null, queueMs: 86_400_000 * 30, labels: ["self-hosted", "gpu"] });
}
