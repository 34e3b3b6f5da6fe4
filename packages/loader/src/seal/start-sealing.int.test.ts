import { generateKeyPairSync } from "node:crypto";

import { jobId } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { archived, type Bench, openBench } from "../../test-support/harness.ts";
import { loadRecords } from "../rows/load-records.ts";
import { startSealing } from "./start-sealing.ts";

const config = {
  SEAL_KEY: generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }),
  SEAL_KEY_FILE: undefined,
  SEAL_INTERVAL_SECONDS: 1,
};

async function begin(bench: Bench, resources: AsyncDisposableStack, settings: Parameters<typeof startSealing>[0] = config) {
  const [identity] = await bench.ask("select archive_id from archive.identity");
  const open = { loader: bench.loader, archiveId: String(identity?.["archive_id"]) };
  startSealing(settings, open, { log: bench.loader.log, resources });
}

const countSeals = async (bench: Bench) => (await bench.ask("select count(*)::integer as seals from audit.seals"))[0]?.["seals"];

test("a loader seals by the clock, also when nothing happens, and stops when it is told to", async () => {
  await using bench = await openBench();
  const resources = new AsyncDisposableStack();
  await begin(bench, resources);
  await expect.poll(() => countSeals(bench), { timeout: 20_000 }).toBe(2);
  await resources.disposeAsync();
  const seals = await countSeals(bench);
  await bench.ask("select pg_sleep(1.5)");
  expect(await countSeals(bench)).toBe(seals);
  expect(await bench.ask("select problem, interval_seconds from archive.sealing")).toEqual([
    { problem: null, interval_seconds: 1 },
  ]);
});

test("what was stored while no loader ran is loaded before the first seal", async () => {
  await using bench = await openBench();
  await using resources = new AsyncDisposableStack();
  await bench.owe();
  const key = await bench.record(jobId, archived());
  await bench.ask(`update archive.obligations set record_key = '${key}'`);
  await begin(bench, resources);
  await bench.ask("select pg_sleep(1.5)");
  expect(await countSeals(bench)).toBe(0);
  await loadRecords(bench.loader, [{ job_id: jobId, key }]);
  await expect.poll(() => countSeals(bench), { timeout: 20_000 }).toBeGreaterThan(0);
  expect(await bench.ask("select seal::integer from audit.objects where job_id is not null")).toEqual([{ seal: 1 }, { seal: 1 }]);
});

test("without a key nothing is sealed, and a problem is noted and seen in audit.gaps", async () => {
  await using bench = await openBench();
  await using resources = new AsyncDisposableStack();
  await begin(bench, resources, { ...config, SEAL_KEY: undefined });
  expect(await countSeals(bench)).toBe(0);
  await bench.ask(
    "insert into archive.seals values (1, now() - interval '1 day', 0, repeat('0', 64), repeat('1', 64), 'x', null, null, now())",
  );
  await begin(bench, resources);
  const problem = async () => (await bench.ask("select problem from archive.sealing"))[0]?.["problem"];
  await expect.poll(problem, { timeout: 20_000 }).toMatch(/seals\/000000000001\.json is not in file:/);
  await bench.ask("update archive.sealing set problem_since = now() - interval '1 hour'");
  expect(await bench.ask("select kind, reason from audit.gaps where kind = 'not_sealed'")).toEqual([
    { kind: "not_sealed", reason: "problem" },
  ]);
});
