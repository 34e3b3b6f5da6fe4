// Stories that nobody wrote: what GitHub does, what reaches us, what the workers do and what breaks, in any order that fast-check makes
// up, against a model of what is promised of each job. MODEL_RUNS is how many stories (20 unless told), MODEL_SEED repeats those of a
// seed that a run printed.

import fc from "fast-check";
import { test } from "vitest";

import { addRun, anyCommand } from "../support/model/commands.ts";
import { LogJobs } from "../support/model/log-jobs.ts";
import { quiesce, checkInvariants } from "../support/model/quiesce.ts";
import { openSystem } from "../support/model/system.ts";

const repository = "octo-org/api";
const commandsAtMost = 60;

// oxlint-disable-next-line node/no-process-env -- how long the stories go on is for who starts them
const { MODEL_RUNS = "20", MODEL_SEED } = process.env;

test("whatever happens in whatever order, every job ends as promised", { timeout: 3_600_000 }, async ({ annotate }) => {
  const numRuns = Number(MODEL_RUNS);
  const seed = MODEL_SEED === undefined ? Date.now() % 2 ** 31 : Number(MODEL_SEED);
  await annotate(`${numRuns} stories of up to ${commandsAtMost} commands, MODEL_SEED=${seed}`, "F40");
  const stories = fc.asyncProperty(fc.commands(anyCommand, { maxCommands: commandsAtMost, size: "max" }), async (commands) => {
    await using system = await openSystem(repository);
    const model = new LogJobs(repository);
    // Nearly every command is about a run: a story without one would say little.
    for (const isOpen of [true, false, false]) addRun(model, system.simulator, { jobs: 2, days: 1, isOpen, isSkipped: false });
    await fc.asyncModelRun(() => ({ model, real: system }), commands);
    await quiesce(model, system);
    await checkInvariants(model, system);
  });
  await fc.assert(stories, { numRuns, seed, endOnFailure: false });
});
