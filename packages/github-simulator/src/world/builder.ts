// Creates owners, repositories, runs and jobs with ids that grow with time, as GitHub's do. Patterns and tests specify only what is special
// about a run.

import type { LogSizeOptions } from "../options.ts";
import { createRandom, hexOf, type Random } from "../random.ts";
import type { Attempt, Conclusion, Job, Log, LogStyle, Owner, Repository, Run, Runner, StepShape } from "./model.ts";
import { fullNameOf, type World } from "./world.ts";

export type RunDraft = {
  readonly repository: Repository;
  readonly createdAtMs: number;
  /** Undefined: grows with `createdAtMs`. */
  readonly id?: number;
  readonly listedAsMs?: number;
  readonly listedFromMs?: number;
  readonly workflow?: string;
  readonly event?: string;
  readonly headBranch?: string | null;
  readonly headRepository?: Repository | null;
  readonly actor?: Owner;
  readonly retentionDays?: number;
  readonly emptyConclusion?: "action_required" | "startup_failure";
  readonly referencedWorkflows?: Run["referencedWorkflows"];
};

export type JobDraft = {
  readonly name: string;
  readonly conclusion?: Conclusion | null;
  /** From the attempt's start to the runner's start. */
  readonly queueMs?: number;
  /** Duration; null: it runs until it is completed explicitly. */
  readonly durationMs?: number | null;
  readonly labels?: readonly string[];
  readonly runner?: Runner | null;
  readonly steps?: Partial<StepShape>;
  readonly log?: Log;
  readonly bytes?: number;
  readonly style?: Partial<LogStyle>;
  readonly overrides?: Readonly<Record<string, unknown>>;
};

// 2020-01-01: ids then grow by some hundreds a second, as large as GitHub's today.
const idEpochMs = 1_577_836_800_000;

export class Builder {
  readonly world: World;
  readonly seed: number;
  readonly #logs: LogSizeOptions;

  constructor(world: World, seed: number, logs: LogSizeOptions) {
    this.world = world;
    this.seed = seed;
    this.#logs = logs;
  }

  owner(login: string, type: Owner["type"] = "Organization"): Owner {
    return this.world.findOwner(login) ?? this.world.addOwner({ id: this.#idFrom(20_000_000, "owner", login), login, type });
  }

  repository(
    owner: Owner,
    name: string,
    facts: Partial<Pick<Repository, "private" | "retentionDays" | "stepTimes" | "createdAtMs">> = {},
  ): Repository {
    const random = createRandom(this.seed, "repository", owner.login, name);
    const workflows = [
      { name: "CI", path: ".github/workflows/ci.yml" },
      { name: "Release", path: ".github/workflows/release.yml" },
      { name: "Nightly", path: ".github/workflows/nightly.yaml" },
    ].map((workflow) => ({ ...workflow, id: this.#idFrom(90_000_000, "workflow", owner.login, name, workflow.path) }));
    const stepTimes = random.pick([
      { form: "milliseconds" },
      { form: "milliseconds" },
      { form: "plain" },
      { form: "zone", minutes: -480 },
      { form: "zone", minutes: 330 },
    ] as const);
    return this.world.addRepository({
      id: this.#idFrom(400_000_000, "repository", owner.login, name),
      owner,
      name,
      private: random.chance(0.5),
      createdAtMs: Date.UTC(2021, random.int(0, 11), random.int(1, 28)),
      defaultBranch: "main",
      workflows,
      stepTimes,
      retentionDays: 90,
      hidden: false,
      runs: [],
      ...facts,
    });
  }

  /** Creates a run with an empty first attempt; add jobs with `job`. */
  run(draft: RunDraft): Run {
    const { repository, createdAtMs } = draft;
    const number = repository.runs.length + 1;
    const key = [this.seed, repository.id, number] as const;
    const random = createRandom("run", ...key);
    const workflow = repository.workflows.find((each) => each.name === (draft.workflow ?? "CI")) ?? repository.workflows[0];
    if (workflow === undefined) throw new RangeError(`repository ${fullNameOf(repository)} has no workflow`);
    const actor = draft.actor ?? this.owner(random.pick(["mona", "hubot", "ada-l", "grace-h"]), "User");
    const event = draft.event ?? random.pick(["push", "push", "pull_request", "schedule", "workflow_dispatch"]);
    return this.world.addRun({
      id: this.#runId(draft),
      repository,
      nameThen: fullNameOf(repository),
      number,
      workflow,
      event,
      title: random.pick(["Fix the parser", "Update dependencies", "Add retries", "Tidy the README", "Ünïcode in a title ✓"]),
      actor,
      headBranch:
        draft.headBranch === undefined
          ? event === "pull_request"
            ? `feature-${number}`
            : repository.defaultBranch
          : draft.headBranch,
      headSha: hexOf(40, "sha", ...key),
      headRepository: draft.headRepository === undefined ? repository : draft.headRepository,
      referencedWorkflows: draft.referencedWorkflows ?? [],
      createdAtMs,
      ...(draft.listedAsMs === undefined ? {} : { listedAsMs: draft.listedAsMs }),
      ...(draft.listedFromMs === undefined ? {} : { listedFromMs: draft.listedFromMs }),
      ...(draft.retentionDays === undefined ? {} : { retentionDays: draft.retentionDays }),
      ...(draft.emptyConclusion === undefined ? {} : { emptyConclusion: draft.emptyConclusion }),
      attempts: [{ number: 1, createdAtMs, triggeringActor: actor, jobs: [] }],
      deleted: false,
      logsDeleted: false,
    });
  }

  /** Creates a job of the run's latest attempt. By default it succeeds on a hosted runner. */
  job(run: Run, draft: JobDraft): Job {
    const attempt = latestAttempt(run);
    const seed = [this.seed, run.id, attempt.number, attempt.jobs.length, draft.name].join("/");
    const random = createRandom(seed);
    const runner = draft.runner === undefined ? hostedRunner(random) : draft.runner;
    // Not a whole number of seconds: GitHub rounds what it shows, and an archiver must handle that.
    const startedAtMs = attempt.createdAtMs + (draft.queueMs ?? random.int(6_000, 40_000)) + random.next() * 999;
    const durationMs = draft.durationMs === undefined ? random.int(45_000, 420_000) : draft.durationMs;
    const job: Job = {
      id: this.world.takeId(((attempt.createdAtMs - idEpochMs) / 1000) * 500 + attempt.jobs.length * 7 + 9_000_000),
      run,
      attempt: attempt.number,
      name: draft.name,
      seed,
      createdAtMs: attempt.createdAtMs + 1_000,
      startedAtMs,
      completedAtMs: durationMs === null ? null : startedAtMs + durationMs,
      conclusion: durationMs === null ? null : (draft.conclusion ?? "success"),
      labels: draft.labels ?? ["ubuntu-24.04"],
      runner,
      stepShape: { kind: "full", mainName: "", ...draft.steps },
      log: draft.log ?? {
        kind: "generated",
        bytes: draft.bytes ?? this.#logBytes(random),
        style: { ...styleOf(random), ...draft.style },
      },
      ...(draft.overrides === undefined ? {} : { overrides: draft.overrides }),
    };
    attempt.jobs.push(job);
    return this.world.addJob(job);
  }

  /** Creates a job that never had a runner: skipped, cancelled in the queue, or a check run listed as a job. */
  jobWithoutRunner(run: Run, draft: JobDraft & { readonly conclusion: Conclusion }): Job {
    return this.job(run, { queueMs: 1_000, durationMs: 0, labels: [], ...draft, runner: null, log: { kind: "not-found" } });
  }

  // Log-normal around the median. The tail's mean follows from its share of the bytes.
  #logBytes(random: Random): number {
    const { medianBytes, tailShareOfLogs, tailShareOfBytes, capBytes } = this.#logs;
    const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
    const sigma = 0.9;
    const body = medianBytes * Math.exp(sigma * normal);
    if (!random.chance(tailShareOfLogs)) return Math.round(Math.min(body, medianBytes * 12, capBytes));
    const bodyMean = medianBytes * Math.exp((sigma * sigma) / 2);
    const tailMean = (bodyMean * (1 - tailShareOfLogs) * tailShareOfBytes) / (tailShareOfLogs * (1 - tailShareOfBytes));
    return Math.round(Math.min(tailMean * (0.5 + random.next()), capBytes));
  }

  #runId({ id, createdAtMs }: RunDraft): number {
    const taken = this.world.takeId(id ?? ((createdAtMs - idEpochMs) / 1000) * 130 + 4_000_000);
    if (id !== undefined && taken !== id) throw new RangeError(`id ${id} is taken`);
    return taken;
  }

  #idFrom(base: number, ...key: readonly (string | number)[]): number {
    return this.world.takeId(base + Number.parseInt(hexOf(7, this.seed, ...key), 16));
  }
}

export function latestAttempt(run: Run): Attempt {
  const attempt = run.attempts.at(-1);
  if (attempt === undefined) throw new RangeError(`run ${run.id} has no attempt`);
  return attempt;
}

/** @returns the end of the last job of the run's latest attempt; its creation when none ever ends. */
export function endOf(run: Run): number {
  const attempt = latestAttempt(run);
  return Math.max(attempt.createdAtMs, ...attempt.jobs.map((job) => job.completedAtMs ?? attempt.createdAtMs));
}

function hostedRunner(random: Random): Runner {
  const id = random.int(1_000_000_000, 1_099_999_999);
  return { id, name: `GitHub Actions ${id}`, groupId: random.chance(0.5) ? 0 : 2, groupName: "GitHub Actions" };
}

// Frequencies of measured logs: CRLF 1 in 5, NUL 1 in 28, lines without a time 1 in 5.
function styleOf(random: Random): LogStyle {
  return {
    bom: random.chance(0.8),
    crlf: random.chance(0.1),
    nul: random.chance(0.04),
    untimedLines: random.chance(0.2),
    finalNewline: random.chance(0.4),
    waitingLines: random.chance(0.6),
    endMarker: true,
    longLine: 0,
    nestedGroups: random.chance(0.1),
  };
}
