// The commands of the model test, in any order: events at GitHub, deliveries, the workers' operations, and faultCommands. The model is checked
// after each command.

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

type Action = (model: LogJobs, system: System) => Promise<unknown>;

class ModelCommand implements Command {
  readonly #name: string;
  readonly #run: Action;
  readonly #isPossible: (model: Readonly<LogJobs>) => boolean;

  constructor(name: string, run: Action, isPossible: (model: Readonly<LogJobs>) => boolean = () => true) {
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

/** Adds a run whose second job failed or was skipped. */
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

const githubCommands = [
  fc
    .record({
      jobs: fc.integer({ min: 1, max: 3 }),
      days: fc.constantFrom(0.1, 1, 20),
      isOpen: fc.boolean(),
      isSkipped: fc.boolean(),
    })
    .map(
      (run) =>
        new ModelCommand(
          `a run of ${run.jobs} jobs, ${run.isOpen ? "going on" : `${run.days} days ago`}`,
          async (model, { simulator }) => addRun(model, simulator, run),
        ),
    ),
  anyIndex.map(
    (index) =>
      new ModelCommand(
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
      new ModelCommand(
        `run ${index} is rerun (${JSON.stringify(how)})`,
        async (model, { simulator }) => {
          const runId = at(model.runIds, index);
          // GitHub reruns completed runs only.
          if (!model.openRunIds.includes(runId)) model.addRun({ ...simulator.control.rerun({ runId, ...how }), isOpen: false });
        },
        hasRuns,
      ),
  ),
  anyIndex.map(
    (index) =>
      new ModelCommand(
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
      new ModelCommand(`the repository is renamed to ${index}`, async (model, { simulator }) => {
        const name = `renamed-${index}`;
        if (model.name.endsWith(name)) return;
        simulator.control.moveRepository({ repository: model.name, name });
        model.name = `${model.name.split("/")[0]}/${name}`;
      }),
  ),
];

const workerCommands = [
  anyIndex.map(
    (index) =>
      new ModelCommand(
        `a webhook of job ${index}`,
        (model, system) => deliverWebhook(model, system, at(model.jobIds, index)),
        hasJobs,
      ),
  ),
  fc
    .boolean()
    .map(
      (isFullPass) =>
        new ModelCommand(isFullPass ? "a full pass" : "a poll", (_model, system) =>
          system.perform(({ fetcher }) => pollRepository(fetcher, system.repositoryId, { isFullPass, signal })),
        ),
    ),
  fc.constant(new ModelCommand("a slice of a backfill", (model, system) => backfill(model, system))),
  anyIndex.map((index) => new ModelCommand(`a log is archived (${index})`, (_model, system) => archiveNext(system, index))),
  anyIndex.map((index) => new ModelCommand(`rows are loaded (${index})`, (_model, system) => loadNext(system, index))),
  fc.constant(new ModelCommand("a seal", (_model, system) => system.perform(({ seal }) => seal()))),
  fc.constant(new ModelCommand("the queue is fed", (_model, system) => system.perform(({ fetcher }) => feed(fetcher)))),
];

const faultCommands = [
  fc
    .nat({ max: 25 })
    .map(
      (calls) =>
        new ModelCommand(`the workers crash in ${calls} calls`, async (_model, { workers }) => workers.lifetime.dieAfter(calls)),
    ),
  fc.constant(new ModelCommand("the workers start again", (_model, system) => system.restart())),
  fc.constant(new ModelCommand("the queue loses everything", (_model, system) => system.flushQueue())),
  fc.integer({ min: 1, max: 2 }).map(
    (times) =>
      new ModelCommand(`the store fails ${times} times`, async (_model, { workers }) => {
        workers.lifetime.storeFaults = times;
      }),
  ),
  fc.boolean().map(
    (isDuring) =>
      new ModelCommand(isDuring ? "connections drop during the next operation" : "connections drop", async (_model, system) => {
        system.dropsConnections = isDuring;
        if (!isDuring) await system.dropConnections();
      }),
  ),
  fc.constant(new ModelCommand("time passes", (_model, system) => system.passTime())),
];

/** Every command, with the workers' operations weighted threefold. */
export const anyCommand: fc.Arbitrary<Command>[] = [
  ...githubCommands,
  ...workerCommands,
  ...workerCommands,
  ...workerCommands,
  ...faultCommands,
];

/** Delivers a webhook for a job, if it has completed. */
async function deliverWebhook(model: LogJobs, system: System, jobId: number): Promise<void> {
  const { simulator, repositoryId } = system;
  const job = simulator.world.jobs.get(jobId);
  if (job === undefined || jobStatus(job, simulator.clock.nowMs()) !== "completed") return;
  const workflow_job = renderJob(job, simulator.clock.nowMs(), { api: simulator.apiUrl, web: simulator.apiUrl });
  const body = JSON.stringify({ action: "completed", workflow_job, repository: { id: repositoryId, full_name: model.name } });
  await system.perform(async ({ fetcher }) => {
    const outcome = await receiveDelivery(fetcher, { guid: randomUUID(), event: "workflow_job", body });
    if (outcome === "recorded" || outcome === "stored") model.of(jobId).wasDelivered = true;
  });
}

/** Performs a slice of a backfill of the last 30 days, which is created when there is none. */
export async function backfill(model: LogJobs, system: System): Promise<void> {
  const { repositoryId: repository_id } = system;
  if (model.backfillId === undefined) {
    const nowMs = Date.now();
    await system.perform(async ({ fetcher }) => {
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
  await system.perform(({ fetcher }) => backfillRepository(fetcher, { backfill_id, repository_id }, { signal, sliceMs: 1 }));
}
