// The queues of the pipeline: names, payloads and retries. A payload contains ids only, and the ledger defines the work, so a lost,
// duplicate or forged message is harmless.

import { z } from "zod";

import { GitHubId } from "./ids.ts";

/** Work of the fetcher. `tick` finds the repositories that are due and feeds the queue. */
export const FetchPayload = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("tick") }),
  z.object({ kind: z.literal("poll"), repository_id: GitHubId.describe("the repository whose new runs are listed") }),
  z
    .object({ kind: z.literal("backfill"), backfill_id: z.int().positive(), repository_id: GitHubId })
    .describe("a minute's work on one repository of a backfill"),
]);
export type FetchPayload = z.output<typeof FetchPayload>;

/** Work of the log-worker: one job's log. */
export const ArchivePayload = z.object({ job_id: GitHubId.describe("a job of the ledger whose log is pending or failed") });
export type ArchivePayload = z.output<typeof ArchivePayload>;

/** Work of the loader. */
export const LoadPayload = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("job"), job_id: GitHubId.describe("its rows, from the ledger's job object") }),
  z.object({
    kind: z.literal("record"),
    job_id: GitHubId,
    key: z.string().describe("the record object; rows come from it alone"),
  }),
  z.object({ kind: z.literal("run"), run_id: GitHubId, run_attempt: z.int().positive() }).describe("the attempt's run record"),
]);
export type LoadPayload = z.output<typeof LoadPayload>;

/**
 * `attempts` and `backoffMs` are BullMQ's: each failed attempt waits twice as long as the previous one, with jitter. `maxStalledCount`: a
 * stall is the crash of a worker and not a failure of the job. BullMQ's default of 1 lost 10 of 300 jobs after four kill -9; the ledger
 * counts crashes itself.
 */
export const stages = {
  fetch: { payload: FetchPayload, attempts: 3, backoffMs: 2_000 },
  archive: { payload: ArchivePayload, attempts: 5, backoffMs: 2_000 },
  load: { payload: LoadPayload, attempts: 8, backoffMs: 1_000 },
} as const;

export type StageName = keyof typeof stages;
export type Payload<S extends StageName> = z.output<(typeof stages)[S]["payload"]>;
export const maxStalledCount = 100;

/** The id of a piece of work in the queue: adding it again while it waits or runs does nothing. */
export function queueId<S extends StageName>(stage: S, payload: Payload<S>): string {
  const parts = Object.values(payload).map((part) => String(part).replaceAll(":", "-"));
  return [stage, ...parts].join("-");
}

/** The job id in an id of the archive queue; undefined for any other id. */
export function tryParseArchiveId(id: string): number | undefined {
  const digits = /^archive-(\d+)$/.exec(id)?.[1];
  return digits === undefined ? undefined : GitHubId.safeParse(Number(digits)).data;
}
