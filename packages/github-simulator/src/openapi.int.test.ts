// Checks every answer for the demo world against GitHub's published descriptions. Deliberate deviations are documented in
// docs/simulator.md.

import { readFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { makeJwt } from "../test-support/jwt.ts";
import { loadDescription } from "../test-support/openapi.ts";
import { startSimulator } from "./simulator.ts";
import { hookId } from "./webhooks.ts";
import { documentedExample } from "./world/documented-example.ts";
import { fullNameOf } from "./world/world.ts";

const deviations = ["created_at", "head_branch", "head_repository", "started_at", "workflow_name"];

const faces = [
  { face: "github.com", description: "api.github.com", ghesVersion: "3.19.1" },
  { face: "ghes", description: "ghes-3.19", ghesVersion: "3.19.1" },
  { face: "ghes", description: "ghes-3.17", ghesVersion: "3.17.4" },
] as const;

test.each(faces)(
  "every answer of the $description face is what its description says",
  async ({ face, description, ghesVersion }) => {
    await using simulator = await startSimulator({ scenario: "demo", face, ghesVersion, clockSpeed: 0 });
    const published = loadDescription(description);
    const problems = new Set<string>();
    const keys = { job: new Set<string>(), run: new Set<string>() };
    const get = async (operation: string, path: string, status = 200) => {
      const response = await fetch(simulator.apiUrl + path, {
        headers: { authorization: `Bearer ${simulator.token}`, "user-agent": "test" },
      });
      expect(response.status, path).toBe(status);
      const body: unknown = await response.json();
      if (!published.has(operation)) return body;
      for (const { at, message } of published.check(operation, status, body)) problems.add(`${at.split("/").at(-1)}: ${message}`);
      return body;
    };
    for (const repository of simulator.world.repositories) {
      const base = `/repos/${fullNameOf(repository)}`;
      await get("GET /repos/{owner}/{repo}", base);
      await get("GET /repos/{owner}/{repo}/actions/runs", `${base}/actions/runs?per_page=100`);
      for (const run of repository.runs.filter((each) => !each.deleted)) {
        const path = `${base}/actions/runs/${run.id}`;
        for (const key of Object.keys(Object(await get("GET /repos/{owner}/{repo}/actions/runs/{run_id}", path))))
          keys.run.add(key);
        await get("GET /repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}", `${path}/attempts/1`);
        await get("GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs", `${path}/jobs?filter=all&per_page=100`);
        await get("GET /repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs", `${path}/attempts/1/jobs`);
        const job = run.attempts[0]?.jobs[0];
        if (job)
          for (const key of Object.keys(
            Object(await get("GET /repos/{owner}/{repo}/actions/jobs/{job_id}", `${base}/actions/jobs/${job.id}`)),
          ))
            keys.job.add(key);
      }
      const retention = "GET /repos/{owner}/{repo}/actions/permissions/artifact-and-log-retention";
      await get(retention, `${base}/actions/permissions/artifact-and-log-retention`, published.has(retention) ? 200 : 404);
    }
    await get("GET /orgs/{org}/repos", "/orgs/octo-org/repos");
    await get("GET /users/{username}/repos", "/users/first-timer/repos");
    await get("GET /users/{username}", "/users/octo-org");
    await get("GET /user/repos", "/user/repos");
    await get("GET /meta", "/meta");
    if (face === "github.com") await get("GET /rate_limit", "/rate_limit");
    else await get("GET /rate_limit", "/rate_limit", 404);
    const fields = new Set([...problems].map((problem) => problem.split(":")[0]));
    expect(fields).toEqual(new Set(deviations));
    expect(unknownKeys(published.example("GET /repos/{owner}/{repo}/actions/runs/{run_id}", 200), keys.run)).toEqual([]);
    expect(unknownKeys(documentedExample(), keys.job)).toEqual(["created_at", "run_attempt"]);
  },
);

test("answers to an App and payloads to a hook match the description", async () => {
  const app = { id: 7, installations: [{ owner: "octo-org" }] };
  const webhook = { url: "http://127.0.0.1:9/", secret: "hush" };
  await using simulator = await startSimulator({ days: 1, runsPerDay: 1, app, webhook });
  const published = loadDescription("api.github.com");
  const ask = async (operation: string, path: string, { status = 200, token = simulator.token, method = "GET" } = {}) => {
    const response = await fetch(simulator.apiUrl + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "user-agent": "test" },
    });
    const body: unknown = await response.json();
    expect([path, response.status, published.check(operation, status, body)]).toEqual([path, status, []]);
    return Object(body);
  };
  const jwt = { token: makeJwt(7, simulator.app?.privateKey ?? "") };
  const installation = simulator.app?.installations[0]?.id;
  await ask("GET /app", "/app", jwt);
  // The description of the list requires an account to be a user and an enterprise at once. Its published example fails too.
  await ask("GET /app/installations/{installation_id}", `/app/installations/${installation}`, jwt);
  await ask("GET /repos/{owner}/{repo}/installation", "/repos/octo-org/api/installation", jwt);
  await ask("GET /orgs/{org}/installation", "/orgs/octo-org/installation", jwt);
  const path = `/app/installations/${installation}/access_tokens`;
  const created = await ask("POST /app/installations/{installation_id}/access_tokens", path, {
    ...jwt,
    method: "POST",
    status: 201,
  });
  await ask("GET /installation/repositories", "/installation/repositories", { token: created.token });
  await simulator.control.completeRun({
    runId: simulator.control.addRun({ repository: "octo-org/api", state: "in_progress" }).runId,
  });
  await simulator.webhooks.settled();
  const [delivery] = await ask("GET /app/hook/deliveries", "/app/hook/deliveries", jwt);
  await ask("GET /app/hook/deliveries/{delivery_id}", `/app/hook/deliveries/${delivery.id}`, jwt);
  await ask("GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries", `/repos/octo-org/api/hooks/${hookId}/deliveries`);
  await ask("GET /orgs/{org}/hooks/{hook_id}/deliveries", `/orgs/octo-org/hooks/${hookId}/deliveries`);
  const again = `/app/hook/deliveries/${delivery.id}/attempts`;
  await ask("POST /app/hook/deliveries/{delivery_id}/attempts", again, { ...jwt, method: "POST", status: 202 });
});

test("the documented example is the published one, value for value", () => {
  const published = loadDescription("api.github.com").example("GET /repos/{owner}/{repo}/actions/jobs/{job_id}", 200);
  expect(documentedExample()).toEqual(published);
  expect(documentedExample({ lastStep: 16 })["steps"]).toHaveLength(9);
});

test("the page of deviations names each of them", async () => {
  const page = await readFile(new URL("../../../docs/simulator.md", import.meta.url), "utf8");
  for (const field of deviations) expect(page).toContain(`\`${field}\``);
});

function unknownKeys(example: unknown, seen: ReadonlySet<string>): readonly string[] {
  const known = new Set(Object.keys(Object(example)));
  return [...seen].filter((key) => !known.has(key)).toSorted();
}
