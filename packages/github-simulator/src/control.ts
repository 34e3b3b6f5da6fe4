// The control functions, with which a test or an operator scripts the simulated GitHub. Each takes one object; control-origin.ts serves them
// over HTTP.

import type { z } from "zod";

import { type ControlDeps, controlInputs, type Input } from "./control-inputs.ts";
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
import { summarise } from "./summary.ts";

export type Control = ReturnType<typeof createControl>;

export function createControl(deps: ControlDeps) {
  const { world, clock, journal, faults, limits, credentials, webhooks } = deps;
  /** Parses the input with the function's schema, for every caller. */
  const define =
    <Name extends keyof typeof controlInputs, Result>(function_: Name, run: (input: Input<Name>) => Result) =>
    (input: z.input<(typeof controlInputs)[Name]>): Result =>
      // The schema at `Name` yields exactly `Input<Name>`, which TypeScript cannot infer from the index.
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

/** @returns `input` without the keys whose value is undefined. */
function defined<T extends object>(input: T): Defined<T> {
  // Their removal is what the type `Defined` states.
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Defined<T>;
}
