// Failed deliveries: a simulated GitHub redelivers them to the route and a database when its App requests it.

import { createHealthApp, listen } from "@actions-archive/core/health";
import { createLogger } from "@actions-archive/core/logger";
import { Metrics } from "@actions-archive/core/metrics";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { startSimulator, type Simulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import type { Credentials } from "@actions-archive/github/credentials/credential-store";
import { openGitHub } from "@actions-archive/github/github";
import { parseLogHosts } from "@actions-archive/github/transport/log-hosts";
import { createProcessBudget } from "@actions-archive/github/transport/process-budget";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { receiveDelivery } from "./receive-delivery.ts";
import { sweepDeliveries } from "./sweep-deliveries.ts";
import { addWebhookRoute, webhookPath } from "./webhook-route.ts";

const log = createLogger("test", "silent");
const secret = "hush";
const { signal } = new AbortController();
/** No server listens on the discard port. */
const nowhere = "http://127.0.0.1:9/webhooks/github";

function credentialsOf({ app, token }: Simulator, kind: Credentials["kind"]): Credentials {
  if (kind === "token") return { kind, token };
  return { kind, appId: String(app?.id), privateKey: app?.privateKey ?? "" };
}

async function openFetcher(kind: Credentials["kind"] = "app") {
  const stack = new AsyncDisposableStack();
  const simulator = stack.use(
    await startSimulator({ repositories: 2, days: 0, clockSpeed: 0, app: { id: 12 }, webhook: { url: nowhere, secret } }),
  );
  const { db } = stack.use(await openTestDatabase());
  const github = stack.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: credentialsOf(simulator, kind),
      logHosts: parseLogHosts(simulator.logOrigin),
      budget: createProcessBudget({ now: () => simulator.clock.now() }),
      log,
    }),
  );
  const fetcher = { db, github, log };
  const app = createHealthApp({}, new Metrics());
  addWebhookRoute(app, { secrets: [secret], receive: (delivery) => receiveDelivery(fetcher, delivery), log });
  const server = stack.use(await listen(app, 0));
  const [selected, other] = simulator.world.repositories;
  if (selected === undefined || other === undefined) throw new Error("the world has two repositories");
  await selectRepositories(db, [{ repository_id: selected.id, full_name: fullNameOf(selected), is_private: false }]);
  const countRequests = () => simulator.journal.entries({ origin: "api", method: "POST", url: "/attempts" }).length;
  return {
    ...fetcher,
    simulator,
    countRequests,
    selected: fullNameOf(selected),
    other: fullNameOf(other),
    listen: () => simulator.control.setWebhook({ url: `http://127.0.0.1:${server.port}${webhookPath}`, secret }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test("a failed delivery is requested again until it arrives and is recorded, and then never again", async () => {
  await using fetcher = await openFetcher();
  const { db, simulator, countRequests } = fetcher;
  const { jobIds } = simulator.control.addRun({ repository: fetcher.selected, jobs: [{ name: "a" }, { name: "b" }] });
  simulator.control.addRun({ repository: fetcher.other });
  await simulator.webhooks.settled();
  const failed = simulator.webhooks.deliveries.length;
  expect(failed).toBeGreaterThan(8);

  fetcher.listen();
  const sweep = await sweepDeliveries(fetcher, { signal });
  // Two jobs and their run, without events of queued or running jobs and of the repository that is not archived.
  expect([sweep.requested, countRequests()]).toEqual([3, 3]);
  await simulator.webhooks.settled();
  const jobs = await db.selectFrom("archive.log_jobs").select("job_id").orderBy("job_id").execute();
  expect(jobs.map(({ job_id }) => job_id)).toEqual(jobIds.toSorted((a, b) => a - b));
  const deliveries = await db.selectFrom("archive.deliveries").select(["outcome", "redelivery_requests"]).execute();
  expect(deliveries).toEqual(Array.from({ length: 3 }, () => ({ outcome: "recorded", redelivery_requests: 1 })));

  expect((await sweepDeliveries(fetcher, { signal, gapSeconds: 0 })).requested).toBe(0);
  expect((await sweepDeliveries(fetcher, { signal, gapSeconds: 0, sweptUntil: sweep.sweptUntil })).requested).toBe(0);
});

test("a delivery that keeps failing is requested three times, and not at shorter intervals", async () => {
  await using fetcher = await openFetcher();
  const { simulator, countRequests } = fetcher;
  const { jobIds } = simulator.control.addRun({ repository: fetcher.selected });
  await simulator.webhooks.settled();
  expect(jobIds).toHaveLength(1);
  for (const expected of [2, 2]) {
    await sweepDeliveries(fetcher, { signal });
    await simulator.webhooks.settled();
    expect(countRequests()).toBe(expected);
  }
  for (const expected of [4, 6, 6]) {
    await sweepDeliveries(fetcher, { signal, gapSeconds: 0 });
    await simulator.webhooks.settled();
    expect(countRequests()).toBe(expected);
  }
});

test("deliveries older than GitHub keeps, or before an earlier sweep, are skipped", async () => {
  await using fetcher = await openFetcher();
  const { simulator, countRequests } = fetcher;
  simulator.control.addRun({ repository: fetcher.selected });
  await simulator.webhooks.settled();
  simulator.clock.advance(2 * 60 * 60 * 1000);
  const sweptUntil = simulator.clock.now();
  expect((await sweepDeliveries(fetcher, { signal, sweptUntil })).requested).toBe(0);
  expect(countRequests()).toBe(0);
});

test("with a token no redelivery is requested", async () => {
  await using fetcher = await openFetcher("token");
  expect(await sweepDeliveries(fetcher, { signal })).toEqual({ requested: 0, sweptUntil: undefined });
  expect(fetcher.simulator.journal.entries({ origin: "api" })).toEqual([]);
});

test("a rate limit ends the sweep and leaves the rest to the next", async () => {
  await using fetcher = await openFetcher();
  const { simulator, countRequests } = fetcher;
  simulator.control.addRun({ repository: fetcher.selected });
  await simulator.webhooks.settled();
  simulator.control.secondaryLimit({ retryAfter: "60" });
  await expect(sweepDeliveries(fetcher, { signal })).rejects.toMatchObject({ code: "github/rate-limited" });
  expect(countRequests()).toBe(0);
});

test.each([3_600_000, -3_600_000])("a Date that is %d ms wrong does not change where the next sweep begins", async (skewMs) => {
  await using fetcher = await openFetcher();
  const { simulator } = fetcher;
  const date = new Date(simulator.clock.nowMs() + skewMs).toUTCString();
  simulator.faults.add({ path: "/app/hook/deliveries", headers: { date }, times: "forever" });
  const { sweptUntil } = await sweepDeliveries(fetcher, { signal });
  expect(Math.abs((sweptUntil?.getTime() ?? 0) - simulator.clock.nowMs())).toBeLessThan(60_000);
});
