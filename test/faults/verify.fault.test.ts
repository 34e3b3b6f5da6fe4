// Runs `verify --against-database` while two replicas of each worker catch up, archive, load, seal and remove, and an operator holds,
// erases and reindexes. Concurrent work must not be reported as tampering. VERIFY_MINUTES sets the duration.

import { env } from "node:process";

import { stopWatchingRows } from "@actions-archive/testkit/invariants/watch-rows";
import { Client } from "pg";
import { expect, test } from "vitest";
import { z } from "zod";

import { openSmallSystem, type SmallSystem } from "../support/system/small-system.ts";

/** Duration in minutes. */
const minutes = Number(env["VERIFY_MINUTES"] ?? 2);
const Report = z.looseObject({
  findings: z.array(z.unknown()),
  rows_compared: z.number().nullable(),
  last_sealed_at: z.string().nullable(),
});

test("verifications one after the other, while an archive works, seals and removes, find nothing", async ({ annotate }) => {
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
  const counts = { verifications: 0, rows: 0, hold: 0, erase: 0, reindex: 0 };
  const heads = new Set<string | null>();
  while (performance.now() < end) {
    system.addRun();
    await actAsOperator(system, counts);
    const { code, stdout, stderr } = await system.cli("verify", "--json", "--against-database");
    expect({ code, stderr, stdout: code === 0 ? "" : stdout }).toEqual({ code: 0, stderr: expect.any(String), stdout: "" });
    const report = Report.parse(JSON.parse(stdout));
    expect(report.findings).toEqual([]);
    heads.add(report.last_sealed_at);
    counts.verifications += 1;
    counts.rows += report.rows_compared ?? 0;
  }
  const [removed] = await system.postgres.ask(
    "select count(*)::int as logs from audit.tombstones where removed_at is not null",
    [],
  );
  expect(heads.size).toBeGreaterThan(2);
  for (const act of acts) expect(counts[act], act).toBeGreaterThan(0);
  expect(removed).toEqual({ logs: expect.toSatisfy((logs: number) => logs > 0) });
  await annotate(`${JSON.stringify({ seals: heads.size, removed: removed?.["logs"], ...counts })}: no finding`, "verify");
});

const acts = ["hold", "erase", "reindex"] as const;

/** Runs one command on a job whose log is sealed, if there is one. Commands take turns. */
async function actAsOperator(system: SmallSystem, counts: Record<(typeof acts)[number], number> & { verifications: number }) {
  const act = acts[counts.verifications % acts.length] ?? "hold";
  const [row] = await system.postgres.ask(
    `select logs.job_id from archive.logs join archive.objects on objects.object_key = logs.log_key
     where objects.sealed_in is not null and logs.log_state = 'archived' order by random() limit 1`,
    [],
  );
  const job = String(row?.["job_id"]);
  if (row === undefined) return;
  const commands = {
    hold: [
      ["hold", job, "--reason", "matter"],
      ["hold", "--release", job, "--reason", "closed"],
    ],
    erase: [["erase", job, "--reason", "prints a key", "--yes"]],
    reindex: [["reindex", "--job", job]],
  };
  for (const command of commands[act]) {
    const { code, stderr } = await system.cli(...command);
    expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: expect.any(String) });
  }
  counts[act] += 1;
}
