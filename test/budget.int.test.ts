// Four load clients, one with a clock two hours off, send requests on one credential as fast as the budget allows. The simulator's journal
// must show no request above the limit less the reserve, and none after one of the processes was limited.

import { startSimulator, type Simulator } from "@actions-archive/github-simulator/simulator";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Client } from "pg";
import { expect, test } from "vitest";

import { type LoadClients, type LoadClientsOptions, requestsOf, startLoadClients, startedAfter } from "./support/load-clients.ts";
import { openWorkspace } from "./support/workspace.ts";

/** Opens load clients with their own database. Pauses keep the 900 requests of a minute from running out before the test has seen enough. */
async function openLoadClients(
  simulator: Simulator,
  pace: Pick<LoadClientsOptions, "atOnce" | "restMs">,
): Promise<LoadClients & { readonly databaseUrl: string }> {
  await using stack = new AsyncDisposableStack();
  const { folder } = stack.use(await openWorkspace());
  const databaseUrl = await createTestDatabase({ migrated: true });
  const clients = stack.use(await startLoadClients(simulator, { databaseUrl, folder, ...pace }));
  const opened = stack.move();
  return { ...clients, databaseUrl, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function stopAll(clients: LoadClients): Promise<void> {
  for (const end of await clients.stop()) expect(end).toEqual({ code: 0, stderr: "" });
}

test("four processes on one credential with 200 requests an hour send 160, and leave the reserve of 20 % alone", async () => {
  await using simulator = await startSimulator({ rateLimits: { perHour: 200 }, repositories: 2, days: 1 });
  await using clients = await openLoadClients(simulator, { atOnce: 5 });
  // Each process retries for more than a second after the last request was sent.
  await Promise.all(clients.programs.map((program) => program.prints("refused", 150)));
  await stopAll(clients);
  expect(requestsOf(simulator)).toHaveLength(160);
  expect(requestsOf(simulator).every(({ status }) => status === 200)).toBe(true);
});

test("a limit that is used up by others stops all four processes within the second", async () => {
  await using simulator = await startSimulator({ repositories: 2, days: 1 });
  await using clients = await openLoadClients(simulator, { atOnce: 5, restMs: 1_000 });
  await expect.poll(() => requestsOf(simulator).length, { timeout: 20_000 }).toBeGreaterThan(150);
  simulator.control.setRateLimit({ token: simulator.token, remaining: 0, resetInSeconds: 600 });
  const limiting = await simulator.journal.next({ origin: "api", status: 403 });
  await Promise.all(clients.programs.map((program) => program.prints("refused", 200)));
  await stopAll(clients);
  expect(startedAfter(simulator, limiting)).toEqual([]);
});

test.each([
  ["403 with Retry-After in seconds", 403, "30", 30],
  ["429 with Retry-After as a date", 429, "date", 30],
  ["403 without Retry-After", 403, undefined, 60],
] as const)("one %s stops all four processes, and another installation goes on", async (_, status, retryAfter, seconds) => {
  await using simulator = await startSimulator({ owners: 2, repositories: 2, days: 1, cases: "plain", app: { id: 7 } });
  await using clients = await openLoadClients(simulator, { atOnce: 3, restMs: 1_000 });
  const installations = simulator.app?.installations.map(({ id }) => `installation-${id}`) ?? [];
  for (const id of installations)
    await expect.poll(() => requestsOf(simulator, id).length, { timeout: 20_000 }).toBeGreaterThan(50);
  const date = new Date(simulator.clock.nowMs() + 30_000).toUTCString();
  const header = retryAfter === "date" ? date : retryAfter;
  simulator.control.secondaryLimit({ status, ...(header === undefined ? {} : { retryAfter: header }) });
  const limiting = await simulator.journal.next({ origin: "api", status });
  const other = installations.find((id) => id !== limiting.credential) ?? "";
  const before = requestsOf(simulator, other).length;
  await Promise.all(clients.programs.map((program) => program.prints("refused", 60)));
  await expect.poll(() => requestsOf(simulator, other).length, { timeout: 20_000 }).toBeGreaterThan(before + 20);
  const pauses = await pausesOf(clients.databaseUrl);
  await stopAll(clients);
  expect(startedAfter(simulator, limiting)).toEqual([]);
  expect(pauses).toEqual([{ credential: limiting.credential, seconds: expect.closeTo(seconds, -1.2) }]);
  expect(requestsOf(simulator, other).every((entry) => entry.status === 200)).toBe(true);
});

async function pausesOf(databaseUrl: string): Promise<{ credential: string; seconds: number }[]> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ credential: string; seconds: number }>(
    `select credential, extract(epoch from paused_until - now())::float8 as seconds
      from archive.credentials where paused_until > now()`,
  );
  await client.end();
  return rows;
}
