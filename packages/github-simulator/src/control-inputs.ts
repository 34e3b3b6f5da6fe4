// Schemas of the arguments of the control functions, and the dependencies of those functions.

import { z } from "zod";

import type { Clock } from "./clock.ts";
import type { Credentials } from "./credentials.ts";
import type { EventPump } from "./event-pump.ts";
import { Fault, type Faults } from "./http/faults.ts";
import type { Journal } from "./http/journal.ts";
import type { RateLimits } from "./http/rate-limits.ts";
import type { Webhooks } from "./webhooks.ts";
import type { Builder } from "./world/builder.ts";
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

/** Arguments of every function, also listed by `GET /` of the control host. */
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

/** The parsed argument of a function. */
export type Input<Name extends keyof typeof controlInputs> = z.output<(typeof controlInputs)[Name]>;
