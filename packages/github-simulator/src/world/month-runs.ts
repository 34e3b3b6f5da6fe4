// The runs of the month scenario: one to three jobs each, one and a half on average, with every final state, and reruns of
// all kinds.

import { hourMs, minuteMs } from "../durations.ts";
import { createRandom, type Random } from "../random.ts";
import { type Builder, endOf } from "./builder.ts";
import { wholeSecond } from "./generate.ts";
import type { Repository, Run } from "./model.ts";
import { addRerun } from "./rerun.ts";

type Draft = { readonly builder: Builder; readonly repository: Repository; readonly createdAtMs: number };

/** Adds an ordinary run. One in ten is rerun, but not after `untilMs`. */
export function addMonthRun({ builder, repository, createdAtMs, untilMs }: Draft & { readonly untilMs: number }): Run {
  const run = builder.run({ repository, createdAtMs });
  const random = createRandom(builder.seed, "month run", run.id);
  const jobs = random.chance(0.6) ? 1 : random.chance(0.75) ? 2 : 3;
  for (let number = 1; number <= jobs; number++) addMonthJob(builder, run, random, `job (${number})`);
  if (random.chance(0.002)) run.logsDeleted = true;
  if (random.chance(0.1)) rerunSoon(builder, run, random, untilMs);
  return run;
}

function addMonthJob(builder: Builder, run: Run, random: Random, name: string): void {
  const fate = random.next();
  if (fate < 0.03) builder.jobWithoutRunner(run, { name, conclusion: "skipped" });
  else if (fate < 0.04)
    builder.jobWithoutRunner(run, { name, conclusion: "cancelled", labels: ["ubuntu-24.04"], queueMs: 90_000 });
  else if (fate < 0.043) builder.jobWithoutRunner(run, { name: `${name} report`, conclusion: "neutral", queueMs: 60_000 });
  else if (fate < 0.046) builder.job(run, { name, log: { kind: "blob-missing" } });
  else if (fate < 0.048) builder.job(run, { name, log: { kind: "text", content: Buffer.alloc(0) } });
  else if (fate < 0.051) builder.job(run, { name, style: { endMarker: false } });
  else if (fate < 0.06) builder.job(run, { name, conclusion: "cancelled" });
  else builder.job(run, { name, conclusion: fate < 0.17 ? "failure" : "success" });
}

// Most within the hour, some days later. Only failed jobs are rerun where others can be copied.
function rerunSoon(builder: Builder, run: Run, random: Random, untilMs: number): void {
  do {
    const conclusions = new Set(run.attempts.at(-1)?.jobs.map(({ conclusion }) => conclusion));
    const afterMs = random.chance(0.8) ? random.int(1, 60) * minuteMs : random.int(2, 240) * hourMs;
    const atMs = wholeSecond(endOf(run) + afterMs);
    if (atMs > untilMs) return;
    addRerun(builder, run, {
      atMs,
      failedOnly: conclusions.has("success") && conclusions.has("failure"),
      conclusion: random.chance(0.7) ? "success" : "failure",
    });
  } while (random.chance(0.15));
}

/** Adds a run with a job of minutes and one of days; `durationMs` null: it never ends. */
export function addRunThatGoesOn({ builder, durationMs, ...facts }: Draft & { readonly durationMs: number | null }): Run {
  const run = builder.run({ ...facts, workflow: "Nightly", event: "schedule" });
  builder.job(run, { name: "prepare" });
  builder.job(run, { name: "soak", labels: ["self-hosted", "soak"], durationMs });
  return run;
}

/** A flaky job that is rerun many times: an archiver may see all attempts at once. */
export function rerunOften(draft: Draft & { readonly random: Random; readonly attempts: number }): Run {
  const { builder, random, attempts, ...facts } = draft;
  const run = builder.run(facts);
  builder.job(run, { name: "flaky", conclusion: "failure" });
  for (let number = 2; number <= attempts; number++) {
    const atMs = wholeSecond(endOf(run)) + random.int(1, 5) * minuteMs;
    addRerun(builder, run, { atMs, conclusion: number === attempts ? "success" : "failure" });
  }
  return run;
}

/** Reruns after weeks: GitHub allows it for 30 days. */
export function rerunLate({ builder, random, afterMs, ...facts }: Draft & { random: Random; afterMs: number }): Run {
  const run = builder.run(facts);
  builder.job(run, { name: "build" });
  builder.job(run, { name: "test", conclusion: "failure" });
  addRerun(builder, run, { atMs: wholeSecond(run.createdAtMs + afterMs), failedOnly: random.chance(0.5) });
  return run;
}
