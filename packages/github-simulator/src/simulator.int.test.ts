// Answers other than plain success: credentials, expired links, ranges, limits, caps, final states of logs.

import { expect, test } from "vitest";

import { type Simulator, startSimulator } from "./simulator.ts";
import { fullNameOf } from "./world/world.ts";

type Answer = { readonly status: number; readonly headers: Headers; readonly body: string };

async function request(simulator: Simulator, path: string, init: RequestInit = {}): Promise<Answer> {
  const headers = { authorization: `Bearer ${simulator.token}`, "user-agent": "test", ...Object(init.headers) };
  const response = await fetch(path.startsWith("http") ? path : simulator.apiUrl + path, {
    redirect: "manual",
    ...init,
    headers,
  });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

async function logOf(simulator: Simulator, jobId: number): Promise<Answer> {
  const redirect = await request(simulator, `/repos/octo-org/api/actions/jobs/${jobId}/logs`);
  return redirect.status === 302 ? bare(redirect.headers.get("location") ?? "") : redirect;
}

async function bare(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

const oneRun = { repository: "octo-org/api", jobs: [{ name: "build", bytes: 60_000 }] };

test("two simulators of one seed and one start serve the same bytes", async () => {
  const options = { seed: 5, days: 1, runsPerDay: 3, clockStart: new Date("2026-11-20T10:00:00Z"), clockSpeed: 0 };
  await using first = await startSimulator(options);
  await using second = await startSimulator(options);
  const truth = await first.control.world({});
  expect(await second.control.world({})).toEqual(truth);
  expect(truth.jobs.length).toBeGreaterThan(10);
});

test("a request without, or with a wrong, credential answers 401, an unknown repository 404", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const without = await fetch(`${simulator.apiUrl}/user/repos`);
  expect(without.status).toBe(401);
  expect(await without.json()).toMatchObject({ message: "Requires authentication", status: "401" });
  const wrong = await request(simulator, "/user/repos", { headers: { authorization: "token nope" } });
  expect([wrong.status, wrong.body]).toEqual([401, expect.stringContaining("Bad credentials")]);
  const unknown = await request(simulator, "/repos/octo-org/nothing");
  expect([unknown.status, JSON.parse(unknown.body)]).toEqual([
    404,
    expect.objectContaining({ message: "Not Found", status: "404" }),
  ]);
});

test("a token that is revoked, or lacks access, gets the matching error", async () => {
  const credentials = [
    { token: "all" },
    { token: "some", repositories: ["octo-org/web"] },
    { token: "blind", canReadActions: false },
  ];
  await using simulator = await startSimulator({ scenario: "empty", credentials });
  const { jobIds } = simulator.control.addRun(oneRun);
  const path = `/repos/octo-org/api/actions/jobs/${jobIds[0]}/logs`;
  expect((await request(simulator, path, { headers: { authorization: "Bearer some" } })).status).toBe(404);
  const refused = await request(simulator, path, { headers: { authorization: "Bearer blind" } });
  expect([refused.status, refused.body]).toEqual([403, expect.stringContaining("Must have admin rights to Repository.")]);
  simulator.control.revokeToken({ token: "all" });
  expect((await request(simulator, path)).status).toBe(401);
});

test("a log is a 302 with an empty body to another origin that serves it whole", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const { jobIds } = simulator.control.addRun(oneRun);
  const redirect = await request(simulator, `/repos/octo-org/api/actions/jobs/${jobIds[0]}/logs`);
  const location = redirect.headers.get("location") ?? "";
  expect([redirect.status, redirect.body, redirect.headers.get("content-length")]).toEqual([302, "", "0"]);
  expect(new URL(location).origin).toBe(simulator.logOrigin);
  const log = await fetch(location);
  expect([log.status, log.headers.get("content-length"), (await log.bytes()).length]).toEqual([200, "60000", 60_000]);
});

test("the log host refuses every form of Authorization in XML", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const { jobIds } = simulator.control.addRun(oneRun);
  const redirect = await request(simulator, `/repos/octo-org/api/actions/jobs/${jobIds[0]}/logs`);
  const location = redirect.headers.get("location") ?? "";
  const asBearer = await bare(location, { authorization: `Bearer ${simulator.token}` });
  const asToken = await bare(location, { authorization: `token ${simulator.token}` });
  expect([asBearer.status, asBearer.body]).toEqual([403, expect.stringContaining("<Code>AuthenticationFailed</Code>")]);
  expect([asToken.status, asToken.body]).toEqual([400, expect.stringContaining("<Code>InvalidAuthenticationInfo</Code>")]);
});

test("a link dies after its lifetime and cannot be bent to another log", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0, linkLifetimeSeconds: 60 });
  const { jobIds } = simulator.control.addRun({ ...oneRun, jobs: [{ name: "a" }, { name: "b" }] });
  const redirect = await request(simulator, `/repos/octo-org/api/actions/jobs/${jobIds[0]}/logs`);
  const location = redirect.headers.get("location") ?? "";
  simulator.clock.advance(59_000);
  expect((await bare(location)).status).toBe(200);
  const hex = (id: number | undefined) => (id ?? 0).toString(16).padStart(12, "0");
  expect((await bare(location.replace(hex(jobIds[0]), hex(jobIds[1])))).status).toBe(403);
  simulator.clock.advance(2_000);
  const dead = await bare(location);
  expect([dead.status, dead.body]).toEqual([403, expect.stringContaining("Signature not valid in the specified time frame")]);
});

test("ranges and conditions on a log are honoured", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const { jobIds } = simulator.control.addRun(oneRun);
  const redirect = await request(simulator, `/repos/octo-org/api/actions/jobs/${jobIds[0]}/logs`);
  const location = redirect.headers.get("location") ?? "";
  const whole = await fetch(location);
  const bytes = Buffer.from(await whole.arrayBuffer());
  const etag = whole.headers.get("etag") ?? "";
  const part = await fetch(location, { headers: { range: "bytes=1000-", "if-match": etag } });
  expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 1000-59999/60000"]);
  expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(1_000));
  const end = await fetch(location, { headers: { range: "bytes=-10" } });
  expect(Buffer.from(await end.arrayBuffer())).toEqual(bytes.subarray(-10));
  expect((await bare(location, { range: "bytes=60000-" })).status).toBe(416);
  expect((await bare(location, { range: "bytes=5-", "if-match": '"other"' })).status).toBe(412);
  expect((await fetch(location, { headers: { "if-none-match": etag } })).status).toBe(304);
});

test("every state of a log answers as at GitHub", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const job = (input: object) => simulator.control.addRun({ ...oneRun, ...input }).jobIds[0] ?? 0;
  const [empty, expired, lost] = [job({}), job({}), job({})];
  simulator.control.setLog({ jobId: empty, text: "" });
  simulator.control.setLog({ jobId: expired, kind: "expired" });
  simulator.control.setLog({ jobId: lost, kind: "blob-missing" });
  expect(await logOf(simulator, empty)).toMatchObject({ status: 200, body: "" });
  expect(await logOf(simulator, expired)).toMatchObject({
    status: 410,
    body: expect.stringContaining('"message":"Server Error"'),
  });
  expect(await logOf(simulator, lost)).toMatchObject({ status: 404, body: expect.stringContaining("BlobNotFound") });
  expect(await logOf(simulator, job({ state: "in_progress" }))).toMatchObject({
    status: 404,
    body: expect.stringContaining("BlobNotFound"),
  });
  expect(await logOf(simulator, job({ jobs: [{ name: "s", conclusion: "skipped" }] }))).toMatchObject({
    status: 404,
    body: expect.stringContaining("Not Found"),
  });
  const gone = simulator.control.addRun(oneRun);
  simulator.control.deleteLogs({ runId: gone.runId });
  expect((await logOf(simulator, gone.jobIds[0] ?? 0)).status).toBe(404);
  expect((await request(simulator, `/repos/octo-org/api/actions/jobs/${gone.jobIds[0]}`)).status).toBe(200);
  expect((await request(simulator, `/repos/octo-org/api/actions/runs/${gone.runId}`, { method: "DELETE" })).status).toBe(204);
  expect((await request(simulator, `/repos/octo-org/api/actions/jobs/${gone.jobIds[0]}`)).status).toBe(404);
});

test("a log is there only after its delay, and is gone after its retention", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0, logDelaySeconds: 30 });
  const { jobIds } = simulator.control.addRun(oneRun);
  const id = jobIds[0] ?? 0;
  expect((await logOf(simulator, id)).body).toContain("BlobNotFound");
  simulator.clock.advance(31_000);
  expect((await logOf(simulator, id)).status).toBe(200);
  simulator.clock.advance(91 * 86_400_000);
  expect((await logOf(simulator, id)).status).toBe(410);
});

test("the primary limit counts down, refuses with GitHub's words and ends with its hour", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0, rateLimits: { perHour: 3 } });
  simulator.control.addRun(oneRun);
  const left: (string | null)[] = [];
  for (let count = 0; count < 3; count++)
    left.push((await request(simulator, "/repos/octo-org/api")).headers.get("x-ratelimit-remaining"));
  expect(left).toEqual(["2", "1", "0"]);
  const refused = await request(simulator, "/repos/octo-org/api");
  expect([refused.status, refused.headers.get("x-ratelimit-remaining")]).toEqual([403, "0"]);
  expect(JSON.parse(refused.body).message).toMatch(/^API rate limit exceeded for user ID \d+\./);
  expect(Number(refused.headers.get("x-ratelimit-reset"))).toBeGreaterThan(simulator.clock.nowMs() / 1000);
  expect((await request(simulator, "/rate_limit")).status).toBe(200);
  simulator.clock.advance(3_600_000);
  expect((await request(simulator, "/repos/octo-org/api")).status).toBe(200);
});

test("a secondary limit comes with and without retry-after, while the primary one has room", async () => {
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perMinute: 2 } });
  simulator.control.secondaryLimit({ status: 429, retryAfter: "7" });
  const first = await request(simulator, "/meta");
  simulator.control.secondaryLimit({ status: 403 });
  const second = await request(simulator, "/meta");
  expect([first.status, first.headers.get("retry-after")]).toEqual([429, "7"]);
  expect([second.status, second.headers.get("retry-after")]).toEqual([403, null]);
  expect(Number(second.headers.get("x-ratelimit-remaining"))).toBeGreaterThan(4_000);
  expect(JSON.parse(second.body).message).toMatch(/^You have exceeded a secondary rate limit/);
  const statuses = [];
  for (let count = 0; count < 3; count++) statuses.push((await request(simulator, "/meta")).status);
  expect(statuses).toEqual([200, 200, 403]);
});

test("an unchanged list answers 304 to its ETag, free of charge, and another credential's ETag does not fit", async () => {
  await using simulator = await startSimulator({ scenario: "empty", credentials: [{ token: "one" }, { token: "two" }] });
  simulator.control.addRun(oneRun);
  const path = "/repos/octo-org/api/actions/runs?per_page=100";
  const first = await request(simulator, path);
  const etag = first.headers.get("etag") ?? "";
  expect(etag).toMatch(/^W\/"/);
  const again = await request(simulator, path, { headers: { "if-none-match": etag } });
  expect([again.status, again.headers.get("x-ratelimit-used")]).toEqual([304, first.headers.get("x-ratelimit-used")]);
  const other = await request(simulator, path, { headers: { "if-none-match": etag, authorization: "Bearer two" } });
  expect(other.status).toBe(200);
  simulator.control.addRun(oneRun);
  expect((await request(simulator, path, { headers: { "if-none-match": etag } })).status).toBe(200);
});

test("a filtered list of runs ends after 1,000, is counted to 2,500, and its links name the repository's id", async () => {
  const plain = { cases: "plain", jobsPerRun: 1, repositories: 1, days: 1, runsPerDay: 2_600 } as const;
  await using simulator = await startSimulator({ ...plain, rateLimits: { perHour: 100_000 } });
  const [repository] = simulator.world.repositories;
  if (repository === undefined) throw new Error("no repository");
  const filtered = `/repos/${fullNameOf(repository)}/actions/runs?created=%3E%3D2020-01-01&per_page=100`;
  const last = await request(simulator, `${filtered}&page=10`);
  expect(JSON.parse(last.body)).toMatchObject({ total_count: 2_500, workflow_runs: { length: 100 } });
  expect(last.headers.get("link")).toContain(`<${simulator.apiUrl}/repositories/${repository.id}/actions/runs?`);
  expect(last.headers.get("link")).not.toContain('rel="next"');
  expect(JSON.parse((await request(simulator, `${filtered}&page=11`)).body).workflow_runs).toEqual([]);
  const all = await request(simulator, `/repos/${fullNameOf(repository)}/actions/runs?per_page=100&page=26`);
  expect(JSON.parse(all.body)).toMatchObject({ total_count: 2_600, workflow_runs: { length: 100 } });
});

test("a GHES has its prefix and version, no limits and, when old, no attempts", async () => {
  await using simulator = await startSimulator({ face: "ghes", ghesVersion: "3.4.2", scenario: "empty" });
  const { runId } = simulator.control.addRun(oneRun);
  expect(new URL(simulator.apiUrl).pathname).toBe("/api/v3");
  const run = await request(simulator, `/repos/octo-org/api/actions/runs/${runId}`);
  expect([run.status, run.headers.get("x-github-enterprise-version"), run.headers.get("x-ratelimit-limit")]).toEqual([
    200,
    "3.4.2",
    null,
  ]);
  const limits = await request(simulator, "/rate_limit");
  expect([limits.status, limits.body]).toEqual([404, expect.stringContaining("Rate limiting is not enabled.")]);
  expect((await request(simulator, `/repos/octo-org/api/actions/runs/${runId}/attempts/1/jobs`)).status).toBe(404);
  expect((await request(simulator, "/meta")).body).toContain('"installed_version":"3.4.2"');
});

test("runs begin and end while the clock flows, and the Date header shows its time", async () => {
  await using simulator = await startSimulator({
    scenario: "empty",
    clockSpeed: 0,
    clockStart: new Date("2026-10-01T00:00:00Z"),
  });
  const { runId } = simulator.control.addRun({ ...oneRun, state: "queued" });
  const show = async () => JSON.parse((await request(simulator, `/repos/octo-org/api/actions/runs/${runId}`)).body);
  expect(await show()).toMatchObject({ status: "queued", conclusion: null });
  simulator.clock.advance(60_000);
  expect((await request(simulator, "/meta")).headers.get("date")).toBe("Thu, 01 Oct 2026 00:01:00 GMT");
  await simulator.control.completeRun({ runId, conclusion: "failure" });
  expect(await show()).toMatchObject({ status: "completed", conclusion: "failure", run_attempt: 1 });
  simulator.clock.advance(60_000);
  simulator.control.rerun({ runId, failedOnly: true, state: "in_progress" });
  expect(await show()).toMatchObject({ status: "in_progress", run_attempt: 2, created_at: "2026-09-30T23:59:59Z" });
});

test("a live world brings new runs as its clock flows", async () => {
  await using simulator = await startSimulator({ live: true, clockSpeed: 0, days: 1, runsPerDay: 10, repositories: 1 });
  const count = async () => JSON.parse((await request(simulator, "/repos/octo-org/api/actions/runs")).body).total_count;
  const before = await count();
  simulator.clock.advance(86_400_000);
  expect(await count()).toBe(before + 10);
});

test("the fifty-first re-run is refused", async () => {
  await using simulator = await startSimulator({ scenario: "empty" });
  const { runId } = simulator.control.addRun(oneRun);
  for (let count = 0; count < 50; count++) simulator.control.rerun({ runId });
  expect(() => simulator.control.rerun({ runId })).toThrow("GitHub's limit");
});

test("a run can be deleted in the moment in which a page showed it that is not the last", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0 });
  const runs = [1, 2, 3].map((each) => simulator.control.addRun({ ...oneRun, completedSecondsAgo: 60 * each }));
  for (const { runId } of runs) simulator.control.deleteRun({ runId, oncePaged: true });
  const list = async (query: string) =>
    JSON.parse((await request(simulator, `/repos/octo-org/api/actions/runs?${query}`)).body).workflow_runs.length;
  expect(await list("per_page=3")).toBe(3);
  expect(await list("per_page=2")).toBe(2);
  // The pages have shifted: the second one is empty, and the third run is on the first.
  expect(await list("per_page=2&page=2")).toBe(0);
  expect(await list("per_page=2")).toBe(1);
  expect([...simulator.world.shown.runs]).toEqual(runs.map(({ runId }) => runId));
});

test("the clock goes on from where it is at another speed", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0 });
  const frozenMs = simulator.clock.nowMs();
  simulator.control.setClockSpeed({ speed: 86_400_000 });
  await expect.poll(() => simulator.clock.nowMs()).toBeGreaterThan(frozenMs + 86_400_000);
  simulator.control.setClockSpeed({ speed: 0 });
  const stoppedMs = simulator.clock.nowMs();
  simulator.clock.advance(1_000);
  expect(simulator.clock.nowMs()).toBe(stoppedMs + 1_000);
});
