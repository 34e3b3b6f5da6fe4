// The S3 server throttles, loses answers, contradicts itself and corrupts what it returns, with two replicas of each worker; and during a
// deep verification.

import { createRandom } from "@actions-archive/github-simulator/random";
import { stopWatchingRows } from "@actions-archive/testkit/invariants/watch-rows";
import type { GetFault, PutFault } from "@actions-archive/testkit/s3-proxy";
import { Client } from "pg";
import { expect, test } from "vitest";
import { z } from "zod";

import { openSmallSystem, type SmallSystem } from "../support/system/small-system.ts";
import { untilArchived } from "../support/system/waits.ts";

const world = { runsPerDay: 6, days: 3 };
const seed = 1;

function storm({ front }: SmallSystem, chance: number, puts: readonly PutFault[], gets: readonly GetFault[]): void {
  if (front === undefined) throw new Error("the store has no proxy");
  front.randomFaults = { puts, gets, chance, random: createRandom(seed, "storm", puts.join(), gets.join()).next };
}

const scenarios: readonly { row: string; says: string; puts: readonly PutFault[]; gets: readonly GetFault[]; chance: number }[] =
  [
    { row: "F20", says: "SlowDown to 30 %", puts: [503], gets: [503], chance: 0.3 },
    { row: "F21", says: "stored, and the answer lost, for 30 %", puts: ["lose-answer"], gets: [], chance: 0.3 },
    { row: "F23", says: "409, and errors with status 200, for 30 %", puts: [409, "error-in-200"], gets: [], chance: 0.3 },
    { row: "F25", says: "bytes that flip on their way in, for 30 %", puts: ["corrupt"], gets: [], chance: 0.3 },
    { row: "F26", says: "other bytes than it has, for 30 %", puts: [], gets: ["flip", "cut", "short"], chance: 0.3 },
  ];

test.for(scenarios)("$row: the store says $says", async ({ row, puts, gets, chance }, { annotate }) => {
  await using system = await openSmallSystem({ store: "s3", world });
  system.startAll();
  storm(system, chance, puts, gets);
  // Lasts through the backlog, and for further jobs.
  const addedJobs = system.addRun();
  const settled = await system.settled(400);
  const spoiled = system.front?.hitCount() ?? 0;
  expect(spoiled).toBeGreaterThan(20);
  await untilArchived(system, addedJobs[0]);
  if (system.front) system.front.randomFaults = undefined;
  const { verdict } = await system.expectWhole();
  await annotate(
    `${spoiled} requests spoiled: all ${verdict.jobs} jobs settled in ${settled.toFixed(1)} s meanwhile, none failed`,
    row,
  );
});

const Report = z.looseObject({ findings: z.array(z.unknown()).optional() });

test("a whole verification while one GET in five is cut, short, flipped or refused finds nothing", async ({ annotate }) => {
  await using system = await openSmallSystem({ store: "s3", world });
  system.startAll();
  await system.settled();
  await system.cli("seal");
  const client = new Client({ connectionString: system.postgres.directUrl });
  await client.connect();
  await stopWatchingRows(client);
  await client.end();
  storm(system, 0.2, [], ["cut", "short", "flip", 503]);
  const { code, stdout, stderr } = await system.cli("verify", "--json", "--deep", "--against-database");
  const spoiled = system.front?.hitCount() ?? 0;
  if (system.front) system.front.randomFaults = undefined;
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
  expect(Report.parse(JSON.parse(stdout)).findings ?? []).toEqual([]);
  expect(spoiled).toBeGreaterThan(20);
  const { verdict } = await system.expectWhole();
  await annotate(`${spoiled} readings spoiled, over ${verdict.archived} logs and their records: no finding, exit 0`, "F26");
});
