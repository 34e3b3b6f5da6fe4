// GitHub's recorded redirects, limits and errors, served as they are from a server of our own and put through the client.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { createLogger } from "@actions-archive/core/logger";
import { describe, expect, test } from "vitest";

import { type ScriptedAnswer, startScriptedServer } from "../test-support/scripted-server.ts";
import { getRepository } from "./endpoints/repositories.ts";
import { getRateLimit } from "./endpoints/server.ts";
import { getJob, listJobsForRun, listJobsForRunAttempt } from "./endpoints/workflow-jobs.ts";
import { listRuns } from "./endpoints/workflow-runs.ts";
import { openGitHub } from "./github.ts";
import { requestJobLog } from "./log/job-log.ts";
import { parseLogHosts } from "./transport/log-hosts.ts";
import { createProcessBudget } from "./transport/process-budget.ts";

const api = join(import.meta.dirname, "../../../../shared/fixtures/api");
const hub4j = join(api, "hub4j-github-api");
const isThere = existsSync(api);

type Mapping = {
  readonly request: { readonly url: string };
  readonly response: {
    readonly status: number;
    readonly headers: Record<string, string | string[]>;
    readonly body?: string;
    readonly bodyFileName?: string;
  };
};

/** WireMock's placeholders for times, which its recordings hold instead of the original ones. */
function fillTemplate(value: string): string {
  return value.replaceAll(/\{\{(?:now|testStartDate)([^}]*)\}\}/g, (_, options: string) => {
    const [, amount = "0", unit = "seconds"] = /offset='(\d+) (\w+)'/.exec(options) ?? [];
    const at = new Date(Date.now() + Number(amount) * (unit === "hours" ? 3_600_000 : 1_000));
    return options.includes("unix") ? String(Math.floor(at.getTime() / 1_000)) : at.toUTCString();
  });
}

function readMapping(path: string): { url: string; answer: ScriptedAnswer } {
  const { request, response } = JSON.parse(readFileSync(join(hub4j, path), "utf8")) as Mapping;
  const file = response.bodyFileName;
  const recorded =
    file === undefined ? Buffer.from(response.body ?? "") : readFileSync(join(hub4j, dirname(path), "../__files", file));
  const body = file?.endsWith(".json") ? fillTemplate(recorded.toString("utf8")) : recorded;
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, typeof value === "string" ? fillTemplate(value) : value]),
  );
  return { url: request.url, answer: { status: response.status, headers, body } };
}

/** @param recordedAt for the answers whose Date is as it was recorded */
function open(origin: string, recordedAt?: string) {
  const budget = createProcessBudget(recordedAt === undefined ? {} : { now: () => new Date(recordedAt) });
  const github = openGitHub({
    apiUrl: new URL(origin),
    credentials: { kind: "token", token: "canary" },
    logHosts: parseLogHosts(`${origin}, *.actions.githubusercontent.com`),
    budget,
    log: createLogger("test", "silent"),
  });
  return { github, budget };
}

const waits: Record<string, [number, number]> = {
  "AbuseLimitHandlerTest/wiremock/testHandler_Fail": [30, 30],
  "AbuseLimitHandlerTest/wiremock/testHandler_HttpStatus_Fail": [30, 30],
  "AbuseLimitHandlerTest/wiremock/testHandler_Wait": [2, 2],
  "AbuseLimitHandlerTest/wiremock/testHandler_WaitStuck": [3, 3],
  "AbuseLimitHandlerTest/wiremock/testHandler_Wait_Secondary_Limits": [60, 60],
  "AbuseLimitHandlerTest/wiremock/testHandler_Wait_Secondary_Limits_Body_Marker_Only": [60, 60],
  "AbuseLimitHandlerTest/wiremock/testHandler_Wait_Secondary_Limits_Too_Many_Requests": [8, 8],
  "AbuseLimitHandlerTest/wiremock/testHandler_Wait_Secondary_Limits_Too_Many_Requests_No_Retry_After": [60, 60],
  "AbuseLimitHandlerTest/wiremock/testHandler_Wait_Secondary_Limits_Too_Many_Requests_Date_Retry_After": [8, 10],
  "AbuseLimitHandlerTest/wiremock/testHandler_Wait_Secondary_Limits_Too_Many_Requests_Date_Retry_After_Missing_Date_Header": [
    8, 10,
  ],
  "RateLimitHandlerTest/wiremock/testHandler_Fail": [2, 5],
  "RateLimitHandlerTest/wiremock/testHandler_HttpStatus_Fail": [2, 5],
  "RateLimitHandlerTest/wiremock/testHandler_Wait": [2, 5],
  "RateLimitHandlerTest/wiremock/testHandler_WaitStuck": [2, 5],
  "RateLimitHandlerTest/wiremock/testHandler_Wait_Missing_Date_Header": [2, 5],
};

describe.skipIf(!isThere)("recorded answers (skipped without ../shared/fixtures/api)", () => {
  test("every recorded limit is listed here", () => {
    const recorded = globSync("{AbuseLimit,RateLimit}HandlerTest/wiremock/*", { cwd: hub4j });
    expect(Object.keys(waits).toSorted()).toEqual(recorded.toSorted());
  });

  test.each(Object.entries(waits))("the recorded limit %s pauses its credential for %j seconds", async (scene, [least, most]) => {
    const [mapping = ""] = globSync(`${scene}/mappings/2-*.json`, { cwd: hub4j });
    const { url, answer } = readMapping(mapping);
    await using server = await startScriptedServer(() => answer);
    const { github, budget } = open(server.origin);
    await using _ = github;
    const [repository = ""] = /[^/]+\/[^/]+$/.exec(url) ?? [];
    const before = Date.now();
    await expect(getRepository(github, { repository })).rejects.toMatchObject({ code: "github/rate-limited" });
    // A pause of zero length returns the end of the pause in effect.
    const pausedUntil = await budget.pause("token", { waitMs: 0, reason: "none", isGuess: false });
    const seconds = (pausedUntil.getTime() - before) / 1_000;
    expect(seconds).toBeGreaterThanOrEqual(least);
    expect(seconds).toBeLessThan(most + 1);
    expect(server.journal).toHaveLength(1);
  });

  test("the recorded redirects of job logs lead to the recorded logs, byte by byte", async () => {
    const redirects = globSync("GHWorkflowRunTest/wiremock/testJobs/mappings/*_logs.json", { cwd: hub4j }).map(readMapping);
    const logs = globSync("GHWorkflowRunTest/wiremock/testJobs_actions-user-content/mappings/*.json", { cwd: hub4j }).map(
      readMapping,
    );
    expect([redirects.length, logs.length]).toEqual([2, 2]);
    await using server = await startScriptedServer(({ url, headers }, response) => {
      const redirect = redirects.find((mapping) => mapping.url === url);
      if (redirect !== undefined) {
        // The one thing that is changed: the recorded host's place is taken by this server.
        const location = new URL(String(redirect.answer.headers?.["Location"]));
        return {
          ...redirect.answer,
          headers: { ...redirect.answer.headers, Location: `http://${headers.host}${location.pathname}${location.search}` },
        };
      }
      const log = logs.find((mapping) => mapping.url === url);
      if (log === undefined) return { status: 404 };
      // That host sent chunks without a length.
      response.writeHead(200, log.answer.headers);
      response.write(log.answer.body);
      response.end();
      return undefined;
    });
    const { github } = open(server.origin, "2021-04-05T15:43:09Z");
    await using _ = github;
    for (const { url } of redirects) {
      const jobId = Number(/jobs\/(\d+)\/logs/.exec(url)?.[1]);
      const answer = await requestJobLog(github, { repository: "hub4j-test-org/GHWorkflowRunTest", jobId });
      if (answer.kind !== "log") throw new Error(answer.kind);
      expect(answer.date.getUTCFullYear()).toBe(2021);
      const chunks: Buffer[] = [];
      for await (const chunk of answer.body) chunks.push(chunk);
      const found = logs.some(({ answer: { body } }) => Buffer.concat(chunks).equals(Buffer.from(body as Buffer)));
      expect(found).toBe(true);
    }
  });

  test("a recorded redirect as it is leads to a host of GitHub's and to no other", async () => {
    const [mapping = ""] = globSync("GHWorkflowRunTest/wiremock/testJobs/mappings/8-*_logs.json", { cwd: hub4j });
    const { answer } = readMapping(mapping);
    await using server = await startScriptedServer(() => answer);
    await using github = openGitHub({
      apiUrl: new URL(server.origin),
      credentials: { kind: "token", token: "canary" },
      logHosts: parseLogHosts("productionresultssa*.blob.core.windows.net"),
      budget: createProcessBudget(),
      log: createLogger("test", "silent"),
    });
    const error = await requestJobLog(github, { repository: "hub4j-test-org/GHWorkflowRunTest", jobId: 2270858630 }).catch(
      String,
    );
    expect(error).toContain("https://pipelines.actions.githubusercontent.com, which GITHUB_LOG_HOSTS does not allow");
    expect(error).not.toContain("urlSignature");
  });

  test("a recorded 404 for deleted logs is reported as GitHub's", async () => {
    const { answer } = readMapping("GHWorkflowRunTest/wiremock/testLogs/mappings/9-r_h_g_actions_runs_711446981_logs.json");
    await using server = await startScriptedServer(() => answer);
    const { github } = open(server.origin, "2021-04-02T10:48:51Z");
    await using _ = github;
    expect(await requestJobLog(github, { repository: "hub4j-test-org/GHWorkflowRunTest", jobId: 1 })).toEqual({
      kind: "not-found",
      from: "api",
      date: new Date("2021-04-02T10:48:51Z"),
    });
  });

  test("recorded jobs and runs are returned with their date", async () => {
    const scene = "GHWorkflowRunTest/wiremock/testJobs/mappings";
    const recorded = globSync(`${scene}/*.json`, { cwd: hub4j }).map(readMapping);
    await using server = await startScriptedServer(({ url = "" }) => {
      const path = url.split("?")[0];
      return (
        recorded.find((mapping) => mapping.url.split("?")[0] === path)?.answer ?? { status: 404, body: { message: "Not Found" } }
      );
    });
    const { github } = open(server.origin);
    await using _ = github;
    const repository = "hub4j-test-org/GHWorkflowRunTest";
    const { data, date } = await getJob(github, { repository, jobId: 2270858630 });
    expect([data.run_id, date]).toEqual([719643947, new Date("2021-04-05T15:43:11Z")]);
    const jobs = [];
    for await (const page of listJobsForRun(github, { repository, runId: 719643947, filter: "all" })) jobs.push(...page.data);
    expect(jobs.map(({ id }) => id)).toContain(2270858630);
    expect((await listRuns(github, { repository })).data.length).toBeGreaterThan(0);
  });

  test("a recorded GHES without limits has no rate, and a recorded github.com has one", async () => {
    const scenes = ["testGitHubEnterpriseDoesNotHaveRateLimit", "testGitHubRateLimit"];
    const answers = scenes.map((scene) => readMapping(`GHRateLimitTest/wiremock/${scene}/mappings/rate_limit-2.json`).answer);
    const rates = [];
    for (const answer of answers) {
      await using server = await startScriptedServer(() => answer);
      const { github } = open(server.origin);
      await using _ = github;
      for (const credential of await github.listCredentials()) rates.push(await getRateLimit(github, { credential }));
    }
    expect(rates).toMatchObject([undefined, { limit: 5_000 }]);
  });

  test("the recorded pages of an attempt's jobs are walked by their Link in the form of ids", async () => {
    type Interaction = {
      readonly request: { readonly uri: string };
      readonly response: {
        readonly status: { code: number };
        readonly headers: Record<string, string[]>;
        readonly body: { base64_string: string };
      };
    };
    const file = join(
      api,
      "octokit-rb/Octokit_Client_ActionsWorkflowJobs/_workflow_run_attempt_jobs/auto-paginates_the_results.json",
    );
    const { http_interactions: interactions } = JSON.parse(readFileSync(file, "utf8")) as { http_interactions: Interaction[] };
    const attempts = interactions.filter(({ request }) => /attempts\/1\/jobs/.test(request.uri));
    expect(attempts.length).toBeGreaterThan(1);
    await using server = await startScriptedServer((_request, _response, index) => {
      const recorded = attempts[index]?.response;
      if (recorded === undefined) return { status: 404, body: { message: "Not Found" } };
      const [link] = recorded.headers["Link"] ?? [];
      return {
        status: recorded.status.code,
        headers: link === undefined ? {} : { link },
        body: Buffer.from(recorded.body.base64_string, "base64"),
      };
    });
    const { github } = open(server.origin);
    await using _ = github;
    const ids: number[] = [];
    for await (const page of listJobsForRunAttempt(github, { repository: "octo/app", runId: 3163227438, runAttempt: 1 }))
      ids.push(...page.data.map(({ id }) => id));
    expect(server.journal).toHaveLength(attempts.length);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("a recorded move leads to the repository's new name", async () => {
    type Recorded = {
      readonly method: string;
      readonly path: string;
      readonly status: number;
      readonly response: object;
      readonly headers: Record<string, string>;
    };
    const recorded = JSON.parse(
      readFileSync(join(api, "octokit-fixtures/rename-repository/normalized-fixture.json"), "utf8"),
    ) as Recorded[];
    await using server = await startScriptedServer(({ url, headers }) => {
      const found = recorded.find(({ method, path }) => method === "get" && path === url);
      if (found === undefined) return { status: 404, body: { message: "Not Found" } };
      const location = found.headers["location"];
      // The recorded API's place is taken by this server.
      return {
        status: found.status,
        body: found.response,
        headers: location === undefined ? {} : { location: location.replace("https://api.github.com", `http://${headers.host}`) },
      };
    });
    const { github } = open(server.origin);
    await using _ = github;
    const { data } = await getRepository(github, { repository: "octokit-fixture-org/rename-repository" });
    expect(data.full_name).toBe("octokit-fixture-org/rename-repository-newname");
  });
});
