// What a test or an operator can make the simulated GitHub do. Each function takes one object; the same functions are served
// over HTTP by control-origin.ts.

import { z } from "zod";

import type { Clock } from "./clock.ts";
import {
  addTestRun,
  addTestRuns,
  completeRun,
  deleteLogs,
  deleteRun,
  expireLogs,
  findJob,
  findRun,
  rerunRun,
  setLog,
} from "./control-runs.ts";
import { findRepository } from "./control-runs.ts";
import type { EventPump } from "./event-pump.ts";
import type { Credentials } from "./http/credentials.ts";
import { Fault, type Faults } from "./http/faults.ts";
import type { Journal } from "./http/journal.ts";
import type { RateLimits } from "./http/rate-limits.ts";
import type { Webhooks } from "./webhooks.ts";
import type { Builder } from "./world/builder.ts";
import { summarise } from "./world/summary.ts";
import type { World } from "./world/world.ts";

export type ControlDeps = {
  readonly world: World;
  readonly builder: Builder;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly faults: Faults;
  readonly limits: RateLimits;
  readonly credentials: Credentials;
  readonly webhooks: Webhooks;
  readonly pump: EventPump;
};

const id = z.int().positive();
const name = z.string().min(1);
const conclusion = z.enum(["success", "failure", "cancelled", "skipped", "timed_out", "neutral"]);

const lag = {
  lagSeconds: z
    .number()
    .nonnegative()
    .default(0)
    .describe("simulated seconds from the run's end to the job's, as the API shows it"),
  lagShows: z.enum(["in_progress", "missing"]).default("in_progress").describe("what the API shows of the job until then"),
};
const laggingJobs = z
  .array(z.object({ name, ...lag }))
  .default([])
  .describe("jobs that lag behind the run");
const time = z.iso.datetime({ offset: true });
const runFacts = {
  repository: name.describe("owner/name; made when it is not there"),
  workflow: name.optional(),
  event: name.optional(),
  jobs: z
    .array(z.object({ name, conclusion: conclusion.optional(), bytes: z.int().nonnegative().optional(), ...lag }))
    .default([{ name: "build", lagSeconds: 0, lagShows: "in_progress" }]),
  state: z.enum(["queued", "in_progress", "completed"]).default("completed"),
  completedSecondsAgo: z.number().nonnegative().default(0),
  durationSeconds: z.number().positive().default(60),
  createdAt: time.optional().describe("instead of completedSecondsAgo: jobs start 5 s later, and end as the clock gets there"),
  listedAs: time.optional().describe("its place in lists is that of a run created then; created_at stays"),
  listedAfterSeconds: z.number().nonnegative().default(0).describe("lists leave the run out for so long"),
};

/** Arguments of every function, also shown by `GET /` of the control host. */
export const controlInputs = {
  addFault: Fault,
  listFaults: z.object({}),
  clearFaults: z.object({ id: name.optional() }),
  assertFaultsHit: z.object({}).describe("fails when a fault hit no request"),
  journal: z.object({
    origin: z.enum(["api", "log", "control"]).optional(),
    method: name.optional(),
    url: name.optional().describe("part of the URL"),
    status: z.int().optional(),
    after: z.int().optional(),
  }),
  clearJournal: z.object({}),
  world: z.object({ expected: z.boolean().default(true).describe("with hashes: reads every log once") }),
  advanceClock: z.object({ ms: z.number().nonnegative() }),
  setClockSpeed: z.object({ speed: z.number().nonnegative() }),
  addRun: z.object({ ...runFacts, runId: id.optional().describe("without one, ids grow with created_at") }),
  addRuns: z.object({ ...runFacts, count: z.int().positive().max(10_000) }),
  completeRun: z.object({ runId: id, conclusion: conclusion.default("success"), jobs: laggingJobs }),
  rerun: z.object({
    runId: id,
    failedOnly: z.boolean().default(false),
    copies: z.enum(["new-ids", "same-ids"]).default("new-ids"),
    state: z.enum(["in_progress", "completed"]).default("completed").describe("completed: it ran in no time"),
    conclusion: conclusion.default("success"),
    jobs: laggingJobs,
  }),
  deleteRun: z.object({
    runId: id,
    oncePaged: z.boolean().default(false).describe("right after a page of a list showed it that is not the last"),
  }),
  deleteLogs: z.object({ runId: id }),
  expireLogs: z.object({ runId: id }),
  setLog: z.object({
    jobId: id,
    text: z.string().optional(),
    base64: z.string().optional(),
    kind: z.enum(["not-found", "expired", "blob-missing"]).optional(),
    ofJobId: id.optional().describe("the job whose log is served instead"),
  }),
  moveRepository: z.object({ repository: name, name: name.optional(), owner: name.optional() }),
  hideRepository: z.object({ repository: name, hidden: z.boolean().default(true) }),
  addRepository: z.object({ repository: name }),
  addToken: z.object({
    token: name,
    id: name.optional(),
    repositories: z.array(name).optional(),
    canReadActions: z.boolean().optional(),
  }),
  revokeToken: z.object({ token: name }),
  revokeInstallation: z.object({ installationId: id }),
  setRateLimit: z.object({
    token: name,
    remaining: z.int().nonnegative(),
    resetInSeconds: z.number().nonnegative().default(3_600),
  }),
  secondaryLimit: z.object({
    times: z.int().positive().default(1),
    status: z.union([z.literal(403), z.literal(429)]).default(403),
    retryAfter: z.string().optional().describe("seconds or a date; without it no such header is sent"),
  }),
  setWebhook: z.object({ url: z.url(), secret: name }),
  sendWebhook: z.object({
    jobId: id.optional(),
    runId: id.optional(),
    action: z.enum(["queued", "requested", "in_progress", "completed"]).default("completed"),
    times: z.int().positive().default(1),
    forged: z.boolean().default(false),
  }),
  dropWebhooks: z.object({ next: z.int().nonnegative() }),
  holdWebhooks: z.object({}),
  releaseWebhooks: z.object({ order: z.enum(["forward", "reverse"]).default("forward") }),
};

type Inputs = typeof controlInputs;
type Input<Name extends keyof Inputs> = z.output<Inputs[Name]>;
export type Control = ReturnType<typeof createControl>;

export function createControl(deps: ControlDeps) {
  const { world, clock, journal, faults, limits, credentials, webhooks } = deps;
  /** Parses the input with the function's own schema, whoever calls. */
  const define =
    <Name extends keyof Inputs, Result>(function_: Name, run: (input: Input<Name>) => Result) =>
    (input: z.input<Inputs[Name]>): Result =>
      // The schema at `Name` yields exactly `Input<Name>`; TypeScript cannot follow the index.
      run(controlInputs[function_].parse(input) as Input<Name>);
  return {
    addFault: define("addFault", (fault) => faults.add(fault)),
    listFaults: define("listFaults", () => faults.list()),
    clearFaults: define("clearFaults", (input) => faults.clear(input.id)),
    assertFaultsHit: define("assertFaultsHit", () => faults.assertHit()),
    journal: define("journal", (filter) => journal.entries(defined(filter))),
    clearJournal: define("clearJournal", () => journal.clear()),
    world: define("world", (input) => summarise(world, { nowMs: clock.nowMs(), withExpected: input.expected })),
    advanceClock: define("advanceClock", ({ ms }) => {
      clock.advance(ms);
      return { now: clock.now().toISOString() };
    }),
    setClockSpeed: define("setClockSpeed", ({ speed }) => clock.setSpeed(speed)),
    addRun: define("addRun", (input) => addTestRun(deps, input)),
    addRuns: define("addRuns", (input) => addTestRuns(deps, input)),
    completeRun: define("completeRun", (input) => completeRun(deps, input)),
    rerun: define("rerun", (input) => rerunRun(deps, input)),
    deleteRun: define("deleteRun", (input) => deleteRun(deps, input)),
    deleteLogs: define("deleteLogs", ({ runId }) => deleteLogs(deps, runId)),
    expireLogs: define("expireLogs", ({ runId }) => expireLogs(deps, runId)),
    setLog: define("setLog", (input) => setLog(deps, input)),
    moveRepository: define("moveRepository", (input) => {
      const owner = input.owner === undefined ? {} : { owner: deps.builder.owner(input.owner) };
      world.moveRepository(findRepository(deps, input.repository), {
        ...owner,
        ...(input.name === undefined ? {} : { name: input.name }),
      });
    }),
    hideRepository: define("hideRepository", (input) => {
      findRepository(deps, input.repository).hidden = input.hidden;
    }),
    addRepository: define("addRepository", ({ repository }) => {
      const [login = "", repositoryName = ""] = repository.split("/");
      return { id: deps.builder.repository(deps.builder.owner(login), repositoryName).id };
    }),
    addToken: define("addToken", (input) => ({ id: credentials.addToken(defined(input)).id })),
    revokeToken: define("revokeToken", ({ token }) => credentials.revoke(token)),
    revokeInstallation: define("revokeInstallation", ({ installationId }) => credentials.revokeInstallation(installationId)),
    setRateLimit: define("setRateLimit", ({ token, remaining, resetInSeconds }) => {
      const credential = credentials.find(token);
      if (credential === undefined) throw new RangeError("no such token");
      limits.setRemaining(credential, remaining, resetInSeconds * 1000);
    }),
    secondaryLimit: define("secondaryLimit", (input) => limits.orderSecondary(defined(input))),
    setWebhook: define("setWebhook", (input) => webhooks.configure(input)),
    sendWebhook: define("sendWebhook", (input) => sendWebhook(deps, input)),
    dropWebhooks: define("dropWebhooks", ({ next }) => webhooks.drop(next)),
    holdWebhooks: define("holdWebhooks", () => webhooks.hold()),
    releaseWebhooks: define("releaseWebhooks", ({ order }) => webhooks.release(order)),
  };
}

async function sendWebhook(deps: ControlDeps, { jobId, runId, action, times, forged }: Input<"sendWebhook">): Promise<void> {
  if (jobId !== undefined) {
    if (action === "requested") throw new RangeError("a workflow_job event has no action `requested`");
    await deps.webhooks.jobEvent(findJob(deps, jobId), action, { times, forged });
  } else if (runId !== undefined) {
    if (action === "queued") throw new RangeError("a workflow_run event has no action `queued`");
    await deps.webhooks.runEvent(findRun(deps, runId), action, { times, forged });
  } else throw new RangeError("give jobId or runId");
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the keys whose value is undefined. */
function defined<T extends object>(input: T): Defined<T> {
  // Removing them is what the type says.
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Defined<T>;
}
