// Deliveries through the route into a database: what is stored, what is refused without a trace, and what happens when the
// database is unavailable or rejects a row.

import { createHmac } from "node:crypto";

import { createLogger } from "@actions-archive/core/logger";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { openGitHub } from "@actions-archive/github/github";
import { createProcessBudget } from "@actions-archive/github/transport/process-budget";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { Hono } from "hono";
import { Client } from "pg";
import { expect, test } from "vitest";

import { receiveDelivery, recordStoredDeliveries } from "./receive-delivery.ts";
import { addWebhookRoute, webhookPath } from "./webhook-route.ts";

const log = createLogger("test", "silent");
const secret = "hush";
const repository = { id: 7, full_name: "octo-org/api" };

async function openReceiver() {
  const stack = new AsyncDisposableStack();
  const { db, url } = stack.use(await openTestDatabase());
  const github = stack.use(
    openGitHub({
      apiUrl: new URL("http://127.0.0.1:9"),
      credentials: { kind: "token", token: "none" },
      logHosts: [],
      budget: createProcessBudget(),
      log,
    }),
  );
  await selectRepositories(db, [{ repository_id: 7, full_name: "octo-org/api", is_private: false }]);
  const receiver = { db, github, log };
  const app = new Hono();
  addWebhookRoute(app, { secrets: [secret], receive: (delivery) => receiveDelivery(receiver, delivery), log });
  return { ...receiver, app, url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function jobPayload(id: number, fields: object = {}): object {
  const times = { started_at: "2026-11-01T11:00:00Z", completed_at: "2026-11-01T11:05:00Z" };
  const workflow_job = { id, run_id: 700, run_attempt: 1, name: "build", status: "completed", steps: [], ...times, ...fields };
  return { action: "completed", repository, workflow_job };
}

function send(app: Hono, event: string, payload: object, by = secret): Promise<Response> {
  const body = JSON.stringify(payload);
  const headers = {
    "x-github-event": event,
    "x-github-delivery": crypto.randomUUID(),
    "x-hub-signature-256": `sha256=${createHmac("sha256", by).update(body).digest("hex")}`,
  };
  return Promise.resolve(app.request(webhookPath, { method: "POST", body, headers }));
}

test("a completed job is in the ledger when its delivery is answered, within a second", async () => {
  await using receiver = await openReceiver();
  await send(receiver.app, "workflow_job", jobPayload(69));
  const began = performance.now();
  const answer = await send(receiver.app, "workflow_job", jobPayload(70));
  expect(performance.now() - began).toBeLessThan(500);
  expect([answer.status, await answer.json()]).toEqual([202, { outcome: "recorded" }]);
  const rows = await receiver.db.selectFrom("archive.log_jobs").select(["job_id", "log_state"]).orderBy("job_id").execute();
  expect(rows).toEqual([
    { job_id: 69, log_state: "pending" },
    { job_id: 70, log_state: "pending" },
  ]);
});

test("a thousand forged deliveries leave no row and cause no query", async () => {
  await using receiver = await openReceiver();
  await receiver.db.destroy();
  const forged = Array.from({ length: 1_000 }, (_, id) => send(receiver.app, "workflow_job", jobPayload(id + 1), "guessed"));
  expect(new Set((await Promise.all(forged)).map(({ status }) => status))).toEqual(new Set([401]));
  await using again = await openDatabase({ url: receiver.url, applicationName: "test" });
  expect(await again.db.selectFrom("archive.deliveries").select("guid").execute()).toEqual([]);
  expect(await again.db.selectFrom("archive.log_jobs").select("job_id").execute()).toEqual([]);
});

test("hostile names, sizes and fields are stored literally and do no harm", async () => {
  await using receiver = await openReceiver();
  const hostile = [
    { name: "a".repeat(1_000_000) },
    { name: "nul\0 and half a pair \ud800 and '; drop table archive.jobs; --" },
    { name: 7, labels: "all", runner_name: ["r"], steps: "none", conclusion: {} },
    { steps: Array.from({ length: 5_000 }, (_, at) => ({ number: at, name: "s".repeat(100), status: "completed" })) },
    { steps: [null, 1, { number: -1 }, { number: 2 ** 40 }, { number: 1 }, { number: 1 }] },
  ];
  for (const [at, fields] of hostile.entries()) {
    const answer = await send(receiver.app, "workflow_job", jobPayload(100 + at, fields));
    expect([answer.status, await answer.json()], String(at)).toEqual([202, { outcome: "recorded" }]);
  }
  const passedOver = [
    await send(receiver.app, "workflow_job", { action: "completed", repository, workflow_job: null }),
    await send(receiver.app, "workflow_job", jobPayload(200, { run_attempt: 2_000_000_000 })),
    await send(receiver.app, "workflow_job", jobPayload(201, { completed_at: "2999-01-01T00:00:00Z" })),
    await send(receiver.app, "workflow_run", { action: "completed", repository, workflow_run: { id: 1 } }),
    await send(receiver.app, "workflow_dance", jobPayload(202)),
    await send(receiver.app, "workflow_job", { ...jobPayload(203), repository: { id: 8, full_name: "octo-org/other" } }),
  ];
  expect(passedOver.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202, 202]);
  const rows = await receiver.db.selectFrom("archive.log_jobs").select("job_id").orderBy("job_id").execute();
  expect(rows.map(({ job_id }) => job_id)).toEqual([100, 101, 102, 103, 104]);
  const outcomes = await receiver.db.selectFrom("archive.deliveries").select("outcome").execute();
  expect(outcomes.filter(({ outcome }) => outcome === "ignored")).toHaveLength(4);
});

test("a delivery that the ledger rejects is stored as received and recorded later; when it cannot be stored, the answer is 503", async () => {
  await using receiver = await openReceiver();
  const admin = new Client({ connectionString: receiver.url });
  await admin.connect();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => admin.end());
  await admin.query("alter table archive.log_jobs rename to log_jobs_away");
  const stored = await send(receiver.app, "workflow_job", jobPayload(70));
  expect([stored.status, await stored.json()]).toEqual([202, { outcome: "stored" }]);
  expect(await recordStoredDeliveries(receiver)).toBe(0);

  await admin.query("alter table archive.deliveries rename to deliveries_away");
  const began = performance.now();
  expect((await send(receiver.app, "workflow_job", jobPayload(71))).status).toBe(503);
  expect(performance.now() - began).toBeLessThan(1_000);

  await admin.query("alter table archive.deliveries_away rename to deliveries");
  await admin.query("alter table archive.log_jobs_away rename to log_jobs");
  expect(await recordStoredDeliveries(receiver)).toBe(1);
  expect(await recordStoredDeliveries(receiver)).toBe(0);
  expect(await receiver.db.selectFrom("archive.log_jobs").select("job_id").execute()).toEqual([{ job_id: 70 }]);
  const kept = await receiver.db.selectFrom("archive.deliveries").select(["outcome", "body", "problem"]).execute();
  expect(kept).toEqual([{ outcome: "recorded", body: null, problem: null }]);
});

test("an unavailable database causes a 503", async () => {
  await using receiver = await openReceiver();
  await using away = await openDatabase({ url: receiver.url, applicationName: "test", maxConnections: 1 });
  const admin = new Client({ connectionString: new URL("/postgres", receiver.url).href });
  await admin.connect();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => admin.end());
  const name = new URL(receiver.url).pathname.slice(1);
  // New connections are refused, and open ones are closed.
  await admin.query(`alter database ${name} allow_connections false`);
  await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [name]);
  const app = new Hono();
  addWebhookRoute(app, {
    secrets: [secret],
    receive: (delivery) => receiveDelivery({ ...receiver, db: away.db }, delivery),
    log,
  });
  expect((await send(app, "workflow_job", jobPayload(70))).status).toBe(503);
  await admin.query(`alter database ${name} allow_connections true`);
  expect((await send(app, "workflow_job", jobPayload(70))).status).toBe(202);
});
