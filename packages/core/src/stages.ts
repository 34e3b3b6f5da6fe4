// Every queue of the pipeline on one page: its name, its payload, and how often it is tried. A payload names things by id;
// what is to be done stands in the ledger, so that a lost, doubled or forged message can do no harm.

import { z } from "zod";

import { GitHubId } from "./ids.ts";

/** Work of the fetcher. `tick` is the clock: it finds the repositories that are due and feeds the queue. */
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
 * `attempts` and `backoffMs` are BullMQ's: each failed try waits twice as long as the one before, with jitter.
 * A stall is a worker's death, not the job's fault: BullMQ's default of 1 lost 10 of 300 jobs to four kill -9, hence 100;
 * the ledger counts the deaths itself.
 */
export const stages = {
  fetch: { payload: FetchPayload, attempts: 3, backoffMs: 2_000 },
  archive: { payload: ArchivePayload, attempts: 5, backoffMs: 2_000 },
  load: { payload: LoadPayload, attempts: 8, backoffMs: 1_000 },
} as const;

export type StageName = keyof typeof stages;
export type Payload<S extends StageName> = z.output<(typeof stages)[S]["payload"]>;
export const maxStalledCount = 100;

/** One stable queue id for one piece of work: while it waits or runs, adding it again does nothing. */
export function queueId<S extends StageName>(stage: S, payload: Payload<S>): string {
  const parts = Object.values(payload).map((part) => String(part).replaceAll(":", "-"));
  return [stage, ...parts].join("-");
}

/** The job of an id that `queueId` made for the archive queue; undefined for any other id. */
export function tryParseArchiveId(id: string): number | undefined {
  const digits = /^archive-(\d+)$/.exec(id)?.[1];
  return digits === undefined ? undefined : GitHubId.safeParse(Number(digits)).data;
}
