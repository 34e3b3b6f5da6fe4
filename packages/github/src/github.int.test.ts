// The client against a server with unusual responses: limits, refusals, redirects, invalid bodies; and the hosts that receive the credential.

import { once } from "node:events";
import { Writable } from "node:stream";

import { ConfigError } from "@actions-archive/core/errors";
import { createLogger } from "@actions-archive/core/logger";
import { expect, test } from "vitest";

import { startScriptedServer } from "../test-support/scripted-server.ts";
import { getRepository, getLogRetention, listOwnerRepositories } from "./endpoints/repositories.ts";
import { getRateLimit } from "./endpoints/server.ts";
import { getJob, listJobsForRunAttempt } from "./endpoints/workflow-jobs.ts";
import { listRuns } from "./endpoints/workflow-runs.ts";
import { type GitHub, type GitHubOptions, openGitHub } from "./github.ts";
import { createProcessBudget } from "./transport/process-budget.ts";

const token = "ghp_canary0123456789";
const job = { id: 7, run_id: 3, name: "build", status: "completed", conclusion: "success", zebra: 1, apple: { deep: null } };
const repository = { id: 12, name: "app", full_name: "octo/app", owner: { id: 1, login: "octo" }, private: false };

function open(origin: string, options: Partial<GitHubOptions> = {}): GitHub {
  return openGitHub({
    apiUrl: new URL(origin),
    credentials: { kind: "token", token },
    logHosts: [],
    budget: createProcessBudget(),
    log: createLogger("test", "silent"),
    ...options,
  });
}

test("an answer is GitHub's object as received, with GitHub's date and its etag", async () => {
  const headers = { date: "Mon, 05 Apr 2021 15:43:11 GMT", etag: 'W/"abc"' };
  await using server = await startScriptedServer(() => ({ body: job, headers }));
  await using github = open(server.origin);
  const answer = await getJob(github, { repository: "octo/app", jobId: 7 });
  expect(JSON.stringify(answer.data)).toBe(JSON.stringify(job));
  expect(answer.date).toEqual(new Date("2021-04-05T15:43:11Z"));
  expect(answer.etag).toBe('W/"abc"');
  expect(server.journal[0]).toMatchObject({
    method: "GET",
    path: "/repos/octo/app/actions/jobs/7",
    headers: {
      authorization: `Bearer ${token}`,
      "x-github-api-version": "2022-11-28",
      "user-agent": "actions-archive",
      "accept-encoding": "identity",
    },
  });
});

test("the path of a GHES is kept before every endpoint", async () => {
  await using server = await startScriptedServer(() => ({ body: job }));
  await using github = open(`${server.origin}/api/v3/`);
  await getJob(github, { repository: 12, jobId: 7 });
  expect(server.journal[0]?.path).toBe("/api/v3/repositories/12/actions/jobs/7");
});

test.each(["http://ghes.example/api/v3", "https://user:secret@ghes.example", "https://ghes.example/?a=b", "ftp://127.0.0.1"])(
  "no credential is ever meant for %s",
  (url) => {
    expect(() => open(url)).toThrow(ConfigError);
  },
);

test("a 5xx is retried, and thrown as unavailable when it persists", async () => {
  await using server = await startScriptedServer((_request, _response, index) =>
    index === 0 ? { status: 502, body: "<html>Unicorn!</html>" } : { body: job },
  );
  await using github = open(server.origin);
  expect((await getJob(github, { repository: "octo/app", jobId: 7 })).data.id).toBe(7);
  expect(server.journal).toHaveLength(2);

  await using down = await startScriptedServer(() => ({ status: 500, body: { message: "Server Error" } }));
  await using other = open(down.origin);
  await expect(getJob(other, { repository: "octo/app", jobId: 7 })).rejects.toMatchObject({ code: "github/unavailable" });
  expect(down.journal).toHaveLength(3);
});

test("a server that is away, resets or does not answer in time is unavailable", async () => {
  await using server = await startScriptedServer((request) => void request.socket.resetAndDestroy());
  const get = async (origin: string) => {
    await using github = open(origin, { timeouts: { apiMs: 200 } });
    await getJob(github, { repository: "octo/app", jobId: 7 });
  };
  await expect(get(server.origin)).rejects.toMatchObject({ code: "github/unavailable" });
  await using silent = await startScriptedServer(() => undefined);
  await expect(get(silent.origin)).rejects.toMatchObject({ code: "github/unavailable" });
  await expect(get("http://127.0.0.1:1")).rejects.toMatchObject({ code: "github/unavailable" });
});

test("an aborted request ends with the signal's reason and is not tried again", async () => {
  const stop = new AbortController();
  await using server = await startScriptedServer(() => {
    stop.abort(new Error("shutting down"));
    return undefined;
  });
  await using github = open(server.origin);
  await expect(getJob(github, { repository: "octo/app", jobId: 7, signal: stop.signal })).rejects.toThrow("shutting down");
  expect(server.journal).toHaveLength(1);
});

test.each([
  [
    "a page instead of JSON",
    { body: "<html>Welcome to the proxy</html>", headers: { "content-type": "text/html" } },
    "github/unexpected-answer",
  ],
  ["JSON of another shape", { body: { message: "hello" } }, "github/unexpected-answer"],
  ["a cut JSON", { body: '{"id":7,"run_id"' }, "github/unexpected-answer"],
  ["a 304 that was not asked for", { status: 304 }, "github/unexpected-answer"],
  ["a 404 of GitHub's", { status: 404, body: { message: "Not Found" } }, "github/not-found"],
  ["a permission 403", { status: 403, body: { message: "Must have admin rights to Repository." } }, "github/forbidden"],
  ["a 410", { status: 410, body: { message: "Server Error" } }, "github/gone"],
] as const)("%s ends as its code says", async (_, answer, code) => {
  await using server = await startScriptedServer(() => answer);
  await using github = open(server.origin);
  await expect(getJob(github, { repository: "octo/app", jobId: 7 })).rejects.toMatchObject({ code });
});

test("a limit pauses its credential before it is thrown, and no request is sent until it ends", async () => {
  await using server = await startScriptedServer(() => ({
    status: 403,
    headers: { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4000", "x-ratelimit-reset": "1" },
    body: { message: "You have exceeded a secondary rate limit." },
  }));
  await using github = open(server.origin);
  const before = Date.now();
  const limited = await getJob(github, { repository: "octo/app", jobId: 7 }).catch((error: unknown) => error);
  expect(limited).toMatchObject({ code: "github/rate-limited" });
  const { retryAt } = limited as { retryAt: Date };
  expect(retryAt.getTime()).toBeGreaterThanOrEqual(before + 60_000);
  await expect(getJob(github, { repository: "octo/other", jobId: 8 })).rejects.toMatchObject({ retryAt });
  expect(server.journal).toHaveLength(1);
});

test("a refused token pauses its credential and is thrown as unauthorized, once", async () => {
  await using server = await startScriptedServer(() => ({ status: 401, body: { message: "Bad credentials" } }));
  await using github = open(server.origin);
  await expect(getJob(github, { repository: "octo/app", jobId: 7 })).rejects.toMatchObject({ code: "github/unauthorized" });
  await expect(getJob(github, { repository: "octo/app", jobId: 7 })).rejects.toMatchObject({ code: "github/rate-limited" });
  expect(server.journal).toHaveLength(1);
});

test("a 403 on the repository itself is a credential that is refused", async () => {
  await using server = await startScriptedServer(() => ({
    status: 403,
    body: { message: "Resource protected by organization SAML enforcement." },
  }));
  await using github = open(server.origin);
  await expect(getRepository(github, { repository: "octo/app" })).rejects.toMatchObject({ code: "github/unauthorized" });
  await expect(getRepository(github, { repository: "octo/app" })).rejects.toMatchObject({ code: "github/rate-limited" });
});

test("a renamed repository is followed inside the API, with the credential", async () => {
  await using server = await startScriptedServer(({ url }) =>
    url === "/repositories/12"
      ? { body: repository }
      : { status: 301, headers: { location: "/repositories/12" }, body: { message: "Moved Permanently" } },
  );
  await using github = open(server.origin);
  const { data } = await getRepository(github, { repository: "octo/old-name" });
  expect(data.full_name).toBe("octo/app");
  expect(server.journal.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${token}`, `Bearer ${token}`]);
});

test("a move in a circle ends", async () => {
  await using server = await startScriptedServer(() => ({
    status: 301,
    headers: { location: "/repositories/12" },
    body: { message: "Moved" },
  }));
  await using github = open(server.origin);
  await expect(getRepository(github, { repository: "octo/app" })).rejects.toMatchObject({ code: "github/unexpected-answer" });
});

test.each([
  ["another port", (port: string) => `http://127.0.0.1:${port}/repositories/12`],
  ["another name of this machine", (port: string) => `http://localhost:${port}/repositories/12`],
  ["another scheme", (_: string, own: string) => own.replace("http:", "https:")],
  ["a user in the URL", (_: string, own: string) => own.replace("http://", "http://user:password@")],
  ["a user that resembles the API", (port: string, own: string) => `${own}@127.0.0.1:${port}/`],
  ["outside the API's root", (_: string, own: string) => `${own}/../../login`],
  ["a protocol-relative host", (port: string) => `//127.0.0.1:${port}/api/v3/repositories/12`],
])("the credential does not follow a move to %s", async (_, locate) => {
  await using elsewhere = await startScriptedServer(() => ({ body: repository }));
  const port = new URL(elsewhere.origin).port;
  await using server = await startScriptedServer(({ headers }) => ({
    status: 301,
    headers: { location: locate(port, `http://${headers.host}/api/v3`) },
    body: { message: "Moved Permanently" },
  }));
  await using github = open(`${server.origin}/api/v3`);
  await expect(getRepository(github, { repository: "octo/app" })).rejects.toMatchObject({ code: "github/unexpected-answer" });
  expect(elsewhere.journal).toHaveLength(0);
  expect(server.journal.every(({ path }) => path === "/api/v3/repos/octo/app")).toBe(true);
});

test("no line of the log holds the credential", async () => {
  const lines: string[] = [];
  const destination = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  await using server = await startScriptedServer(() => ({ body: job }));
  await using github = open(server.origin, { log: createLogger("test", "trace", destination) });
  await getJob(github, { repository: "octo/app", jobId: 7 });
  destination.end();
  await once(destination, "finish");
  expect(lines.join()).toContain("github answered");
  expect(lines.join()).not.toContain("canary");
});

test("a list of runs that did not change costs no body", async () => {
  await using server = await startScriptedServer(({ headers }) =>
    headers["if-none-match"] === 'W/"1"'
      ? { status: 304, headers: { etag: 'W/"1"' } }
      : { body: { total_count: 0, workflow_runs: [] }, headers: { etag: 'W/"1"' } },
  );
  await using github = open(server.origin);
  const params = { repository: "octo/app", created: ">=2026-01-01T00:00:00+00:00", status: "completed" };
  const first = await listRuns(github, params);
  const second = await listRuns(github, { ...params, etag: first.etag });
  expect(second).toMatchObject({ notModified: true, etag: 'W/"1"' });
  expect(server.journal[0]?.path).toBe(
    "/repos/octo/app/actions/runs?created=%3E%3D2026-01-01T00%3A00%3A00%2B00%3A00&status=completed&exclude_pull_requests=true&per_page=100&page=1",
  );
});

test("the jobs of an attempt are listed in smaller pages when large ones fail", async () => {
  const jobs = Array.from({ length: 35 }, (_, index) => ({ ...job, id: index + 1 }));
  await using server = await startScriptedServer(({ url = "" }) => {
    const query = new URL(url, "http://x").searchParams;
    const [perPage, page] = [Number(query.get("per_page")), Number(query.get("page"))];
    if (perPage > 30) return { status: 502, body: "" };
    const next =
      page * perPage < jobs.length ? { link: `<https://api.example/repositories/12/x?page=${page + 1}>; rel="next"` } : undefined;
    return {
      body: { total_count: 9_999, jobs: jobs.slice((page - 1) * perPage, page * perPage) },
      ...(next ? { headers: next } : {}),
    };
  });
  await using github = open(server.origin);
  const ids: number[] = [];
  for await (const page of listJobsForRunAttempt(github, { repository: "octo/app", runId: 3, runAttempt: 2 }))
    ids.push(...page.data.map(({ id }) => id));
  expect(ids).toEqual(jobs.map(({ id }) => id));
  expect(server.journal.at(-1)?.path).toBe("/repos/octo/app/actions/runs/3/attempts/2/jobs?per_page=30&page=2");
});

test("retention and limits that a credential may not read are undefined, not an error", async () => {
  await using server = await startScriptedServer(({ url = "" }) => ({
    status: url.includes("retention") ? 403 : 404,
    body: { message: "No" },
  }));
  await using github = open(server.origin);
  expect(await getLogRetention(github, { repository: "octo/app" })).toBeUndefined();
  const [credential] = await github.listCredentials();
  if (credential === undefined) throw new Error("no credential");
  expect(await getRateLimit(github, { credential })).toBeUndefined();
});

test("a user's repositories are the public ones and those that the token sees, each once", async () => {
  const hidden = { ...repository, id: 13, name: "secret", full_name: "octo/secret", private: true };
  const foreign = { ...repository, id: 14, owner: { id: 2, login: "other" } };
  await using server = await startScriptedServer(({ url = "" }) => {
    if (url.startsWith("/user/repos?")) return { body: [repository, hidden, foreign] };
    return url.startsWith("/users/octo/") ? { body: [repository] } : { status: 404, body: { message: "Not Found" } };
  });
  await using github = open(server.origin);
  const names: string[] = [];
  for await (const page of listOwnerRepositories(github, { owner: "octo" }))
    names.push(...page.data.map((found) => found.full_name));
  expect(names).toEqual(["octo/app", "octo/secret"]);
});
