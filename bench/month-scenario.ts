/**
 * The month scenario: 40,000 runs in 20 repositories at the default scale of 1, on a real PostgreSQL and a real Redis, checked against the
 * simulator's oracle.
 *
 *   npx pnpm exec node bench/month-scenario.ts [--scale 0.1] [--seed 1] [--seconds-per-day 40]
 *
 * Must: no violated invariant, audit.coverage complete exactly where the archive is, within 30 minutes.
 * Use shorter days for a smaller month, which keeps the load the same. Exits with 1 when a must fails.
 */

import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { createLogger } from "@actions-archive/core/logger";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { openTestPostgres } from "@actions-archive/testkit/test-postgres";
import { openTestRedis } from "@actions-archive/testkit/test-redis";

import { followMonth, type MonthReport } from "../test/support/month-scenario/follow-month.ts";

const { values } = parseArgs({
  options: {
    scale: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    "seconds-per-day": { type: "string" },
    "node-options": { type: "string" },
  },
});
const scale = Number(values.scale);
const secondsPerDay = Number(values["seconds-per-day"] ?? Math.max(1.2, 40 * scale));
const maxMinutes = 30;

const began = performance.now();
await using stack = new AsyncDisposableStack();
const folder = await mkdtemp(join(tmpdir(), "actions-archive-month-"));
// Lets the account of Postgres pass when this runs as root.
await chmod(folder, 0o711);
stack.defer(() => rm(folder, { recursive: true, force: true }));
const log = createLogger("hostile-month", "warn");
const postgres = stack.use(await openTestPostgres({ url: undefined, folder, log }));
const redis = stack.use(await openTestRedis({ url: undefined, folder }));
if ("missing" in redis.provided) throw new Error(redis.provided.missing);
await migrateDatabase(postgres.url);

const report = await followMonth({
  seed: Number(values.seed),
  scale,
  secondsPerDay,
  databaseUrl: postgres.url,
  redisUrl: redis.provided.url,
  folder,
  onProgress: print,
  ...(values["node-options"] === undefined ? {} : { nodeOptions: values["node-options"] }),
});
const minutes = (performance.now() - began) / 60_000;
show(report, minutes);
process.exitCode = musts(report, minutes).every(({ found }) => found === 0) ? 0 : 1;

function musts({ verdict, pass }: MonthReport, took: number): { what: string; found: number }[] {
  return [
    ...verdict.checked.map((checked) => ({
      what: `violations of ${checked}`,
      found: verdict.violations.filter(({ invariant }) => invariant === checked).length,
    })),
    { what: "pass at the end that is not complete", found: pass.code === 0 ? 0 : 1 },
    { what: `minutes over ${maxMinutes}`, found: Math.max(0, Math.ceil(took - maxMinutes)) },
  ];
}

function show(month: MonthReport, took: number): void {
  const { verdict, calls, apiCalls, seconds, use, messages } = month;
  for (const [invariant, found] of Map.groupBy(verdict.violations, (violation) => violation.invariant))
    for (const { what } of found.slice(0, 15)) print(`${invariant}: ${what}`);
  if (month.pass.code !== 0) print(month.pass.printed);
  for (const [message, count] of [...messages].toSorted((a, b) => b[1] - a[1])) print(`logged ${count} times: ${message}`);
  print("");
  print(`runs ${month.runs}, jobs ${verdict.jobs}, logs archived ${verdict.archived}, median ${verdict.medianLogBytes} bytes`);
  print(`attempts: ${Object.entries(verdict.attempts).map(([state, count]) => `${count} ${state}`).join(", ")}`); // prettier-ignore
  print(
    `days of coverage ${verdict.coverage?.days}, complete ${verdict.coverage?.completeDays}; webhook deliveries ${month.deliveries}`,
  );
  for (const [kind, count] of [...calls].toSorted((a, b) => b[1] - a[1])) print(`${String(count).padStart(9)} ${kind}`);
  print(`${String(apiCalls).padStart(9)} API calls, without those that nothing changed for`);
  for (const [name, { peakMb, cpuSeconds }] of Object.entries(use))
    print(`${name}: at most ${peakMb} MB, ${cpuSeconds} s of processor time`);
  print(`logs owed at the month's end: ${month.backlog}`);
  print(`seconds: ${JSON.stringify(seconds)}`);
  for (const { what, found } of musts(month, took)) print(`${found === 0 ? "ok  " : "FAIL"} ${what}: ${found}`);
  print(`${took.toFixed(1)} minutes`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
