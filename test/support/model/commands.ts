// What may happen, in any order: what GitHub does, what reaches us of it, what the workers do, and what breaks. After each the model holds.

import { randomUUID } from "node:crypto";

import { daySeconds } from "@actions-archive/core/durations";
import { createBackfill } from "@actions-archive/database/backfill/backfills";
import { backfillRepository } from "@actions-archive/fetcher/backfill/backfill-repository";
import { pollRepository } from "@actions-archive/fetcher/poll/poll-repository";
import { feed } from "@actions-archive/fetcher/queue/feed";
import { receiveDelivery } from "@actions-archive/fetcher/webhook/receive-delivery";
import { renderJob } from "@actions-archive/github-simulator/render/job";
import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { jobStatus } from "@actions-archive/github-simulator/world/timeline";
import fc from "fast-check";

import { archiveNext, loadNext } from "./deliver.ts";
import type { LogJobs } from "./log-jobs.ts";
import type { System } from "./system.ts";

type Command = fc.AsyncCommand<LogJobs, System>;
const signal = new AbortController().signal;

type Doing = (model: LogJobs, system: System) => Promise<unknown>;

class MonthEvent implements Command {
  readonly #name: string;
  readonly #run: Doing;
  readonly #isPossible: (model: Readonly<LogJobs>) => boolean;

  constructor(name: string, run: Doing, isPossible: (model: Readonly<LogJobs>) => boolean = () => true) {
    this.#name = name;
    this.#run = run;
    this.#isPossible = isPossible;
  }

  check(model: Readonly<LogJobs>): boolean {
    return this.#isPossible(model);
  }

  async run(model: LogJobs, system: System): Promise<void> {
    await this.#run(model, system);
    await model.check(system);
  }

  toString(): string {
    return this.#name;
  }
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new Error("nothing to choose from");
  return item;
}

type RunFacts = { readonly jobs: number; readonly days: number; readonly isOpen: boolean; readonly isSkipped: boolean };

/** A run, of which the second job failed or was skipped. */
export function addRun(model: LogJobs, simulator: Simulator, { jobs, days, isOpen, isSkipped }: RunFacts): void {
  const names = Array.from({ length: jobs }, (_, index) => ({
    name: `job ${index}`,
    bytes: 3_000,
    ...(index === 1 ? { conclusion: isSkipped ? ("skipped" as const) : ("failure" as const) } : {}),
  }));
  const run = simulator.control.addRun({
    repository: model.name,
    jobs: names,
    state: isOpen ? "in_progress" : "completed",
    completedSecondsAgo: Math.floor(days * daySeconds),
  });
  model.addRun({ ...run, isOpen });
}

const anyIndex = fc.nat({ max: 30 });
const hasRuns = ({ runIds }: Readonly<LogJobs>) => runIds.length > 0;
const hasJobs = ({ jobIds }: Readonly<LogJobs>) => jobIds.length > 0;

const github = [
  fc
    .record({
      jobs: fc.integer({ min: 1, max: 3 }),
      days: fc.constantFrom(0.1, 1, 20),
      isOpen: fc.boolean(),
      isSkipped: fc.boolean(),
    })
    .map(
      (run) =>
        new MonthEvent(
          `a run of ${run.jobs} jobs, ${run.isOpen ? "going on" : `${run.days} days ago`}`,
          async (model, { simulator }) => addRun(model, simulator, run),
        ),
    ),
  anyIndex.map(
    (index) =>
      new MonthEvent(
        `run ${index} ends`,
        async (model, { simulator }) => {
          const runId = at(model.openRunIds, index);
          model.openRunIds.splice(model.openRunIds.indexOf(runId), 1);
          model.addRun({ ...(await simulator.control.completeRun({ runId })), isOpen: false });
        },
        ({ openRunIds }) => openRunIds.length > 0,
      ),
  ),
  fc.record({ index: anyIndex, failedOnly: fc.boolean(), copies: fc.constantFrom("new-ids" as const, "same-ids" as const) }).map(
    ({ index, ...how }) =>
      new MonthEvent(
        `run ${index} is run again (${JSON.stringify(how)})`,
        async (model, { simulator }) => {
          const runId = at(model.runIds, index);
          // GitHub runs again what has ended.
          if (!model.openRunIds.includes(runId)) model.addRun({ ...simulator.control.rerun({ runId, ...how }), isOpen: false });
        },
        hasRuns,
      ),
  ),
  anyIndex.map(
    (index) =>
      new MonthEvent(
        `the logs of run ${index} are deleted`,
        async (model, system) => {
          const runId = at(model.runIds, index);
          await model.loseLogs(system, runId);
          system.simulator.control.deleteLogs({ runId });
        },
        hasRuns,
      ),
  ),
  fc.nat({ max: 3 }).map(
    (index) =>
      new MonthEvent(`the repository is renamed to ${index}`, async (model, { simulator }) => {
        const name = `renamed-${index}`;
        if (model.name.endsWith(name)) return;
        simulator.control.moveRepository({ repository: model.name, name });
        model.name = `${model.name.split("/")[0]}/${name}`;
      }),
  ),
];

const ours = [
  anyIndex.map(
    (index) =>
      new MonthEvent(`a webhook of job ${index}`, (model, system) => tellOf(model, system, at(model.jobIds, index)), hasJobs),
  ),
  fc
    .boolean()
    .map(
      (isFullPass) =>
        new MonthEvent(isFullPass ? "a full pass" : "a poll", (_model, system) =>
          system.act(({ fetcher }) => pollRepository(fetcher, system.repositoryId, { isFullPass, signal })),
        ),
    ),
  fc.constant(new MonthEvent("a slice of a backfill", (model, system) => backfill(model, system))),
  anyIndex.map((index) => new MonthEvent(`a log is archived (${index})`, (_model, system) => archiveNext(system, index))),
  anyIndex.map((index) => new MonthEvent(`rows are loaded (${index})`, (_model, system) => loadNext(system, index))),
  fc.constant(new MonthEvent("a seal", (_model, system) => system.act(({ seal }) => seal()))),
  fc.constant(new MonthEvent("the queue is fed", (_model, system) => system.act(({ fetcher }) => feed(fetcher)))),
];

const faults = [
  fc
    .nat({ max: 25 })
    .map(
      (calls) => new MonthEvent(`the workers die in ${calls} calls`, async (_model, { workers }) => workers.life.dieAfter(calls)),
    ),
  fc.constant(new MonthEvent("the workers start again", (_model, system) => system.restart())),
  fc.constant(new MonthEvent("the queue forgets everything", (_model, system) => system.flushQueue())),
  fc.integer({ min: 1, max: 2 }).map(
    (times) =>
      new MonthEvent(`the store fails ${times} times`, async (_model, { workers }) => {
        workers.life.storeFaults = times;
      }),
  ),
  fc.boolean().map(
    (isDuring) =>
      new MonthEvent(isDuring ? "connections drop during what comes" : "connections drop", async (_model, system) => {
        system.dropsConnections = isDuring;
        if (!isDuring) await system.dropConnections();
      }),
  ),
  fc.constant(new MonthEvent("time passes", (_model, system) => system.passTime())),
];

/** Any of them, those that do the work more often. */
export const anyCommand: fc.Arbitrary<Command>[] = [...github, ...ours, ...ours, ...ours, ...faults];

/** A delivery of GitHub's, of a job that has ended. */
async function tellOf(model: LogJobs, system: System, jobId: number): Promise<void> {
  const { simulator, repositoryId } = system;
  const job = simulator.world.jobs.get(jobId);
  if (job === undefined || jobStatus(job, simulator.clock.nowMs()) !== "completed") return;
  const workflow_job = renderJob(job, simulator.clock.nowMs(), { api: simulator.apiUrl, web: simulator.apiUrl });
  const body = JSON.stringify({ action: "completed", workflow_job, repository: { id: repositoryId, full_name: model.name } });
  await system.act(async ({ fetcher }) => {
    const outcome = await receiveDelivery(fetcher, { guid: randomUUID(), event: "workflow_job", body });
    if (outcome === "recorded" || outcome === "stored") model.of(jobId).isTold = true;
  });
}

/** Of the last 30 days, made by the operator when there is none. */
export async function backfill(model: LogJobs, system: System): Promise<void> {
  const { repositoryId: repository_id } = system;
  if (model.backfillId === undefined) {
    const nowMs = Date.now();
    await system.act(async ({ fetcher }) => {
      model.backfillId = await createBackfill(fetcher.db, {
        askedFor: [model.name],
        since: new Date(nowMs - 30 * daySeconds * 1000),
        until: new Date(nowMs - 120_000),
        repositories: [{ repository_id, full_name: model.name, is_private: false, estimated_runs: 1 }],
      });
    });
  }
  const { backfillId: backfill_id } = model;
  if (backfill_id === undefined) return;
  await system.act(({ fetcher }) => backfillRepository(fetcher, { backfill_id, repository_id }, { signal, sliceMs: 1 }));
}
