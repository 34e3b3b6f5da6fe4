// The model: what must hold for each job after any sequence of commands. It knows the commands and the promises, and nothing of the
// implementation.

import assert from "node:assert/strict";

import { logKey } from "@actions-archive/core/object-key";
import type { JobSummary } from "@actions-archive/github-simulator/summary";

import { simulatedHost } from "../workspace.ts";
import type { System } from "./system.ts";

type Expectation = {
  /** A webhook of the job was accepted, so its log is due. */
  wasDelivered?: true;
  /** SHA-256 of its log, since it was first seen as archived. It must not change. */
  archived?: string;
  /** Its run's logs were deleted at GitHub. `stored`: its log was in the store before that, so it must be archived. */
  deleted?: "stored" | "lost";
};

export class LogJobs {
  /** By job id. */
  readonly #expectations = new Map<number, Expectation>();
  readonly #lostRuns = new Set<number>();
  readonly runIds: number[] = [];
  readonly openRunIds: number[] = [];
  readonly jobIds: number[] = [];
  name: string;
  backfillId: number | undefined;

  constructor(name: string) {
    this.name = name;
  }

  of(jobId: number): Expectation {
    const expectation = this.#expectations.get(jobId) ?? {};
    this.#expectations.set(jobId, expectation);
    return expectation;
  }

  addRun({
    runId,
    jobIds,
    isOpen,
  }: {
    readonly runId: number;
    readonly jobIds: readonly number[];
    readonly isOpen: boolean;
  }): void {
    if (!this.runIds.includes(runId)) this.runIds.push(runId);
    if (isOpen) this.openRunIds.push(runId);
    for (const jobId of jobIds) if (!this.jobIds.includes(jobId)) this.jobIds.push(jobId);
  }

  /** Call when GitHub deletes the logs, before any other operation. */
  async loseLogs(system: System, runId: number): Promise<void> {
    this.#lostRuns.add(runId);
    const jobs = [...system.simulator.world.jobs.values()].filter(({ run }) => run.id === runId);
    for (const { id } of jobs) {
      const expectation = this.of(id);
      expectation.deleted ??= (await isStored(system, runId, id)) ? "stored" : "lost";
    }
  }

  /** Checks what holds at any time, and records the archived logs. */
  async check({ ask }: System): Promise<void> {
    const rows = await ask<{ id: number; log_state: string; raw_sha256: string | null }>(
      "select job_id as id, log_state, raw_sha256 from archive.log_jobs left join archive.logs using (job_id, log_state)",
    );
    const known = new Map(rows.map((row) => [row.id, row]));
    const [waiting] = await ask<{ stored: number }>(
      "select count(*)::integer as stored from archive.deliveries where body is not null",
    );
    for (const [jobId, expectation] of this.#expectations) {
      const row = known.get(jobId);
      if (expectation.wasDelivered && waiting?.stored === 0)
        assert.ok(row, `job ${jobId} was delivered by a webhook, but is not in the ledger`);
      if (expectation.archived === undefined) continue;
      assert.equal(row?.log_state, "archived", `job ${jobId} was archived`);
      assert.equal(row.raw_sha256, expectation.archived, `job ${jobId} was archived with other bytes`);
    }
    for (const { id, log_state, raw_sha256 } of rows)
      if (log_state === "archived" && raw_sha256 !== null) this.of(id).archived = raw_sha256;
  }

  /** Checks the final state of a job against what GitHub has. @returns one message per difference. */
  checkInvariants(
    job: JobSummary,
    found: { readonly state: string; readonly reason: string | null; readonly sha256: string | null },
  ): string[] {
    const { deleted = this.#lostRuns.has(job.runId) ? "lost" : undefined, archived } = this.of(job.jobId);
    const { expected } = job;
    const isAsExpected =
      expected?.state === "archived"
        ? found.state === "archived" && found.sha256 === expected.rawSha256
        : found.state === expected?.state && found.reason === expected?.reason;
    // Whether a log was read before its deletion depends on timing, and so does which job of the run is the original of a copy.
    const isLost = deleted === "lost" && (found.state === "archived" || found.reason === "deleted" || found.reason === "copied");
    const isKept = deleted === "stored" && found.state === "archived" && (archived === undefined || found.sha256 === archived);
    if (deleted === undefined ? isAsExpected : isAsExpected && deleted === "lost") return [];
    if (isLost || isKept) return [];
    return [
      `job ${job.jobId} (deleted: ${deleted ?? "no"}): expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`,
    ];
  }
}

async function isStored({ store, repositoryId }: System, run_id: number, job_id: number): Promise<boolean> {
  // Its own key, and the keys of further versions.
  const keys = logKey(simulatedHost, { repository_id: repositoryId, run_id, job_id }).replace(/log\.zst$/, "");
  for await (const _log of store.list(keys)) return true;
  return false;
}
