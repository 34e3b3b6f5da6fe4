// Archived logs for tests of holds, retention and erase: rows, objects and seals, without a store.

import type { TestDatabase } from "@actions-archive/testkit/test-database";

import { claimIdentity } from "../src/ledger/identity.ts";
import { recordJobs } from "../src/ledger/log-jobs.ts";
import { recordTerminalStates } from "../src/ledger/log-states.ts";
import { recordObjects } from "../src/ledger/objects.ts";
import { replaceLogFacts } from "../src/rows/log-facts.ts";
import { upsertJobs, upsertLogs } from "../src/rows/rows.ts";
import { addRepository, jobId, jobObject, type Json, logRow, repositoryId, runId } from "./samples.ts";

export const host = "github.com";

export type LogToAdd = {
  readonly id?: number;
  readonly repository?: number;
  /** Days since the job's end. */
  readonly age?: number;
  readonly object?: Json;
  readonly rawSha256?: string;
  readonly annotations?: readonly string[];
};

export function openRetention({ db, pool }: TestDatabase) {
  const ask = async (query: string, values: unknown[] = []) => (await pool.query<Record<string, unknown>>(query, values)).rows;
  return {
    db,
    ask,
    addArchive: async () => {
      await claimIdentity(db, { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host });
      await addRepository(db);
    },
    keyOf: (id: number, repository = repositoryId) => `logs/${host}/${repository}/${runId}/${id}.log.zst`,
    /** A job of the ledger with an archived log, whose objects wait for a seal. */
    addLog: async ({
      id = jobId,
      repository = repositoryId,
      age = 100,
      object = {},
      rawSha256,
      annotations = [],
    }: LogToAdd = {}) => {
      const completed_at = new Date(Date.now() - age * 24 * 60 * 60 * 1000).toISOString();
      const input = jobObject({ id, completed_at, ...object });
      await recordJobs(db, repository, [{ object: input, source: "listing", listedAttempt: 1 }]);
      const row = logRow({ state: "archived", version: 1, job_id: id });
      const log_key = `logs/${host}/${repository}/${runId}/${id}.log.zst`;
      const log = { ...row, log_key, ...(rawSha256 === undefined ? {} : { raw_sha256: rawSha256 }) };
      await db.transaction().execute(async (trx) => {
        await upsertJobs(trx, [{ repository_id: repository, run_attempt: 1, last_listed_attempt: 1, object: input }]);
        await upsertLogs(trx, [log]);
        const lines = annotations.map((message, index) => ({ step_number: 1, level: "error", line_number: index + 1, message }));
        await replaceLogFacts(trx, [{ job_id: id, record_key: row.record_key, annotations: lines }]);
        await recordObjects(trx, [{ key: log_key, version_id: null, size: 1_000, sha256: row.stored_sha256 ?? "" }]);
        await recordTerminalStates(trx, [id]);
      });
      return id;
    },
    /** Seals what waits; the seal is published by default. */
    seal: async (isPublished = true) => {
      const [last] = await ask("select coalesce(max(sequence), 0) + 1 as sequence from archive.seals");
      const sequence = Number(last?.["sequence"]);
      const hash = String(sequence).padStart(64, "0");
      await ask(
        `insert into archive.seals (sequence, sealed_at, entries, previous_sha256, sha256, key_id, payload, published_at)
         values ($1, now(), 0, $2, $2, 'key', $3, $4)`,
        [sequence, hash, isPublished ? null : Buffer.from("{}"), isPublished ? new Date() : null],
      );
      for (const table of ["objects", "tombstones", "holds", "retention_policies"])
        await ask(`update archive.${table} set sealed_in = $1 where sealed_in is null`, [sequence]);
    },
    publish: async () => ask("update archive.seals set payload = null, published_at = now() where published_at is null"),
  };
}
