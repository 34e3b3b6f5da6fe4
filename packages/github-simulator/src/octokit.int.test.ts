// An independent client, octokit, uses every endpoint, including pagination.

import { generateKeyPairSync } from "node:crypto";

import { Octokit } from "@octokit/rest";
import { expect, test } from "vitest";

import { makeJwt } from "../test-support/jwt.ts";
import { type Simulator, startSimulator } from "./simulator.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function clientOf(simulator: Simulator, auth = simulator.token): Octokit {
  return new Octokit({ baseUrl: simulator.apiUrl, auth, userAgent: "test", log: silent });
}

test("octokit pages through runs, attempts and jobs and finds all of them", async () => {
  await using simulator = await startSimulator({ scenario: "demo", clockSpeed: 0 });
  const octokit = clientOf(simulator);
  const repositories = await octokit.paginate(octokit.rest.repos.listForOrg, { org: "octo-org", per_page: 1 });
  const found = new Set<number>();
  for (const { owner, name } of repositories) {
    const params = { owner: owner.login, repo: name };
    const runs = await octokit.paginate(octokit.rest.actions.listWorkflowRunsForRepo, {
      ...params,
      per_page: 7,
      created: ">=2020-01-01",
    });
    for (const run of runs) {
      const all = await octokit.paginate(octokit.rest.actions.listJobsForWorkflowRun, {
        ...params,
        run_id: run.id,
        filter: "all",
        per_page: 100,
      });
      const each: number[] = [];
      for (let attempt_number = 1; attempt_number <= (run.run_attempt ?? 1); attempt_number++) {
        const jobs = await octokit.paginate(octokit.rest.actions.listJobsForWorkflowRunAttempt, {
          ...params,
          run_id: run.id,
          attempt_number,
        });
        each.push(...jobs.map((job) => job.id));
      }
      expect(new Set(each)).toEqual(new Set(all.map((job) => job.id)));
      for (const id of each) found.add(id);
    }
  }
  const truth = [...simulator.world.jobs.values()].filter(
    (job) => job.run.repository.owner.login === "octo-org" && !job.run.deleted,
  );
  expect(found.size).toBe(truth.length);
});

test("octokit reads a run, its attempts, a job and its log, following the redirect by itself", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const octokit = clientOf(simulator);
  const { runId, jobIds } = simulator.control.addRun({ repository: "octo-org/api", jobs: [{ name: "build", bytes: 40_000 }] });
  const params = { owner: "octo-org", repo: "api", run_id: runId };
  expect((await octokit.rest.actions.getWorkflowRun(params)).data).toMatchObject({
    id: runId,
    status: "completed",
    conclusion: "success",
    run_attempt: 1,
  });
  expect(
    (await octokit.rest.actions.getWorkflowRunAttempt({ ...params, attempt_number: 1 })).data.previous_attempt_url,
  ).toBeNull();
  const job = await octokit.rest.actions.getJobForWorkflowRun({ owner: "octo-org", repo: "api", job_id: jobIds[0] ?? 0 });
  expect(job.data).toMatchObject({ run_id: runId, name: "build", status: "completed" });
  const log = await octokit.rest.actions.downloadJobLogsForWorkflowRun({
    owner: "octo-org",
    repo: "api",
    job_id: jobIds[0] ?? 0,
  });
  expect(String(log.data)).toContain("Cleaning up orphan processes");
  expect(simulator.journal.entries({ origin: "log" })).toMatchObject([{ hasAuthorization: false, bytesSent: 40_000 }]);
});

test("octokit follows a renamed repository to its id", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const { repositoryId } = simulator.control.addRun({ repository: "octo-org/old" });
  simulator.control.moveRepository({ repository: "octo-org/old", name: "new" });
  const octokit = clientOf(simulator);
  expect((await octokit.rest.repos.get({ owner: "octo-org", repo: "old" })).data).toMatchObject({
    id: repositoryId,
    full_name: "octo-org/new",
  });
  const runs = await octokit.paginate(octokit.rest.actions.listWorkflowRunsForRepo, { owner: "octo-org", repo: "old" });
  expect(runs).toHaveLength(1);
});

test("octokit reads limits, meta, an account, its own repositories and retention", async () => {
  await using simulator = await startSimulator({ repositories: 3, days: 1, runsPerDay: 1, retentionDays: 45 });
  const octokit = clientOf(simulator);
  expect((await octokit.rest.rateLimit.get()).data.resources.core.limit).toBe(5_000);
  expect((await octokit.rest.meta.get()).data.domains?.actions).toContain("*.actions.githubusercontent.com");
  expect((await octokit.rest.users.getByUsername({ username: "octo-org" })).data.type).toBe("Organization");
  expect(await octokit.paginate(octokit.rest.repos.listForAuthenticatedUser, { per_page: 1 })).toHaveLength(4);
  expect(await octokit.paginate(octokit.rest.repos.listForUser, { username: "first-timer" })).toHaveLength(1);
  const retention = "GET /repos/{owner}/{repo}/actions/permissions/artifact-and-log-retention";
  expect((await octokit.request(retention, { owner: "octo-org", repo: "api" })).data).toMatchObject({ days: 45 });
});

test("octokit, as an App, finds its installations, gets a token and sees what the installation sees", async () => {
  await using simulator = await startSimulator({
    owners: 2,
    repositories: 6,
    days: 1,
    runsPerDay: 1,
    app: { id: 4711, installations: [{ owner: "octo-org" }, { owner: "acme", repositories: ["web"] }] },
  });
  const asApp = clientOf(simulator, makeJwt(4711, simulator.app?.privateKey ?? ""));
  expect((await asApp.rest.apps.getAuthenticated()).data).toMatchObject({ id: 4711, installations_count: 2 });
  const installations = await asApp.paginate(asApp.rest.apps.listInstallations, { per_page: 1 });
  expect(installations.map((each) => each.repository_selection)).toEqual(["all", "selected"]);
  const [, selected] = installations;
  const { data: created } = await asApp.rest.apps.createInstallationAccessToken({ installation_id: selected?.id ?? 0 });
  const asInstallation = clientOf(simulator, created.token);
  const seen = await asInstallation.paginate(asInstallation.rest.apps.listReposAccessibleToInstallation, { per_page: 1 });
  expect(seen.map((each) => each.full_name)).toEqual(["acme/web"]);
  await expect(asInstallation.rest.repos.get({ owner: "acme", repo: "api" })).rejects.toMatchObject({ status: 404 });
  expect((await asApp.rest.apps.getRepoInstallation({ owner: "acme", repo: "web" })).data.id).toBe(selected?.id);
  expect((await asApp.rest.apps.getOrgInstallation({ org: "octo-org" })).data.id).toBe(installations[0]?.id);
  simulator.clock.advance(3_600_000);
  await expect(asInstallation.rest.repos.get({ owner: "acme", repo: "web" })).rejects.toMatchObject({ status: 401 });
});

test("a JWT of another key, of another App or out of date is refused", async () => {
  await using simulator = await startSimulator({ scenario: "empty", app: { id: 1, installations: [] } });
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
  const own = simulator.app?.privateKey ?? "";
  for (const jwt of [makeJwt(1, stranger), makeJwt(2, own), makeJwt(1, own, -60), makeJwt(1, own, 3_600)]) {
    await expect(clientOf(simulator, jwt).rest.apps.getAuthenticated()).rejects.toMatchObject({ status: 401 });
  }
});
