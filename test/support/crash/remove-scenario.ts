// The scenario of a removal: sealed logs of which one is older than its policy allows, one is as old but held, and one was erased; and
// one log that is not sealed, which stays.

import { createHash, generateKeyPairSync } from "node:crypto";

import { logKey } from "@actions-archive/core/object-key";
import { eraseLog } from "@actions-archive/database/retention/erase-log";
import { holdJobs } from "@actions-archive/database/retention/holds";
import { changePolicy } from "@actions-archive/database/retention/retention";
import { jobId, repositoryId, runId } from "@actions-archive/database/test-support/samples";
import { loadRecords } from "@actions-archive/loader/rows/load-records";
import { sealPending } from "@actions-archive/loader/seal/start-sealing";
import { archived, type Harness, host } from "@actions-archive/loader/test-support/harness";

import { type LoaderScenario, openLoaderScenario } from "./load-scenario.ts";

const keyOf = (job_id: number) => logKey(host, { repository_id: repositoryId, run_id: runId, job_id });
const [expired, held, erased, young] = [jobId, jobId + 1, jobId + 2, jobId + 3];

export const removedKeys = [keyOf(expired), keyOf(erased)];
export const keptKeys = [keyOf(held), keyOf(young)];

export async function openRemoveScenario(): Promise<LoaderScenario> {
  const SEAL_KEY = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const fill = async (harness: Harness) => {
    const { loader } = harness;
    const [identity] = await harness.ask("select archive_id from archive.identity");
    for (const id of [expired, held, erased]) await addLog(harness, id);
    const config = { SEAL_KEY, SEAL_KEY_FILE: undefined, SEAL_INTERVAL_SECONDS: 3_600 };
    await sealPending(config, { loader, archiveId: String(identity?.["archive_id"]) });
    await holdJobs(loader.db, { jobIds: [held], isHeld: true, reason: "case 7" });
    await eraseLog(loader.db, erased, "prints a key");
    await changePolicy(loader.db, { name: "acme", keepDays: 30 });
    await addLog(harness, young, { completed_at: new Date().toISOString() });
  };
  return openLoaderScenario("remove", fill, { SEAL_KEY });
}

async function addLog(harness: Harness, id: number, changes: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const body = Buffer.from(`the log of ${id}`);
  const sha256 = createHash("sha256").update(body).digest("hex");
  await harness.loader.store.put(keyOf(id), body, { sha256, contentType: "application/zstd" });
  await harness.owe({ id, ...changes });
  const log = { ...archived(id), stored_bytes: body.length, stored_sha256: sha256 } as ReturnType<typeof archived>;
  await loadRecords(harness.loader, [{ job_id: id, key: await harness.record(id, log) }]);
}
