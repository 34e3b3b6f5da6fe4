import { generateKeyPairSync } from "node:crypto";

import { jobId } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { archived, type Harness, openHarness } from "../../test-support/harness.ts";
import { loadRecords } from "../rows/load-records.ts";
import { startSealing } from "./start-sealing.ts";

const config = {
  SEAL_KEY: generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }),
  SEAL_KEY_FILE: undefined,
  SEAL_INTERVAL_SECONDS: 1,
};

async function begin(harness: Harness, resources: AsyncDisposableStack, settings: Parameters<typeof startSealing>[0] = config) {
  const [identity] = await harness.ask("select archive_id from archive.identity");
  const open = { loader: harness.loader, archiveId: String(identity?.["archive_id"]) };
  startSealing(settings, open, { log: harness.loader.log, resources });
}

const countSeals = async (harness: Harness) =>
  (await harness.ask("select count(*)::integer as seals from audit.seals"))[0]?.["seals"];

test("a loader seals periodically, even if nothing changed, and stops on request", async () => {
  await using harness = await openHarness();
  const resources = new AsyncDisposableStack();
  await begin(harness, resources);
  await expect.poll(() => countSeals(harness), { timeout: 20_000 }).toBe(2);
  await resources.disposeAsync();
  const seals = await countSeals(harness);
  await harness.ask("select pg_sleep(1.5)");
  expect(await countSeals(harness)).toBe(seals);
  expect(await harness.ask("select problem, interval_seconds from archive.sealing")).toEqual([
    { problem: null, interval_seconds: 1 },
  ]);
});

test("what was stored while no loader ran is loaded before the first seal", async () => {
  await using harness = await openHarness();
  await using resources = new AsyncDisposableStack();
  await harness.owe();
  const key = await harness.record(jobId, archived());
  await harness.ask(`update archive.log_jobs set record_key = '${key}'`);
  await begin(harness, resources);
  await harness.ask("select pg_sleep(1.5)");
  expect(await countSeals(harness)).toBe(0);
  await loadRecords(harness.loader, [{ job_id: jobId, key }]);
  await expect.poll(() => countSeals(harness), { timeout: 20_000 }).toBeGreaterThan(0);
  expect(await harness.ask("select seal::integer from audit.objects where job_id is not null")).toEqual([
    { seal: 1 },
    { seal: 1 },
  ]);
});

test("without a key nothing is sealed, and a problem is recorded and shown in audit.gaps", async () => {
  await using harness = await openHarness();
  await using resources = new AsyncDisposableStack();
  await begin(harness, resources, { ...config, SEAL_KEY: undefined });
  expect(await countSeals(harness)).toBe(0);
  await harness.ask(
    `insert into archive.seals (sequence, sealed_at, entries, previous_sha256, sha256, key_id, published_at)
    values (1, now() - interval '1 day', 0, repeat('0', 64), repeat('1', 64), 'x', now())`,
  );
  await begin(harness, resources);
  const problem = async () => (await harness.ask("select problem from archive.sealing"))[0]?.["problem"];
  await expect.poll(problem, { timeout: 20_000 }).toMatch(/seals\/000000000001\.json is missing from file:/);
  await harness.ask("update archive.sealing set problem_since = now() - interval '1 hour'");
  expect(await harness.ask("select kind, reason from audit.gaps where kind = 'not_sealed'")).toEqual([
    { kind: "not_sealed", reason: "problem" },
  ]);
});
