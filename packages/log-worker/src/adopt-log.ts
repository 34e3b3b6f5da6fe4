// A log that lies in the bucket without a record, while GitHub has none any more: what a worker left that died between the
// two writes. It is read whole, and taken for what it is.

import { type LogFacts, logFacts } from "@actions-archive/archive/log-facts";
import { LogEncoder } from "@actions-archive/archive/log-format";
import { readLogContent } from "@actions-archive/archive/logs";
import { readLog } from "@actions-archive/archive/read-log";
import type { ArchivedLog } from "@actions-archive/archive/record";
import { PermanentError } from "@actions-archive/core/errors";
import { logKey } from "@actions-archive/core/object-key";
import type { Obligation } from "@actions-archive/database/obligations";

import { jobFacts } from "./job-facts.ts";
import { flagsOf } from "./judge-log.ts";
import type { LogWorker } from "./log-worker.ts";
import { textFacts } from "./text-facts.ts";

/** What is to be recorded of a log that was found. */
export type AdoptedLog = { readonly log: ArchivedLog; readonly text: LogFacts };

/** @returns undefined when there is no such log or it is damaged. */
export async function adoptStoredLog({ store, host, log }: LogWorker, job: Obligation): Promise<AdoptedLog | undefined> {
  const key = logKey(host, job);
  const info = await store.head(key);
  if (info === undefined) return undefined;
  try {
    const version = { sizeBytes: info.sizeBytes, ...(info.versionId === undefined ? {} : { versionId: info.versionId }) };
    const content = await readLogContent(store, key, version);
    const encoder = new LogEncoder();
    for await (const text of readLog(store, key, version)) encoder.write(text);
    const { totals } = encoder.end();
    const { completedAt, steps } = jobFacts(job.object);
    const adopted: ArchivedLog = {
      state: "archived",
      flags: [...flagsOf(totals, completedAt), "adopted" as const].toSorted(),
      key,
      version_id: info.versionId ?? null,
      raw_bytes: content.rawBytes,
      raw_sha256: content.rawSha256,
      stored_bytes: content.storedBytes,
      stored_sha256: content.storedSha256,
      ...textFacts(totals),
    };
    return { log: adopted, text: logFacts(totals, steps) };
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== "store/corrupt") throw error;
    log.error({ err: error, objectKey: key, jobId: job.job_id }, "a damaged log without a record");
    return undefined;
  }
}
