// The simulated GitHub of a scenario: small, always the same, with labels for its runs and jobs. Ids depend on the clock and differ
// between simulators; labels do not.

import { daySeconds, hourSeconds } from "@actions-archive/core/durations";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { Builder } from "@actions-archive/github-simulator/world/builder";

export const repository = "octo-org/api";

const jobBytes = 2_000;
const logSizes = { medianBytes: jobBytes, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: jobBytes };

/** `jobs`: every kind of run and log. `pages`: more runs than fit a page of the list, 30 of them in the same second. */
export const worldNames = ["jobs", "pages"] as const;
export type WorldName = (typeof worldNames)[number];

export type SmallWorld = AsyncDisposable & {
  readonly simulator: Simulator;
  readonly repositoryId: number;
  readonly labels: Labels;
  /** After the first pass: the open run completes, another run is rerun, and a new run completes. */
  readonly moveOn: () => Promise<void>;
};

/** Labels of runs and jobs, by id. */
export type Labels = {
  readonly runs: ReadonlyMap<number, string>;
  readonly jobs: ReadonlyMap<number, string>;
};

/** Starts a simulator with a small world. */
export async function startSmallWorld(name: WorldName): Promise<SmallWorld> {
  await using stack = new AsyncDisposableStack();
  const simulator = stack.use(
    await startSimulator({ seed: 1, scenario: "empty", logs: logSizes, rateLimits: { perHour: 1_000_000 } }),
  );
  const { id: repositoryId } = simulator.control.addRepository({ repository });
  const world = new WorldBuilder(simulator);
  if (name === "jobs") await addCases(world);
  else addPages(world);
  const opened = stack.move();
  return {
    simulator,
    repositoryId,
    labels: world,
    moveOn: () => moveOn(world, name === "jobs" ? "matrix" : "yesterday"),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

type RunFacts = Omit<Parameters<Simulator["control"]["addRun"]>[0], "repository">;

class WorldBuilder implements Labels {
  readonly runs = new Map<number, string>();
  readonly jobs = new Map<number, string>();
  readonly simulator: Simulator;
  readonly builder: Builder;

  constructor(simulator: Simulator) {
    this.simulator = simulator;
    this.builder = new Builder(simulator.world, 1, logSizes);
  }

  addRun(label: string, facts: RunFacts = {}): number {
    const jobs = (facts.jobs ?? [{ name: "build" }]).map((job) => ({ bytes: jobBytes, ...job }));
    const { runId } = this.simulator.control.addRun({ repository, completedSecondsAgo: daySeconds, ...facts, jobs });
    this.label(label, runId);
    return runId;
  }

  /** Labels the run and the jobs that it has by now. */
  label(label: string, runId: number): void {
    this.runs.set(runId, label);
    for (const { number, jobs } of this.simulator.world.runs.get(runId)?.attempts ?? [])
      for (const { id, name } of jobs) if (!this.jobs.has(id)) this.jobs.set(id, `${label}.${number} ${name}`);
  }

  labelled(label: string): number {
    const found = [...this.runs].find(([, each]) => each === label);
    if (found === undefined) throw new RangeError(`no run is labelled ${label}`);
    return found[0];
  }
}

async function addCases(world: WorldBuilder): Promise<void> {
  const { control } = world.simulator;
  const expired = world.addRun("expired", { completedSecondsAgo: 85 * daySeconds });
  control.expireLogs({ runId: expired });
  world.addRun("old", { completedSecondsAgo: 40 * daySeconds, jobs: [{ name: "a" }, { name: "b" }] });
  const deleted = world.addRun("deleted", { completedSecondsAgo: 10 * daySeconds });
  control.deleteLogs({ runId: deleted });
  addWithoutJobs(world, "no-job", 6 * daySeconds);
  addMatrix(world);
  const rerun = world.addRun("rerun", {
    completedSecondsAgo: 3 * daySeconds,
    jobs: [{ name: "a" }, { name: "b", conclusion: "failure" }],
  });
  control.rerun({ runId: rerun, failedOnly: true });
  world.label("rerun", rerun);
  const burst = control.addRuns({
    repository,
    count: 3,
    completedSecondsAgo: 2 * daySeconds,
    jobs: [{ name: "build", bytes: jobBytes }],
  });
  for (const [index, { runId }] of burst.entries()) world.label(`burst-${index + 1}`, runId);
  world.addRun("open", { state: "in_progress" });
  world.addRun("fresh", { completedSecondsAgo: 30 });
}

// Next to one job of each usual kind, a job that was cancelled before a runner took it.
function addMatrix(world: WorldBuilder): void {
  const runId = world.addRun("matrix", {
    completedSecondsAgo: 5 * daySeconds,
    jobs: [{ name: "test (1)" }, { name: "test (2)", conclusion: "failure" }, { name: "deploy", conclusion: "skipped" }],
  });
  const run = world.simulator.world.runs.get(runId);
  if (run === undefined) throw new RangeError("no matrix run");
  world.builder.jobWithoutRunner(run, { name: "never-ran", conclusion: "cancelled", labels: ["ubuntu-24.04"] });
  world.label("matrix", runId);
}

function addWithoutJobs(world: WorldBuilder, label: string, secondsAgo: number): void {
  const { builder, simulator } = world;
  const owner = simulator.world.findRepository(repository)?.repository;
  if (owner === undefined) throw new RangeError(`no repository ${repository}`);
  const run = builder.run({
    repository: owner,
    createdAtMs: Math.floor(simulator.clock.nowMs() / 1_000 - secondsAgo) * 1_000,
    emptyConclusion: "startup_failure",
  });
  world.label(label, run.id);
}

// The first page ends among the runs of the same second.
function addPages(world: WorldBuilder): void {
  const { clock, control } = world.simulator;
  world.addRun("old", { completedSecondsAgo: 40 * daySeconds });
  const burstSecondsAgo = 20 * daySeconds;
  for (let run = 1; run <= 28; run += 1) addWithoutJobs(world, `burst-${run}`, burstSecondsAgo);
  const createdAt = new Date(Math.floor(clock.nowMs() / 1_000 - burstSecondsAgo) * 1_000).toISOString();
  const burst = control.addRuns({ repository, count: 2, createdAt, jobs: [{ name: "build", bytes: jobBytes }] });
  for (const [index, { runId }] of burst.entries()) world.label(`burst-with-job-${index + 1}`, runId);
  for (let run = 1; run <= 75; run += 1) addWithoutJobs(world, `hourly-${run}`, 12 * daySeconds - run * hourSeconds);
  world.addRun("yesterday", { completedSecondsAgo: daySeconds });
  world.addRun("open", { state: "in_progress" });
  world.addRun("fresh", { completedSecondsAgo: 30 });
}

async function moveOn(world: WorldBuilder, rerunLabel: string): Promise<void> {
  const { control } = world.simulator;
  await control.completeRun({ runId: world.labelled("open") });
  const runId = world.labelled(rerunLabel);
  control.rerun({ runId });
  world.label(rerunLabel, runId);
  world.addRun("new", { completedSecondsAgo: 0 });
}
