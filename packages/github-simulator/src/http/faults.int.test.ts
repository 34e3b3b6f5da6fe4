// Scripted faults, from the view of a client that reads raw bytes.

import { connect } from "node:net";

import { expect, test } from "vitest";

import { type Simulator, startSimulator } from "../simulator.ts";

const run = { repository: "octo-org/api", jobs: [{ name: "build", bytes: 50_000 }] };

async function start(): Promise<{
  simulator: Simulator;
  jobPath: string;
  link: () => Promise<string>;
  get: (path: string) => Promise<Response>;
}> {
  const simulator = await startSimulator({ scenario: "empty" });
  const { jobIds } = simulator.control.addRun(run);
  const headers = { authorization: `Bearer ${simulator.token}`, "user-agent": "test" };
  const get = (path: string) => fetch(simulator.apiUrl + path, { headers, redirect: "manual" });
  const jobPath = `/repos/octo-org/api/actions/jobs/${jobIds[0]}`;
  const link = async () => (await get(`${jobPath}/logs`)).headers.get("location") ?? "";
  return { simulator, jobPath, link, get };
}

/** @returns head and body as received. */
async function raw(url: string): Promise<{ head: string; body: Buffer }> {
  const { hostname, port, pathname, search } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part);
  const all = Buffer.concat(parts);
  const end = all.indexOf("\r\n\r\n");
  return { head: all.subarray(0, end).toString("latin1").toLowerCase(), body: all.subarray(end + 4) };
}

test("a canned answer hits the matching route the given number of times, and the journal names it", async () => {
  const { simulator, jobPath, get } = await start();
  await using _ = simulator;
  const fault = simulator.faults.add({
    path: "/repos/*/actions/jobs/*",
    status: 502,
    body: '{"message":"Server Error"}',
    times: 2,
    skip: 1,
  });
  const statuses = [];
  for (let count = 0; count < 4; count++) statuses.push((await get(jobPath)).status);
  expect(statuses).toEqual([200, 502, 502, 200]);
  expect((await get("/repos/octo-org/api")).status).toBe(200);
  expect(simulator.journal.entries({ status: 502 }).map((entry) => entry.fault)).toEqual([fault.id, fault.id]);
});

test("a fault without an end lasts until it is cleared", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  const fault = simulator.faults.add({ origin: "api", status: 503, times: "forever", headers: { "Retry-After": "3" } });
  const answer = await get("/meta");
  expect([answer.status, answer.headers.get("retry-after"), answer.headers.get("server")]).toEqual([503, "3", "GitHub.com"]);
  simulator.faults.clear(fault.id);
  expect((await get("/meta")).status).toBe(200);
});

test("a body is cut after exactly so many bytes under its full Content-Length", async () => {
  const { simulator, link } = await start();
  await using _ = simulator;
  simulator.faults.add({ origin: "log", cutAfterBytes: 12_345 });
  const { head, body } = await raw(await link());
  expect([head.includes("content-length: 50000"), body.length]).toEqual([true, 12_345]);
  simulator.faults.add({ origin: "log", cutAfterBytes: 12_345 });
  await expect(fetch(await link()).then((answer) => answer.text())).rejects.toThrow("terminated");
});

test("a body that ends early under a matching Content-Length appears complete", async () => {
  const { simulator, link } = await start();
  await using _ = simulator;
  simulator.faults.add({ origin: "log", endAfterBytes: 30_000 });
  const { head, body } = await raw(await link());
  expect([head.includes("content-length: 30000"), body.length]).toEqual([true, 30_000]);
});

test("a Content-Length lies in both directions", async () => {
  const { simulator, link } = await start();
  await using _ = simulator;
  simulator.faults.add({ origin: "log", contentLength: "long" });
  await expect(fetch(await link()).then((answer) => answer.text())).rejects.toThrow("terminated");
  simulator.faults.add({ origin: "log", contentLength: "short" });
  const { head, body } = await raw(await link());
  expect([head.includes("content-length: 45000"), body.length]).toEqual([true, 50_000]);
});

test("a body comes in chunks, or without any framing, as configured", async () => {
  const { simulator, link } = await start();
  await using _ = simulator;
  simulator.faults.add({ origin: "log", framing: "chunked" });
  const chunked = await fetch(await link());
  expect([chunked.headers.get("content-length"), (await chunked.bytes()).length]).toEqual([null, 50_000]);
  simulator.faults.add({ origin: "log", framing: "close" });
  const { head, body } = await raw(await link());
  expect([/content-length|transfer-encoding/.test(head), body.length]).toEqual([false, 50_000]);
});

test("a stalled body keeps the connection open and sends nothing more", async () => {
  const { simulator, link } = await start();
  await using _ = simulator;
  simulator.faults.add({ origin: "log", stallAfterBytes: 1_000 });
  const leave = new AbortController();
  const answer = await fetch(await link(), { signal: leave.signal });
  const reader = answer.body?.getReader();
  const first = await reader?.read();
  expect(first?.value?.length).toBe(1_000);
  const entry = simulator.journal.entries({ origin: "log" }).at(-1);
  expect([entry?.bytesSent, entry?.finishedAt]).toEqual([1_000, undefined]);
  const left = simulator.journal.next({ origin: "log" });
  leave.abort();
  await reader?.closed.catch(() => undefined);
  expect((await left).bytesSent).toBe(1_000);
});

test("an endless body goes on until the client leaves", async () => {
  const { simulator, link } = await start();
  await using _ = simulator;
  simulator.faults.add({ origin: "log", endless: true });
  const answer = await fetch(await link());
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > 1_000_000) break;
  }
  expect(bytes).toBeGreaterThan(1_000_000);
});

test("a redirect leads elsewhere, and a connection is reset before an answer", async () => {
  const { simulator, jobPath, get } = await start();
  await using _ = simulator;
  simulator.faults.add({ path: "*/logs", location: "http://169.254.169.254/latest" });
  const redirect = await get(`${jobPath}/logs`);
  expect([redirect.status, redirect.headers.get("location")]).toEqual([302, "http://169.254.169.254/latest"]);
  simulator.faults.add({ origin: "api", reset: true });
  await expect(get("/meta")).rejects.toThrow("fetch failed");
  expect(simulator.journal.entries().at(-1)?.status).toBe(0);
});

test("a delay is real time, and a chance hits its share, the same one every time", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  simulator.faults.add({ origin: "api", delayMs: 60 });
  const began = performance.now();
  await get("/meta");
  expect(performance.now() - began).toBeGreaterThanOrEqual(55);
  const fault = simulator.faults.add({ origin: "api", status: 500, chance: 0.3, times: "forever" });
  for (let count = 0; count < 40; count++) await get("/meta");
  expect(fault.hits).toBeGreaterThan(5);
  expect(fault.hits).toBeLessThan(20);
});

test("the control host does over HTTP what its functions do, and names what is wrong with a request", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  const call = async (name: string, input: object = {}) => {
    const answer = await fetch(`${simulator.controlUrl}/${name}`, { method: "POST", body: JSON.stringify(input) });
    return { status: answer.status, body: await answer.json() };
  };
  expect((await call("addFault", { path: "/meta", status: 418 })).body).toMatchObject({ id: "fault-1", times: 1 });
  expect((await get("/meta")).status).toBe(418);
  expect((await call("journal", { url: "/meta" })).body).toMatchObject([
    { status: 418, hasAuthorization: true, credential: "token-1" },
  ]);
  expect(JSON.stringify((await call("journal")).body)).not.toContain(simulator.token);
  expect((await call("world")).body).toMatchObject({
    jobs: [{ name: "build", expected: { state: "archived", rawBytes: 50_000 } }],
  });
  expect(await call("addFault", { statsu: 500 })).toMatchObject({
    status: 400,
    body: { message: expect.stringContaining("statsu") },
  });
  expect((await call("nothing")).status).toBe(404);
  const list = await fetch(simulator.controlUrl).then((answer) => answer.json());
  expect(Object.keys(Object(list))).toContain("advanceClock");
});

test("a fault can pick one parameter of the query", async () => {
  const { simulator, get } = await start();
  await using _ = simulator;
  simulator.faults.add({ path: "*/actions/runs", query: "per_page=100", status: 502, times: "forever" });
  const statuses = await Promise.all(
    ["per_page=100", "per_page=10", "page=1&per_page=100", "per_page=1000"].map(
      async (query) => (await get(`/repos/octo-org/api/actions/runs?${query}`)).status,
    ),
  );
  expect(statuses).toEqual([502, 200, 502, 200]);
});
