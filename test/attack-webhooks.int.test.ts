// Attacks on the fetcher's PORT without a secret: many forged deliveries, slow ones, and more connections than needed.

import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";

import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { Client } from "pg";
import { expect, test, vi } from "vitest";
import { z } from "zod";

import { forge, post, rest, sendSlowly, sign, webhookPath } from "./support/attacker.ts";
import { findFreePort } from "./support/free-port.ts";
import { mainOf, type Program, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const secret = "It's a Secret to Everybody";

type Scenario = AsyncDisposable & {
  readonly simulator: Simulator;
  readonly fetcher: Program;
  readonly client: Client;
  readonly port: number;
};

/** Opens a fetcher that has no due check for an hour. */
async function openScenario(): Promise<Scenario> {
  const stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const simulator = stack.use(await startSimulator({ scenario: "empty" }));
  simulator.control.addRepository({ repository: "octo-org/api" });
  const engines = await engineSettings(workspace);
  const port = await findFreePort();
  const settings = {
    ...githubSettings(simulator),
    ...engines,
    GITHUB_WEBHOOK_SECRET: secret,
    POLL_INTERVAL_SECONDS: "3600",
    PORT: String(port),
  };
  const client = new Client({ connectionString: engines["DATABASE_URL"] });
  await client.connect();
  stack.defer(() => client.end());
  const fetcher = stack.use(startProgram(mainOf("fetcher"), [], { cwd: workspace.folder, settings }));
  await fetcher.prints('"msg":"started"');
  await vi.waitFor(async () => expect(await countOf(client, "archive.repositories where polled_at is not null")).toBe(1), {
    timeout: 60_000,
  });
  return { simulator, fetcher, client, port, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function countOf(client: Client, from: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`select count(*) from ${from}`);
  return Number(rows[0]?.count);
}

/** @returns the transactions of this database until now, of all clients. Backends report them with a delay of a second. */
async function countTransactions(client: Client): Promise<number> {
  await rest(2);
  const { rows } = await client.query<{ count: string }>(
    "select xact_commit + xact_rollback as count from pg_stat_database where datname = current_database()",
  );
  return Number(rows[0]?.count);
}

async function residentBytes({ pid }: Program): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** Records a delivery as GitHub sends it when a job completes. */
async function recordGoodDelivery(
  scenario: Scenario,
): Promise<{ readonly body: string; readonly headers: Record<string, string> }> {
  const { control, webhooks } = scenario.simulator;
  control.setWebhook({ url: `http://127.0.0.1:${scenario.port}${webhookPath}`, secret });
  control.addRun({ repository: "octo-org/api", jobs: [{ name: "build" }] });
  await webhooks.settled();
  const delivery = webhooks.deliveries.find(({ event }) => event === "workflow_job");
  if (delivery === undefined) throw new Error("no delivery for a job");
  return delivery.request;
}

function expectJsonLines(text: string): void {
  const lines = text.trimEnd().split("\n");
  for (const line of lines) z.looseObject({ level: z.int(), msg: z.string() }).parse(JSON.parse(line));
}

test("a thousand forged deliveries a second cause no query, use no memory and delay no good delivery", async () => {
  await using scenario = await openScenario();
  const { client, fetcher } = scenario;
  const good = await recordGoodDelivery(scenario);
  const pace = { perSecond: 1_000, seconds: 6 };
  // The first thousands of requests grow a young heap.
  await forge(scenario.port, good.body, { perSecond: 1_000, seconds: 3 });
  const before = await countTransactions(client);
  await rest(pace.seconds);
  const quiet = (await countTransactions(client)) - before;
  const deliveries = await countOf(client, "archive.deliveries");
  const bytes = await residentBytes(fetcher);

  const start = await countTransactions(client);
  expect(await forge(scenario.port, good.body, pace)).toEqual({ 401: 6_000 });
  const asked = (await countTransactions(client)) - start;
  const grown = (await residentBytes(fetcher)) - bytes;
  expect(await countOf(client, "archive.deliveries")).toBe(deliveries);
  // One transaction for every twenty requests would exceed this.
  expect(asked).toBeLessThan(quiet + 300);
  expect(grown).toBeLessThan(60 * 1024 * 1024);

  const attack = forge(scenario.port, good.body, { perSecond: 1_000, seconds: 3 });
  for (let index = 0; index < 10; index++) {
    const headers = { ...good.headers, "x-github-delivery": randomUUID() };
    // GitHub abandons a delivery after 10 seconds.
    const signal = AbortSignal.timeout(10_000);
    const answer = await fetch(`http://127.0.0.1:${scenario.port}${webhookPath}`, {
      method: "POST",
      body: good.body,
      headers,
      signal,
    });
    expect(answer.status).toBe(202);
  }
  expect(await attack).toEqual({ 401: 3_000 });
  expectJsonLines(fetcher.printed());
});

test("a delivery that is replayed has no second effect, under its own id and under others, and one over 25 MB none at all", async () => {
  await using scenario = await openScenario();
  const { client } = scenario;
  const good = await recordGoodDelivery(scenario);
  const ledger = async () => {
    const { rows } = await client.query<{ text: string }>(
      "select (select json_agg(j) from archive.log_jobs j)::text || (select json_agg(r) from archive.runs r)::text as text",
    );
    return rows[0]?.text;
  };
  const deliveries = await countOf(client, "archive.deliveries");
  const before = await ledger();
  for (let index = 0; index < 50; index++) expect(await post(scenario, good.body, good.headers)).toBe(202);
  expect(await countOf(client, "archive.deliveries")).toBe(deliveries);
  for (let index = 0; index < 50; index++)
    expect(await post(scenario, good.body, { ...good.headers, "x-github-delivery": randomUUID() })).toBe(202);
  const huge = good.body.padEnd(25 * 1024 * 1024 + 1);
  const headers = { "x-github-event": "workflow_job", "x-hub-signature-256": sign(huge, secret) };
  const answer = await fetch(`http://127.0.0.1:${scenario.port}${webhookPath}`, { method: "POST", body: huge, headers });
  expect(answer.status).toBe(413);
  expect(await ledger()).toBe(before);
});

test("two hundred connections that drip, and more that send nothing, are closed while good deliveries are taken", async () => {
  await using scenario = await openScenario();
  const good = await recordGoodDelivery(scenario);
  const head = `POST ${webhookPath} HTTP/1.1\r\nhost: localhost\r\n`;
  const signed = `${head}x-hub-signature-256: ${sign("x", secret)}\r\n`;
  const starts = [`${signed}content-length: 1000\r\n\r\n`, `${signed}transfer-encoding: chunked\r\n\r\n3e8\r\n`, head, ""];
  const stop = AbortSignal.timeout(90_000);
  const slow = Promise.all(Array.from({ length: 300 }, (_, index) => sendSlowly(scenario.port, starts[index % 4] ?? "", stop)));
  const isOver = slow.then(() => true);
  let taken = 0;
  while (!(await Promise.race([isOver, rest(1).then(() => false)]))) {
    expect(await post(scenario, good.body, { ...good.headers, "x-github-delivery": randomUUID() })).toBe(202);
    taken += 1;
  }
  expect(Math.max(...(await slow))).toBeLessThan(60);
  expect(taken).toBeGreaterThan(5);
  expectJsonLines(scenario.fetcher.printed());
});

test("no more than a thousand connections are kept, and idle ones are closed first", async () => {
  await using scenario = await openScenario();
  const stop = AbortSignal.timeout(90_000);
  const idle = Promise.all(Array.from({ length: 1_300 }, () => sendSlowly(scenario.port, "", stop)));
  await rest(3);
  const descriptors = await readdir(`/proc/${scenario.fetcher.pid}/fd`);
  // The process has further descriptors: connections to Postgres and Redis, and a few files.
  expect(descriptors.length).toBeLessThan(1_150);
  expect(descriptors.length).toBeGreaterThan(900);
  expect(Math.max(...(await idle))).toBeLessThan(60);
  const good = await recordGoodDelivery(scenario);
  expect(await post(scenario, good.body, good.headers)).toBe(202);
});
