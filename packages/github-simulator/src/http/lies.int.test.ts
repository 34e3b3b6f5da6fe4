// Lies, from the view of an API client: each test compares the answer with the true one.

import { expect, test } from "vitest";

import { type Simulator, startSimulator } from "../simulator.ts";
import type { FaultInput } from "./faults.ts";
import { oddJobFields, oddRunFields } from "./lies.ts";

type Answer = { status: number; headers: Headers; text: string; ids: number[]; total: unknown; rels: string[] };
type Get = (path: string, headers?: Record<string, string>) => Promise<Answer>;

const runsPath = "/repos/octo-org/api/actions/runs";
const rest = { path: "*/actions/runs", times: "forever" } as const;

/** A repository with seven runs, read in pages of three. */
async function start(options: object = {}): Promise<{ simulator: Simulator; get: Get; page: (n: number) => Promise<Answer> }> {
  const simulator = await startSimulator({ scenario: "empty", clockSpeed: 0, ...options });
  for (let n = 0; n < 7; n++) simulator.control.addRun({ repository: "octo-org/api", completedSecondsAgo: (7 - n) * 60 });
  const get: Get = async (path, headers = {}) => {
    const response = await fetch(path.startsWith("http") ? path : simulator.apiUrl + path, {
      headers: path.startsWith("http")
        ? headers
        : { authorization: `Bearer ${simulator.token}`, "user-agent": "test", ...headers },
      redirect: "manual",
    });
    const text = await response.text();
    const body = parse(text);
    const items = body["workflow_runs"] ?? body["jobs"] ?? [];
    return {
      status: response.status,
      headers: response.headers,
      text,
      ids: (Array.isArray(items) ? items : []).map((item) => Object(item).id),
      total: body["total_count"],
      rels: [...(response.headers.get("link") ?? "").matchAll(/rel="(\w+)"/g)].map(([, rel]) => rel ?? ""),
    };
  };
  return { simulator, get, page: (n) => get(`${runsPath}?per_page=3&page=${n}`) };
}

function parse(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

const lists: [string, NonNullable<FaultInput["lie"]>, (truth: number[], all: number[]) => object][] = [
  ["empty", { kind: "empty-list" }, () => ({ ids: [], total: 3, rels: ["prev", "first"] })],
  ["empty, true count", { kind: "empty-list", totalCount: "kept" }, () => ({ ids: [], total: 7 })],
  ["empty, any count", { kind: "empty-list", totalCount: 42 }, () => ({ ids: [], total: 42 })],
  ["cut", { kind: "short-list", removeLast: 1 }, (t) => ({ ids: t.slice(0, 2), total: 5, rels: ["prev", "first"] })],
  ["kept first", { kind: "short-list", keepFirst: 1, totalCount: "kept" }, (t) => ({ ids: t.slice(0, 1), total: 7 })],
  [
    "cut, next page kept",
    { kind: "short-list", removeLast: 1, keepNext: true },
    (t) => ({ ids: t.slice(0, 2), total: 6, rels: ["prev", "next", "last", "first"] }),
  ],
  ["shifted by 1", { kind: "shifted-list" }, (_t, all) => ({ ids: all.slice(4, 7), total: 6, rels: ["prev", "first"] })],
  ["shifted by 2", { kind: "shifted-list", by: 2, totalCount: "kept" }, (_t, all) => ({ ids: all.slice(5), total: 7 })],
  ["duplicate added", { kind: "duplicate-item" }, (t) => ({ ids: [...t, t[0]], total: 8 })],
  ["duplicate in place", { kind: "duplicate-item", item: 1, inPlaceOf: -1 }, (t) => ({ ids: [t[0], t[1], t[1]], total: 7 })],
  ["no Link header", { kind: "no-link" }, (t) => ({ ids: t, total: 7, rels: [] })],
  ["greater count", { kind: "total-count", value: 5_000 }, (t) => ({ ids: t, total: 5_000 })],
  ["smaller count", { kind: "total-count", by: -6 }, (t) => ({ ids: t, total: 1 })],
];

test.each(lists)("a list page is spoiled once: %s", async (_name, lie, expected) => {
  const { simulator, get, page } = await start();
  await using _ = simulator;
  const truth = await page(2);
  const { ids: all } = await get(`${runsPath}?per_page=100`);
  const fault = simulator.control.addFault({ path: "*/actions/runs", query: "page=2", lie });
  expect((await page(1)).ids).toEqual(all.slice(0, 3));
  const lied = await page(2);
  expect(lied).toMatchObject({ status: 200, ...expected(truth.ids, all) });
  // The ETag is that of the served body.
  expect(lied.headers.get("etag") === truth.headers.get("etag")).toBe(lied.text === truth.text);
  expect(await page(2)).toMatchObject({ ids: truth.ids, total: truth.total, rels: truth.rels });
  expect(simulator.journal.entries().map((entry) => entry.fault)).toEqual([undefined, undefined, undefined, fault.id, undefined]);
});

test("a list that shifts on every page loses its first item alone", async () => {
  const { simulator, get, page } = await start();
  await using _ = simulator;
  const { ids: all } = await get(`${runsPath}?per_page=100`);
  simulator.control.addFault({ ...rest, lie: { kind: "shifted-list" } });
  expect([...(await page(1)).ids, ...(await page(2)).ids]).toEqual(all.slice(1));
});

test("a list of repositories and a list on a GHES, which have other shapes and paths, can be spoiled too", async () => {
  const { simulator, get, page } = await start({ face: "ghes" });
  await using _ = simulator;
  const { ids: all } = await get(`${runsPath}?per_page=100`);
  simulator.control.addFault({ ...rest, lie: { kind: "shifted-list" } });
  expect((await page(1)).ids).toEqual(all.slice(1, 4));
  simulator.control.addFault({ path: "/orgs/*/repos", lie: { kind: "empty-list" } });
  expect((await get("/orgs/octo-org/repos")).text).toBe("[]");
});

test("what a lie hides is not counted as shown", async () => {
  const { simulator, page } = await start();
  await using _ = simulator;
  simulator.control.addFault({ ...rest, lie: { kind: "short-list", keepFirst: 1 } });
  const { ids } = await page(1);
  expect([...simulator.world.shown.runs]).toEqual(ids);
});

test("a page is stale: the first or the previous answer, with its ETag", async () => {
  const { simulator, page } = await start();
  await using _ = simulator;
  const fault = simulator.control.addFault({ ...rest, lie: { kind: "stale-page" } });
  const first = await page(1);
  simulator.control.addRun({ repository: "octo-org/api" });
  const second = await page(1);
  expect([second.ids, second.headers.get("etag")]).toEqual([first.ids, first.headers.get("etag")]);
  simulator.control.clearFaults({ id: fault.id });
  const { ids } = await page(1);
  expect(ids).not.toEqual(first.ids);
  expect([fault.hits, fault.lastMiss]).toEqual([1, "the URL had no other answer before"]);
  simulator.control.addFault({ ...rest, lie: { kind: "stale-page", answer: "first" } });
  simulator.control.addRun({ repository: "octo-org/api" });
  expect((await page(1)).ids).toEqual(first.ids);
});

test("an as-of lie answers an earlier state that was never requested", async () => {
  const { simulator, page } = await start();
  await using _ = simulator;
  const truth = await page(1);
  simulator.control.addFault({ ...rest, lie: { kind: "as-of", secondsAgo: 200 } });
  const lied = await page(1);
  expect([lied.total, lied.ids[0]]).toEqual([Number(truth.total) - 2, truth.ids[2]]);
});

test("a changed page is answered 304 to a request with If-None-Match alone", async () => {
  const { simulator, get, page } = await start();
  await using _ = simulator;
  const etag = (await page(1)).headers.get("etag") ?? "";
  const fault = simulator.control.addFault({ ...rest, lie: { kind: "not-modified" } });
  const path = `${runsPath}?per_page=3&page=1`;
  expect([(await page(1)).status, (await get(path, { "if-none-match": etag })).status, fault.hits]).toEqual([200, 304, 0]);
  simulator.control.addRun({ repository: "octo-org/api" });
  const lied = await get(path, { "if-none-match": etag });
  expect([lied.status, lied.text, lied.headers.get("etag"), fault.hits]).toEqual([304, "", etag, 1]);
  simulator.control.clearFaults({});
  expect((await get(path, { "if-none-match": etag })).status).toBe(200);
});

test("one odd object stands among good ones, with any field changed, null or removed", async () => {
  const { simulator, page } = await start();
  await using _ = simulator;
  const truth = parse((await page(1)).text)["workflow_runs"] as object[];
  for (const patch of Object.values(oddRunFields)) {
    simulator.control.addFault({ path: rest.path, lie: { kind: "odd-object", index: 1, patch } });
    const lied = parse((await page(1)).text)["workflow_runs"];
    expect(lied).toEqual([truth[0], { ...truth[1], ...patch }, truth[2]]);
  }
  simulator.control.addFault({
    path: rest.path,
    lie: { kind: "odd-object", index: -1, patch: { actor: { login: null } }, remove: ["id"] },
  });
  const [, , last] = parse((await page(1)).text)["workflow_runs"] as Record<string, unknown>[];
  expect([last?.["id"], Object(last?.["actor"])]).toEqual([undefined, expect.objectContaining({ login: null, type: "User" })]);
  simulator.control.addFault({ path: rest.path, lie: { kind: "odd-object", patch: null } });
  expect(parse((await page(1)).text)["workflow_runs"]).toEqual([null, truth[1], truth[2]]);
});

test("a single job is odd", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  const path = `/repos/octo-org/api/actions/jobs/${[...simulator.world.jobs.keys()][0]}`;
  const truth = parse((await get(path)).text);
  for (const patch of Object.values(oddJobFields)) {
    simulator.control.addFault({ path: "*/actions/jobs/*", lie: { kind: "odd-object", patch } });
    expect(parse((await get(path)).text)).toEqual({ ...truth, ...patch });
  }
});

test("the Date header is ahead or behind, on both hosts and on a refusal", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  const jobId = [...simulator.world.jobs.keys()][0];
  const link = (await get(`/repos/octo-org/api/actions/jobs/${jobId}/logs`)).headers.get("location") ?? "";
  const offset = ({ headers }: Answer) => Math.round((Date.parse(headers.get("date") ?? "") - simulator.clock.nowMs()) / 1000);
  simulator.control.addFault({ lie: { kind: "wrong-date", seconds: 7_200 }, times: "forever" });
  const answers = [await get(runsPath), await get(runsPath, { authorization: "Bearer unknown" }), await get(link)];
  expect(answers.map(({ status }) => status)).toEqual([200, 401, 200]);
  for (const answer of answers) expect(Math.abs(offset(answer) - 7_200)).toBeLessThanOrEqual(1);
  simulator.control.clearFaults({});
  simulator.control.addFault({ lie: { kind: "wrong-date", seconds: -3_600 } });
  expect(Math.abs(offset(await get(runsPath)) + 3_600)).toBeLessThanOrEqual(1);
});

test("a status alone is answered in GitHub's words, although the object is there", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  const messages = {
    403: "Resource not accessible by integration",
    404: "Not Found",
    410: "Server Error",
    500: "Server Error",
    502: "Server Error",
  };
  for (const status of [403, 404, 410, 500, 502] as const) {
    simulator.control.addFault({ path: rest.path, lie: { kind: "error", status } });
    const lied = await get(runsPath);
    expect(lied.status).toBe(status);
    expect(parse(lied.text)).toMatchObject({ message: messages[status], status: String(status) });
    expect(Number(lied.headers.get("x-ratelimit-remaining"))).toBeGreaterThan(0);
    expect(lied.headers.get("etag")).toBeNull();
  }
  expect((await get(runsPath)).status).toBe(200);
});

test("the log host answers errors in XML, and error documents with status 200", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  const jobId = [...simulator.world.jobs.keys()][0];
  const link = (await get(`/repos/octo-org/api/actions/jobs/${jobId}/logs`)).headers.get("location") ?? "";
  simulator.control.addFault({ origin: "log", lie: { kind: "error", status: 404 } });
  expect(await get(link)).toMatchObject({ status: 404, text: expect.stringContaining("<Code>BlobNotFound</Code>") });
  for (const format of ["json", "html", "xml", "empty"] as const) {
    simulator.control.addFault({ origin: "log", lie: { kind: "document", format, contentType: "text/plain" } });
    const lied = await get(link);
    expect([lied.status, lied.headers.get("content-type"), lied.text[0]]).toEqual([200, "text/plain", documentStart[format]]);
  }
});

const documentStart = { json: "{", html: "<", xml: "<", empty: undefined } as const;

test.each(["json", "html", "xml", "empty"] as const)("a route answers 200 with an error document: %s", async (format) => {
  const { simulator, get } = await start();
  await using _ = simulator;
  simulator.control.addFault({ path: rest.path, lie: { kind: "document", format } });
  const lied = await get(runsPath);
  expect([lied.status, lied.text[0], lied.total]).toEqual([200, documentStart[format], undefined]);
});

test("a lie that does not apply is no hit, waits for an answer to which it applies, and is reported", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  const [run] = simulator.world.runs.values();
  const fault = simulator.control.addFault({ path: "*/actions/runs*", lie: { kind: "empty-list" } });
  expect((await get(`${runsPath}/${run?.id}`)).status).toBe(200);
  expect((await get(`${runsPath}?branch=none`)).total).toBe(0);
  expect(simulator.journal.entries().map((entry) => entry.fault)).toEqual([undefined, undefined]);
  expect(() => simulator.control.assertFaultsHit({})).toThrow(
    "fault-1 (empty-list, */actions/runs*) matched 2 requests: the lie changes nothing",
  );
  expect((await get(runsPath)).ids).toEqual([]);
  expect(fault.hits).toBe(1);
  simulator.control.assertFaultsHit({});
});

test("a lie that can never apply is refused", async () => {
  const { simulator } = await start();
  await using _ = simulator;
  const add = (fault: FaultInput) => () => simulator.control.addFault(fault);
  expect(add({ origin: "log", lie: { kind: "empty-list" } })).toThrow("this lie applies to answers of the API alone");
  expect(add({ status: 404, lie: { kind: "empty-list" } })).toThrow("give a lie, or a status and a body");
  expect(add({ lie: { kind: "short-list" } })).toThrow("give removeLast or keepFirst");
  const answer = await fetch(`${simulator.controlUrl}/addFault`, { method: "POST", body: '{"lie":{"kind":"empty-lisp"}}' });
  expect(answer.status).toBe(400);
});
