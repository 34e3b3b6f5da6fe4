// The client on a GitHub that behaves: everything there is, found and downloaded, on both faces; faults on the way; and the
// journal as the judge of where the credential went.

import { createHash } from "node:crypto";

import { PermanentError } from "@actions-archive/core/errors";
import { createLogger } from "@actions-archive/core/logger";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { expect, test } from "vitest";

import type { Credentials } from "./credentials/credential-store.ts";
import { listInstallationRepositories } from "./endpoints/repositories.ts";
import { getLogRetention, getRepository, listOwnerRepositories } from "./endpoints/repositories.ts";
import { getMeta, getRateLimit } from "./endpoints/server.ts";
import { getJob, listJobsForRun, listJobsForRunAttempt } from "./endpoints/workflow-jobs.ts";
import { getRun, getRunAttempt, listAllRuns, listRuns } from "./endpoints/workflow-runs.ts";
import { type GitHub, openGitHub } from "./github.ts";
import { requestJobLog } from "./log/job-log.ts";
import type { WorkflowJob } from "./schemas.ts";
import { parseLogHosts } from "./transport/log-hosts.ts";
import { createProcessBudget } from "./transport/process-budget.ts";

function open(simulator: Simulator, credentials: Credentials = { kind: "token", token: simulator.token }): GitHub {
  return openGitHub({
    apiUrl: new URL(simulator.apiUrl),
    credentials,
    logHosts: parseLogHosts(simulator.logOrigin),
    budget: createProcessBudget(),
    log: createLogger("test", "silent"),
  });
}

function firstRepository({ world }: Simulator): number {
  const [repository] = world.repositories;
  if (repository === undefined) throw new Error("the world is empty");
  return repository.id;
}

/** Every job of every attempt of a repository, by attempt. */
async function findJobs(github: GitHub, repository: string): Promise<WorkflowJob[]> {
  const jobs = new Map<number, WorkflowJob>();
  for await (const runs of listAllRuns(github, { repository })) {
    for (const run of runs.data) {
      for (let runAttempt = 1; runAttempt <= (run.run_attempt ?? 1); runAttempt++) {
        const pages = listJobsForRunAttempt(github, { repository, runId: run.id, runAttempt });
        for await (const page of pages) for (const job of page.data) jobs.set(job.id, job);
      }
    }
  }
  return [...jobs.values()];
}

async function sha256OfLog(github: GitHub, repository: string, jobId: number): Promise<string> {
  const answer = await requestJobLog(github, { repository, jobId });
  if (answer.kind !== "log") return answer.kind;
  const hash = createHash("sha256");
  for await (const chunk of answer.body) hash.update(chunk);
  return hash.digest("hex");
}

test.each(["github.com", "ghes"] as const)(
  "every job and every log of a %s is found, byte by byte, and the log host sees no credential",
  async (face) => {
    await using simulator = await startSimulator({ face, scenario: "demo" });
    await using github = open(simulator);
    const truth = await simulator.control.world({});
    const repositories: string[] = [];
    for (const owner of ["octo-org", "acme"]) {
      for await (const page of listOwnerRepositories(github, { owner }))
        repositories.push(...page.data.map((found) => found.full_name));
    }
    const found = new Map<number, string>();
    for (const repository of repositories) {
      for (const job of await findJobs(github, repository)) {
        const isAsked = job.status === "completed" && job.conclusion !== "skipped";
        found.set(job.id, isAsked ? await sha256OfLog(github, repository, job.id) : String(job.status));
      }
    }
    const expected = truth.jobs.filter((job) => job.expected?.state === "archived");
    expect(expected.length).toBeGreaterThan(200);
    const wrong = expected.filter((job) => job.expected?.state === "archived" && found.get(job.jobId) !== job.expected.rawSha256);
    expect(wrong).toEqual([]);
    expect(simulator.journal.entries({ origin: "log" }).filter((entry) => entry.hasAuthorization)).toEqual([]);
    expect(simulator.journal.entries({ origin: "api" }).filter((entry) => !entry.hasAuthorization)).toEqual([]);
  },
);

test("an App finds the repositories of its installations, each with its own credential", async () => {
  await using simulator = await startSimulator({
    scenario: "demo",
    app: { id: 77, installations: [{ owner: "octo-org" }, { owner: "acme" }] },
  });
  const privateKey = simulator.app?.privateKey ?? "";
  await using github = open(simulator, { kind: "app", appId: "77", privateKey });
  const names: string[] = [];
  for await (const page of listInstallationRepositories(github))
    names.push(...page.data.map((repository) => repository.full_name));
  expect(names).toContain("acme/shop");
  for (const repository of names) await listRuns(github, { repository, perPage: 1 });
  const users = new Set(simulator.journal.entries({ origin: "api", url: "/actions/runs" }).map((entry) => entry.credential));
  expect(users.size).toBe(2);
  expect(simulator.journal.entries({ url: "/access_tokens" })).toHaveLength(2);
});

test("runs and attempts are returned as GitHub sends them, and a renamed repository by its old name", async () => {
  await using simulator = await startSimulator({ scenario: "demo" });
  await using github = open(simulator);
  expect((await getRepository(github, { repository: "acme/legacy-shop" })).data.full_name).toBe("acme/shop");
  const runs = await listRuns(github, { repository: "acme/legacy-shop" });
  const rerun = runs.data.find((run) => (run.run_attempt ?? 1) > 1);
  if (rerun === undefined) throw new Error("no run was run again");
  const repository = "acme/shop";
  expect((await getRun(github, { repository, runId: rerun.id })).data.run_attempt).toBe(rerun.run_attempt);
  expect((await getRunAttempt(github, { repository, runId: rerun.id, runAttempt: 1 })).data.run_attempt).toBe(1);
  const ids = { all: new Set<number>(), latest: new Set<number>() };
  for (const filter of ["all", "latest"] as const) {
    for await (const page of listJobsForRun(github, { repository, runId: rerun.id, filter }))
      for (const job of page.data) ids[filter].add(job.id);
  }
  expect(ids.all.size).toBeGreaterThan(ids.latest.size);
  expect(ids.latest.isSubsetOf(ids.all)).toBe(true);
  const [first] = ids.latest;
  expect((await getJob(github, { repository, jobId: first ?? 0 })).data.run_id).toBe(rerun.id);
});

test("an unchanged list of runs answers that it did not change", async () => {
  await using simulator = await startSimulator();
  await using github = open(simulator);
  const repository = firstRepository(simulator);
  const first = await listRuns(github, { repository });
  expect(await listRuns(github, { repository, etag: first.etag })).toMatchObject({ notModified: true });
  expect(simulator.journal.entries({ origin: "api" }).map((entry) => entry.status)).toEqual([200, 304]);
});

test("github.com reports its limits, and a GHES its version and no limits", async () => {
  for (const face of ["github.com", "ghes"] as const) {
    await using simulator = await startSimulator({ face, ghesVersion: "3.17.2" });
    await using github = open(simulator);
    const [credential] = await github.listCredentials();
    if (credential === undefined) throw new Error("no credential");
    const rate = await getRateLimit(github, { credential });
    expect(rate?.limit).toBe(face === "ghes" ? undefined : 5_000);
    expect((await getMeta(github)).data.installed_version).toBe(face === "ghes" ? "3.17.2" : undefined);
    const repository = firstRepository(simulator);
    expect(await getLogRetention(github, { repository })).toBe(face === "ghes" ? undefined : 90);
  }
});

test("after a limit no further request is sent", async () => {
  await using simulator = await startSimulator();
  await using github = open(simulator);
  const repository = firstRepository(simulator);
  simulator.control.secondaryLimit({ status: 403 });
  await expect(listRuns(github, { repository })).rejects.toMatchObject({ code: "github/rate-limited" });
  await expect(listRuns(github, { repository })).rejects.toMatchObject({ code: "github/rate-limited" });
  expect(simulator.journal.entries({ origin: "api" })).toHaveLength(1);
});

test("a primary limit that is used up pauses until GitHub's reset, also when its clock is not ours", async () => {
  await using simulator = await startSimulator({ clockStart: new Date("2030-01-01T00:00:00Z") });
  await using github = open(simulator);
  const repository = firstRepository(simulator);
  simulator.control.setRateLimit({ token: simulator.token, remaining: 0, resetInSeconds: 600 });
  const error = await listRuns(github, { repository }).catch((caught: unknown) => caught as { retryAt: Date });
  const seconds = "retryAt" in error ? (error.retryAt.getTime() - Date.now()) / 1_000 : 0;
  expect(seconds).toBeGreaterThan(590);
  expect(seconds).toBeLessThan(605);
});

test("a token without the right to read Actions is reported", async () => {
  await using simulator = await startSimulator();
  simulator.control.addToken({ token: "weak", canReadActions: false });
  await using github = open(simulator, { kind: "token", token: "weak" });
  const [job] = (await simulator.control.world({})).jobs.filter((each) => each.expected?.state === "archived");
  if (job === undefined) throw new Error("no log");
  const error = await requestJobLog(github, { repository: job.repository, jobId: job.jobId }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(PermanentError);
  expect(error).toMatchObject({ code: "github/forbidden" });
});

test.each([
  ["cutAfterBytes", { cutAfterBytes: 100 }, "log/incomplete"],
  ["a wrong length", { contentLength: "long" }, "log/incomplete"],
  ["no framing", { framing: "close" }, "log/incomplete"],
  ["a reset", { reset: true }, "log/upstream-error"],
  ["a 403", { status: 403 }, "log/upstream-error"],
] as const)("a log host with %s is asked again with a fresh link", async (_, fault, code) => {
  await using simulator = await startSimulator();
  await using github = open(simulator);
  simulator.control.addFault({ origin: "log", ...fault });
  const [job] = (await simulator.control.world({})).jobs.filter((each) => each.expected?.state === "archived");
  if (job === undefined || job.expected?.state !== "archived") throw new Error("no log");
  const { repository, jobId } = job;
  await expect(sha256OfLog(github, repository, jobId)).rejects.toMatchObject({ code });
  expect(await sha256OfLog(github, repository, jobId)).toBe(job.expected.rawSha256);
  const links = simulator.journal.entries({ origin: "log" }).map((entry) => entry.url);
  expect(new Set(links).size).toBe(2);
});
