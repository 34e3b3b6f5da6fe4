// `verify --against-database` beside two replicas of each worker that catch up, archive, load and seal: an archive at work is no tampering.

import { env } from "node:process";

import { stopWatchingRows } from "@actions-archive/testkit/judge/watch-rows";
import { Client } from "pg";
import { expect, test } from "vitest";
import { z } from "zod";

import { openSmallSystem } from "../support/system/small-system.ts";

/** Minutes that it goes on. */
const minutes = Number(env["VERIFY_MINUTES"] ?? 2);
const Report = z.looseObject({
  findings: z.array(z.unknown()),
  rows_compared: z.number().nullable(),
  last_sealed_at: z.string().nullable(),
});

test("verifications one after the other, while an archive works and seals, find nothing", async ({ annotate }) => {
  await using system = await openSmallSystem({
    world: { runsPerDay: 12, days: 3 },
    settings: () => ({ SEAL_INTERVAL_SECONDS: "20" }),
  });
  const client = new Client({ connectionString: system.postgres.directUrl });
  await client.connect();
  await stopWatchingRows(client);
  await client.end();
  system.startAll();
  await system.cli("seal");
  const end = performance.now() + minutes * 60_000;
  let [verifications, rows] = [0, 0];
  const heads = new Set<string | null>();
  while (performance.now() < end) {
    system.addRun();
    const { code, stdout, stderr } = await system.cli("verify", "--json", "--against-database");
    expect({ code, stderr, stdout: code === 0 ? "" : stdout }).toEqual({ code: 0, stderr: expect.any(String), stdout: "" });
    const report = Report.parse(JSON.parse(stdout));
    expect(report.findings).toEqual([]);
    heads.add(report.last_sealed_at);
    verifications += 1;
    rows += report.rows_compared ?? 0;
  }
  expect(heads.size).toBeGreaterThan(2);
  await system.settled();
  await system.expectWhole();
  await annotate(`${verifications} verifications beside ${heads.size} seals, ${rows} jobs compared: no finding`, "verify");
});
