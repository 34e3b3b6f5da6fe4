// The model: what must be true of each job, whatever else happened. It knows the commands that were given and the promises, and nothing of
// how they are kept.

import assert from "node:assert/strict";

import { logKey } from "@actions-archive/core/object-key";
import type { JobSummary } from "@actions-archive/github-simulator/summary";

import { simulatedHost } from "../workspace.ts";
import type { System } from "./system.ts";

type Duty = {
  /** A webhook of it was taken: it is owed from then on. */
  isTold?: true;
  /** SHA-256 of its log, from when it was seen archived: it stays so. */
  archived?: string;
  /** Its run's logs were deleted at GitHub: it need not be archived, but where its log lay in the store by then. */
  deleted?: "stored" | "lost";
};

export class LogJobs {
  /** By job id. */
  readonly #duties = new Map<number, Duty>();
  readonly #lostRuns = new Set<number>();
  readonly runIds: number[] = [];
  readonly openRunIds: number[] = [];
  readonly jobIds: number[] = [];
  name: string;
  backfillId: number | undefined;

  constructor(name: string) {
    this.name = name;
  }

  of(jobId: number): Duty {
    const duty = this.#duties.get(jobId) ?? {};
    this.#duties.set(jobId, duty);
    return duty;
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

  /** To be called when the logs go, and before anything else happens. */
  async loseLogs(system: System, runId: number): Promise<void> {
    this.#lostRuns.add(runId);
    const jobs = [...system.simulator.world.jobs.values()].filter(({ run }) => run.id === runId);
    for (const { id } of jobs) {
      const duty = this.of(id);
      duty.deleted ??= (await isStored(system, runId, id)) ? "stored" : "lost";
    }
  }

  /** What holds at any moment. Notes what was seen. */
  async check({ ask }: System): Promise<void> {
    const rows = await ask<{ id: number; log_state: string; raw_sha256: string | null }>(
      "select job_id as id, log_state, raw_sha256 from archive.obligations left join archive.logs using (job_id, log_state)",
    );
    const known = new Map(rows.map((row) => [row.id, row]));
    const [waiting] = await ask<{ stored: number }>(
      "select count(*)::integer as stored from archive.deliveries where body is not null",
    );
    for (const [jobId, duty] of this.#duties) {
      const row = known.get(jobId);
      if (duty.isTold && waiting?.stored === 0) assert.ok(row, `job ${jobId} was told of, and is not owed`);
      if (duty.archived === undefined) continue;
      assert.equal(row?.log_state, "archived", `job ${jobId} was archived`);
      assert.equal(row.raw_sha256, duty.archived, `job ${jobId} was archived with other bytes`);
    }
    for (const { id, log_state, raw_sha256 } of rows)
      if (log_state === "archived" && raw_sha256 !== null) this.of(id).archived = raw_sha256;
  }

  /** What must have become of a job in the end, by what GitHub has of it. */
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
    // Whether a log was read before it went, and which of a run's jobs is whose copy then, is a matter of time.
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
  // Its own key, and those beside it.
  const keys = logKey(simulatedHost, { repository_id: repositoryId, run_id, job_id }).replace(/log\.zst$/, "");
  for await (const _log of store.list(keys)) return true;
  return false;
}
