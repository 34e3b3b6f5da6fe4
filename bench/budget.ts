// The shared budget under load: four processes, one with a clock two hours off, send requests on shared credentials as fast as allowed.
// Checked against the simulator's journal. Musts: at most 80 % of 5,000 requests an hour, at most 900 in any minute; none that starts more
// than a second after a limiting answer; another installation is not affected. Aim: 14 requests a second. Takes 6 minutes, because a
// minute's 900 requests are used within seconds.
// npx pnpm exec node bench/budget.ts

import { setTimeout as sleep } from "node:timers/promises";

import { minuteMs } from "@actions-archive/core/durations";
import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import type { SimulatorOptions } from "@actions-archive/github-simulator/options";
import { startSimulator } from "@actions-archive/github-simulator/simulator";

import { type LoadClientsOptions, requestsOf, startLoadClients, startedAfter } from "../test/support/load-clients.ts";
import { type Figure, report } from "./support/report.ts";
import { openServers } from "./support/servers.ts";
import { until } from "./support/wait.ts";

const perHour = 5_000;
const left = 0.8 * perHour;
const perMinute = 900;

await using servers = await openServers();
const world = { repositories: 2, days: 1, cases: "plain" } as const;

async function openScene(options: SimulatorOptions, pace: Pick<LoadClientsOptions, "atOnce" | "restMs">) {
  await using stack = new AsyncDisposableStack();
  const simulator = stack.use(await startSimulator({ ...world, ...options }));
  const clients = stack.use(
    await startLoadClients(simulator, { databaseUrl: await servers.createDatabase(), folder: servers.folder, ...pace }),
  );
  const opened = stack.move();
  return { simulator, clients, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** @returns the maximum number of requests that arrived within a minute. */
function maxPerMinute(entries: readonly JournalEntry[]): number {
  const times = entries.map(({ receivedAt }) => receivedAt.getTime());
  let [most, first] = [0, 0];
  for (const [index, time] of times.entries()) {
    while ((times[first] ?? 0) <= time - minuteMs) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

/** The share of a whole hour is used completely, and not exceeded. */
async function measureHour(): Promise<Figure[]> {
  await using scene = await openScene({ rateLimits: { perHour, perMinute } }, { atOnce: 6 });
  const { simulator, clients } = scene;
  await Promise.all(clients.programs.map((program) => program.prints("refused", 120)));
  await clients.stop();
  const asked = requestsOf(simulator);
  const timeOf = (index: number) => asked[index]?.receivedAt.getTime() ?? 0;
  const first = timeOf(0);
  // A minute's requests arrive in a burst of seconds. The sustained rate is counted up to the beginning of the last burst.
  const lastBegins = asked.findLastIndex((_, index) => index > 0 && timeOf(index) - timeOf(index - 1) > minuteMs / 2);
  return [
    { what: "requests of 5,000 with a reserve of 20 %", measured: asked.length, limit: { kind: "must", atMost: left } },
    { what: "the same: all that are ours", measured: asked.length, limit: { kind: "must", atLeast: left } },
    {
      what: "answers that were a limit",
      measured: asked.filter(({ status }) => status !== 200).length,
      limit: { kind: "must", atMost: 0 },
    },
    { what: "most requests in any 60 s", measured: maxPerMinute(asked), limit: { kind: "must", atMost: perMinute } },
    {
      what: "requests in the first 15 s",
      measured: asked.filter(({ receivedAt }) => receivedAt.getTime() - first < 15_000).length,
    },
    {
      what: "requests a second, sustained",
      measured: (lastBegins * 1_000) / (timeOf(lastBegins) - first),
      limit: { kind: "aim", atLeast: 14 },
    },
  ];
}

/** Other clients use up the hour's limit. */
async function measurePrimary(): Promise<Figure[]> {
  await using scene = await openScene({}, { atOnce: 6, restMs: 500 });
  const { simulator, clients } = scene;
  await until(() => requestsOf(simulator).length > 150, 30_000);
  simulator.control.setRateLimit({ token: simulator.token, remaining: 0, resetInSeconds: 600 });
  const limiting = await simulator.journal.next({ origin: "api", status: 403 });
  await Promise.all(clients.programs.map((program) => program.prints("refused", 200)));
  await clients.stop();
  return [lateFigure("primary limit used up by others", startedAfter(simulator, limiting).length)];
}

type Secondary = { readonly what: string; readonly status: 403 | 429; readonly retryAfter: "seconds" | "date" | "none" };

async function measureSecondary({ what, status, retryAfter }: Secondary): Promise<Figure[]> {
  const options = { owners: 2, app: { id: 7 } };
  await using scene = await openScene(options, { atOnce: 5, restMs: 2_000 });
  const { simulator, clients } = scene;
  const installations = simulator.app?.installations.map(({ id }) => `installation-${id}`) ?? [];
  for (const id of installations) await until(() => requestsOf(simulator, id).length > 60, 60_000);
  const header = { seconds: "30", date: new Date(simulator.clock.nowMs() + 30_000).toUTCString(), none: undefined }[retryAfter];
  const ordered = Date.now();
  simulator.control.secondaryLimit({ status, ...(header === undefined ? {} : { retryAfter: header }) });
  const limiting = await simulator.journal.next({ origin: "api", status });
  await Promise.all(clients.programs.map((program) => program.prints("refused", 200)));
  await sleep(Math.max(0, ordered + 10_000 - Date.now()));
  await clients.stop();
  const other = requestsOf(
    simulator,
    installations.find((id) => id !== limiting.credential),
  );
  const limitedAt = limiting.finishedAt?.getTime() ?? 0;
  const count = (fromMs: number, toMs: number) =>
    other.filter(({ receivedAt }) => receivedAt.getTime() >= limitedAt + fromMs && receivedAt.getTime() < limitedAt + toMs)
      .length;
  return [
    lateFigure(what, startedAfter(simulator, limiting).length),
    {
      what: `${what}: pace of the other installation, 8 s after to 4 s before`,
      measured: count(0, 8_000) / 2 / Math.max(1, count(-4_000, 0)),
      limit: { kind: "must", atLeast: 0.8 },
    },
    {
      what: `${what}: its refused answers`,
      measured: other.filter((entry) => entry.status !== 200).length,
      limit: { kind: "must", atMost: 0 },
    },
  ];
}

function lateFigure(what: string, late: number): Figure {
  return { what: `${what}: requests over 1 s after the answer`, measured: late, limit: { kind: "must", atMost: 0 } };
}

const figures = [
  ...(await measurePrimary()),
  ...(await measureSecondary({ what: "403, Retry-After in seconds", status: 403, retryAfter: "seconds" })),
  ...(await measureSecondary({ what: "429, Retry-After as a date", status: 429, retryAfter: "date" })),
  ...(await measureSecondary({ what: "403, no Retry-After", status: 403, retryAfter: "none" })),
  ...(await measureHour()),
];
report(figures);
