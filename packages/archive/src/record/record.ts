// The schemas of records: all facts of one job or of one attempt of a run, as GitHub sent them, with the state of the log. The ledger can be
// rebuilt from records.

import { GitHubId } from "@actions-archive/core/ids";
import { AbsentReason, LogFlag } from "@actions-archive/core/states";
import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();
const instant = z.iso.datetime();
/** An object exactly as GitHub sent it, with all fields. */
const received = z.record(z.string(), z.json());

export const JobSource = z.enum(["listing", "webhook", "get"]).describe("how a job object was received");

const ids = {
  schema_version: z.literal(1),
  host: z.string().min(1),
  repository_id: GitHubId,
  repository: z.string().min(1).describe("owner/name when the object was received"),
  run_id: GitHubId,
};

export const ArchivedLog = z.object({
  state: z.literal("archived"),
  flags: z.array(LogFlag),
  key: z.string().min(1),
  version_id: z.string().nullable().describe("of the object, if the store has versions"),
  raw_bytes: count,
  raw_sha256: sha256,
  stored_bytes: count,
  stored_sha256: sha256,
  lines: count,
  first_time: z.string().nullable().describe("as in the log, with seven fractional digits"),
  last_time: z.string().nullable(),
  oddities: z.object({
    bom: z.boolean().describe("a byte order mark at the log's first byte; those before later lines do not count"),
    crlf: count.describe("lines that end in CR LF"),
    nul: count.describe("NUL bytes"),
    lines_without_time: count,
  }),
});
export type ArchivedLog = z.output<typeof ArchivedLog>;

export const AbsentLog = z.object({
  state: z.literal("absent"),
  reason: AbsentReason.exclude(["removed"]).describe("never removed, which only tombstones state"),
  copied_from: GitHubId.nullable().describe("the job of the earlier attempt whose log this is, if `reason` is copied"),
});
export type AbsentLog = z.output<typeof AbsentLog>;

/**
 * Consecutive lines of a log. A record's sections are in order and cover the log. A step has several if background steps may have
 * printed between its lines; the first of them begins with its first known line.
 */
export const Section = z.object({
  step_number: z.int().nullable().describe("null if the lines cannot be attributed"),
  first_line: z.int().positive().describe("from 1"),
  line_count: count,
  raw_start: count.describe("offset of its first byte in the raw log"),
  raw_bytes: count,
});
export type Section = z.output<typeof Section>;

export const Group = z.object({
  step_number: z.int().nullable(),
  depth: count.describe("groups of the same section around it"),
  title: z.string(),
  first_line: z.int().positive(),
  line_count: count.describe("including the lines of both ends; an unclosed group ends with its section"),
});

export const ActionUse = z.object({
  step_number: z.int().nullable().describe("the step that ran it; null if unknown"),
  action: z.string().describe("owner/name, owner/name/path, or docker://image"),
  ref: z.string().nullable(),
  sha: z.string().nullable().describe("the commit that the runner downloaded, or sha256:… of an image"),
  line_number: z.int().positive().describe("of the line that reports the download"),
  used_at: z.string().nullable().describe("timestamp of that line, as in the log"),
});
export type ActionUse = z.output<typeof ActionUse>;

export const Annotation = z.object({
  step_number: z.int().nullable(),
  level: z.enum(["error", "warning", "notice"]),
  line_number: z.int().positive(),
  message: z.string().describe("without the prefix, with the lines directly below that have no timestamp; truncated"),
});
export type Annotation = z.output<typeof Annotation>;

/** Facts from the log's text. Lists are bounded, and `left_out` counts the items beyond. Missing if the log was not read for facts. */
const extracted = {
  extraction_version: z
    .int()
    .positive()
    .optional()
    .describe("of the code that extracted the following fields; missing: older than 1"),
  sections: z.array(Section).optional(),
  groups: z.array(Group).optional().describe("the outline of the steps"),
  action_uses: z.array(ActionUse).optional(),
  annotations: z.array(Annotation).optional(),
  runner: z.record(z.string(), z.string()).optional(),
  token_permissions: z.record(z.string(), z.string()).optional(),
  locked_actions: z
    .boolean()
    .optional()
    .describe("whether the runner reports that it used the action versions of the workflow's lockfile"),
  left_out: z
    .object({
      groups: count,
      action_uses: count,
      annotations: count,
      token_permissions: count,
      marks: count.describe("lines where a step may begin; the sections still cover the log, with less certainty"),
    })
    .partial()
    .optional(),
};

export const LogRecord = z.object({
  ...ids,
  job_id: GitHubId,
  run_attempt: z.int().positive().describe("the attempt that ran the job: the first that listed it"),
  last_listed_attempt: z.int().positive(),
  job: received.describe("the job object"),
  job_source: JobSource,
  job_received_at: instant,
  log: z.discriminatedUnion("state", [ArchivedLog, AbsentLog]),
  ...extracted,
  decided_at: instant.describe("when the log was archived or found absent"),
  previous_sha256: sha256.nullable().describe("of the previous version's bytes; null for the first"),
});
export type LogRecord = z.output<typeof LogRecord>;

export const RunRecord = z.object({
  ...ids,
  run_attempt: z.int().positive(),
  run: received.describe("the run object of this attempt"),
  run_received_at: instant,
  job_ids: z.array(GitHubId).describe("the final job list of this attempt"),
  listed_jobs: count.optional().describe("number of jobs in its final listing"),
  missing_job_ids: z.array(GitHubId).optional().describe("jobs of these that had not completed; missing if there are none"),
  jobs: z
    .array(
      z.object({
        job_id: GitHubId,
        objects: z.array(received),
        source: JobSource.optional().describe("how the most complete object was received"),
        received_at: instant.optional().describe("when it was received"),
      }),
    )
    .optional()
    .describe("its jobs, each with every received object that has facts of its own; a job's record has only one object"),
});
export type RunRecord = z.output<typeof RunRecord>;
