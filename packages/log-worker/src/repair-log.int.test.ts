// Repair of archived logs that the scrub found damaged, while GitHub has the same bytes.

import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { readLogContent } from "@actions-archive/archive/log/logs";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import { recordDamages } from "@actions-archive/database/seal/scrub";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type Harness, host, openHarness } from "../test-support/harness.ts";

const refOf = (job: Job) => ({ repository_id: job.run.repository.id, run_id: job.run.id, job_id: job.id });
const pathOf = ({ worker }: Harness, key: string) => join(fileURLToPath(worker.store.url), key);

/** An archived log whose rows are loaded. */
async function archive(harness: Harness): Promise<{ job: Job; key: string; conflictingKey: string }> {
  const job = await harness.addJob({ bytes: 20_000 });
  await harness.deliver(job);
  await harness.query(`update archive.log_jobs set log_state = 'archived', recheck_at = null where job_id = ${job.id}`);
  const key = logKey(host, refOf(job));
  return { job, key, conflictingKey: conflictingLogKey(host, refOf(job), (await logSha256(job)) ?? "") };
}

async function damage(harness: Harness, key: string, finding: "missing" | "damaged"): Promise<void> {
  const path = pathOf(harness, key);
  if (finding === "missing") await rm(path);
  else {
    await chmod(path, 0o600);
    const bytes = await readFile(path);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    await writeFile(path, bytes);
  }
  await recordDamages(harness.worker.db, [{ key, finding }]);
  await harness.query("update archive.log_jobs set recheck_at = now()");
}

const damagesOf = (harness: Harness) => harness.query("select object_key, repaired_by, sealed_in from archive.damages");

test.each(["missing", "damaged"] as const)(
  "a log that is %s is stored under a further key, and a further record names it",
  async (finding) => {
    await using harness = await openHarness();
    const { job, key, conflictingKey } = await archive(harness);
    await damage(harness, key, finding);
    const left = finding === "damaged" ? await readFile(pathOf(harness, key)) : undefined;
    await harness.deliver(job);
    expect(await readLogContent(harness.worker.store, conflictingKey)).toMatchObject({ rawSha256: await logSha256(job) });
    expect(await harness.recordOf(job)).toMatchObject({
      log: { state: "archived", key: conflictingKey, raw_sha256: await logSha256(job) },
    });
    expect(await harness.listKeys("records/")).toHaveLength(2);
    expect(await harness.listKeys("logs/")).toEqual(left === undefined ? [conflictingKey] : [conflictingKey, key].toSorted());
    expect(left).toEqual(left && (await readFile(pathOf(harness, key))));
    expect(await damagesOf(harness)).toEqual([{ object_key: key, repaired_by: conflictingKey, sealed_in: null }]);
    expect(await harness.query("select recheck_at from archive.log_jobs")).toEqual([{ recheck_at: null }]);

    harness.simulator.control.clearJournal({});
    await harness.query("update archive.log_jobs set recheck_at = now()");
    await harness.deliver(job);
    expect(harness.requests()).toEqual([]);
  },
);

test("a repair whose worker crashed after the record counts as done", async () => {
  await using harness = await openHarness();
  const { job, key, conflictingKey } = await archive(harness);
  await damage(harness, key, "missing");
  await harness.deliver(job);
  await harness.query(
    "update archive.damages set repaired_by = null, repaired_at = null; update archive.log_jobs set recheck_at = now()",
  );
  harness.simulator.control.clearJournal({});
  await harness.deliver(job);
  expect(harness.requests()).toEqual([]);
  expect(await damagesOf(harness)).toEqual([{ object_key: key, repaired_by: conflictingKey, sealed_in: null }]);
  expect(await harness.listKeys("records/")).toHaveLength(2);
});

test("a damaged log that GitHub does not serve once is requested again a day later and repaired", async () => {
  await using harness = await openHarness();
  const { job, key, conflictingKey } = await archive(harness);
  await damage(harness, key, "damaged");
  const path = `/repos/acme/app/actions/jobs/${job.id}/logs`;
  harness.simulator.faults.add({ origin: "api", path, status: 410, body: JSON.stringify({ message: "Gone" }) });
  await harness.deliver(job);
  expect(await damagesOf(harness)).toEqual([{ object_key: key, repaired_by: null, sealed_in: null }]);
  const retry = "round(extract(epoch from recheck_at - now()) / 3600)::int as hours";
  expect(await harness.query(`select log_state, ${retry} from archive.log_jobs`)).toEqual([{ log_state: "archived", hours: 24 }]);
  expect(await harness.listKeys("records/")).toHaveLength(1);
  expect(harness.lines.some((line) => line.includes("damaged log not repaired"))).toBe(true);
  await harness.query("update archive.log_jobs set recheck_at = now()");
  await harness.deliver(job);
  expect(await damagesOf(harness)).toEqual([{ object_key: key, repaired_by: conflictingKey, sealed_in: null }]);
});

test("a damaged log that GitHub no longer has is not requested after its expiry", async () => {
  await using harness = await openHarness();
  const { job, key } = await archive(harness);
  await damage(harness, key, "damaged");
  harness.simulator.control.setLog({ jobId: job.id, kind: "expired" });
  await harness.query("update archive.log_jobs set expires_at = now()");
  await harness.deliver(job);
  expect(await harness.query("select log_state, recheck_at from archive.log_jobs")).toEqual([
    { log_state: "archived", recheck_at: null },
  ]);
});
