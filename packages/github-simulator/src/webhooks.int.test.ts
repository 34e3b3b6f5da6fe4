// Webhooks: signed, in order, and unreliable as configured.

import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

import { Octokit } from "@octokit/rest";
import { expect, test, vi } from "vitest";

import { startSimulator } from "./simulator.ts";
import { hookId } from "./webhooks.ts";

type Received = { readonly headers: Record<string, unknown>; readonly raw: Buffer; readonly body: Record<string, unknown> };

async function startReceiver(
  status = 202,
): Promise<AsyncDisposable & { url: string; received: Received[]; answerWith: (status: number) => void }> {
  const received: Received[] = [];
  let answer = status;
  const receive = async (request: IncomingMessage, response: ServerResponse) => {
    const raw = await buffer(request);
    received.push({ headers: { ...request.headers }, raw, body: JSON.parse(raw.toString("utf8")) });
    response.writeHead(answer).end("ok");
  };
  const server = createServer((request, response) => void receive(request, response));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/github`,
    received,
    answerWith: (next) => {
      answer = next;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const secret = "hush";
const labels = (received: readonly Received[]) =>
  received.map(({ headers, body }) => `${String(headers["x-github-event"])} ${String(body["action"])}`);

test("a run that ends sends its events in order, each signed over its raw body", async () => {
  await using receiver = await startReceiver();
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0, webhook: { url: receiver.url, secret } });
  const { runId, jobIds } = simulator.control.addRun({ repository: "octo-org/api", state: "in_progress" });
  await vi.waitFor(() => expect(receiver.received).toHaveLength(4));
  simulator.clock.advance(60_000);
  await simulator.control.completeRun({ runId });
  expect(labels(receiver.received)).toEqual([
    "workflow_run requested",
    "workflow_job queued",
    "workflow_run in_progress",
    "workflow_job in_progress",
    "workflow_job completed",
    "workflow_run completed",
  ]);
  for (const { headers, raw } of receiver.received) {
    expect(headers["x-hub-signature-256"]).toBe(`sha256=${createHmac("sha256", secret).update(raw).digest("hex")}`);
  }
  const completed = receiver.received[4]?.body["workflow_job"];
  expect(completed).toMatchObject({ id: jobIds[0], run_id: runId, status: "completed", conclusion: "success" });
});

test("a job that lags behind its run sends its completed event when its lag has passed", async () => {
  await using receiver = await startReceiver();
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0, webhook: { url: receiver.url, secret } });
  const { runId } = simulator.control.addRun({ repository: "octo-org/api", state: "in_progress" });
  await vi.waitFor(() => expect(receiver.received).toHaveLength(4));
  await simulator.control.completeRun({ runId, jobs: [{ name: "build", lagSeconds: 60 }] });
  expect(labels(receiver.received).slice(4)).toEqual(["workflow_run completed"]);
  simulator.clock.advance(60_000);
  await vi.waitFor(() => expect(labels(receiver.received).slice(5)).toEqual(["workflow_job completed"]));
  expect(receiver.received[5]?.body["workflow_job"]).toMatchObject({ status: "completed", conclusion: "success" });
});

test("what begins and ends while the clock flows reaches the hook by itself", async () => {
  await using receiver = await startReceiver();
  const live = {
    live: true,
    clockSpeed: 20_000,
    repositories: 1,
    days: 0,
    runsPerDay: 40,
    cases: "plain",
    jobsPerRun: 1,
  } as const;
  await using simulator = await startSimulator({ ...live, webhook: { url: receiver.url, secret, events: ["workflow_job"] } });
  await vi.waitFor(() => expect(labels(receiver.received)).toContain("workflow_job completed"), {
    timeout: 10_000,
    interval: 20,
  });
  expect(simulator.webhooks.deliveries.length).toBeGreaterThan(2);
});

test("deliveries are lost, doubled, reordered and forged on demand", async () => {
  await using receiver = await startReceiver();
  await using simulator = await startSimulator({
    scenario: "empty",
    clockSpeed: 0,
    webhook: { url: receiver.url, secret, events: ["workflow_job"] },
  });
  const { control } = simulator;
  control.dropWebhooks({ next: 3 });
  const { jobIds } = control.addRun({ repository: "octo-org/api" });
  await simulator.webhooks.settled();
  expect(receiver.received).toHaveLength(0);
  const jobId = jobIds[0] ?? 0;
  await control.sendWebhook({ jobId, times: 2 });
  expect(new Set(receiver.received.map(({ headers }) => headers["x-github-delivery"])).size).toBe(1);
  control.holdWebhooks({});
  await control.sendWebhook({ jobId, action: "queued" });
  await control.sendWebhook({ jobId, action: "completed" });
  await control.releaseWebhooks({ order: "reverse" });
  expect(labels(receiver.received.slice(2))).toEqual(["workflow_job completed", "workflow_job queued"]);
  await control.sendWebhook({ jobId, forged: true });
  expect(receiver.received.at(-1)?.headers["x-hub-signature-256"]).toBe(`sha256=${"0".repeat(64)}`);
});

test("over an unreliable way events are lost, doubled and overtake each other, and repositories without the hook send none", async () => {
  await using receiver = await startReceiver();
  const start = (unreliable: { lost: number; doubled: number; lanes: number }) =>
    startSimulator({
      days: 0,
      repositories: 2,
      clockSpeed: 0,
      webhook: { url: receiver.url, secret, events: ["workflow_job"], repositories: ["octo-org/api"], unreliable },
    });
  const jobs = Array.from({ length: 20 }, (_, index) => ({ name: `job ${index}` }));
  const send = async (unreliable: { lost: number; doubled: number; lanes: number }) => {
    await using simulator = await start(unreliable);
    receiver.received.length = 0;
    simulator.control.addRun({ repository: "octo-org/web", jobs });
    simulator.control.addRun({ repository: "octo-org/api", jobs });
    await simulator.webhooks.settled();
    return { sent: labels(receiver.received), simulator };
  };
  const { sent: reliable } = await send({ lost: 0, doubled: 0, lanes: 1 });
  expect(reliable).toHaveLength(60);
  expect((await send({ lost: 1, doubled: 0, lanes: 1 })).sent).toEqual([]);
  expect((await send({ lost: 0, doubled: 1, lanes: 1 })).sent).toHaveLength(120);
  const { sent: shuffled, simulator } = await send({ lost: 0, doubled: 0, lanes: 8 });
  expect(shuffled).not.toEqual(reliable);
  expect(shuffled.toSorted()).toEqual(reliable.toSorted());
  // An archive must have what was delivered: all jobs of the one repository as completed, and no run.
  expect([simulator.world.shown.jobs.size, simulator.world.shown.runs.size]).toEqual([20, 0]);
});

test("a payload shows the time of its event, however late it is sent", async () => {
  await using receiver = await startReceiver();
  await using simulator = await startSimulator({ scenario: "empty", clockSpeed: 0, webhook: { url: receiver.url, secret } });
  const { runId } = simulator.control.addRun({ repository: "octo-org/api", completedSecondsAgo: 60 });
  simulator.control.rerun({ runId });
  await simulator.webhooks.settled();
  const runs = receiver.received.flatMap(({ body }) => (body["workflow_run"] === undefined ? [] : [body["workflow_run"]]));
  expect(runs).toMatchObject([
    { run_attempt: 1, status: "queued" },
    { run_attempt: 1, status: "in_progress" },
    { run_attempt: 1, status: "completed" },
    { run_attempt: 2 },
    { run_attempt: 2 },
    { run_attempt: 2, status: "completed" },
  ]);
});

test("failed deliveries are listed by cursor, shown, and sent again under the same guid", async () => {
  await using receiver = await startReceiver(503);
  await using simulator = await startSimulator({
    scenario: "empty",
    clockSpeed: 0,
    webhook: { url: receiver.url, secret, events: ["workflow_job"] },
  });
  simulator.control.addRun({ repository: "octo-org/api", jobs: [{ name: "a" }, { name: "b" }] });
  await vi.waitFor(() => expect(receiver.received).toHaveLength(6));
  await simulator.webhooks.settled();
  const octokit = new Octokit({ baseUrl: simulator.apiUrl, auth: simulator.token });
  const hook = { owner: "octo-org", repo: "api", hook_id: hookId };
  const listed = [];
  for await (const page of octokit.paginate.iterator(octokit.rest.repos.listWebhookDeliveries, { ...hook, per_page: 4 }))
    listed.push(page.data.length);
  expect(listed).toEqual([4, 2]);
  const failures = await octokit.request("GET /orgs/{org}/hooks/{hook_id}/deliveries", {
    org: "octo-org",
    hook_id: hookId,
    status: "failure",
  });
  const [first] = failures.data;
  expect(first).toMatchObject({ status_code: 503, event: "workflow_job", redelivery: false });
  const detail = await octokit.rest.repos.getWebhookDelivery({ ...hook, delivery_id: Number(first?.id) });
  expect(detail.data.request.payload).toMatchObject({ workflow_job: { status: "completed" } });
  receiver.answerWith(202);
  await octokit.rest.repos.redeliverWebhookDelivery({ ...hook, delivery_id: Number(first?.id) });
  await vi.waitFor(() => expect(receiver.received).toHaveLength(7));
  expect(receiver.received.at(-1)?.headers["x-github-delivery"]).toBe(first?.guid);
  simulator.clock.advance(4 * 86_400_000);
  expect((await octokit.rest.repos.listWebhookDeliveries(hook)).data).toEqual([]);
});
