// The list of jobs for people: one line a job, with the id that other commands take.

import type { Row } from "@actions-archive/database/audit/auditor";

import { formatAge } from "../format-age.ts";
import { formatTable } from "../format-table.ts";

/** @param rows of `findJobs`, newest first. */
export function formatJobs(rows: readonly Row[], { hasMore, now }: { readonly hasMore: boolean; readonly now: Date }): string {
  if (rows.length === 0) return "No job of this choice is known: actions-archive status shows what is archived.";
  const table = formatTable(
    rows.map((row) => ({
      job_id: row["job_id"],
      completed: typeof row["completed_at"] === "string" ? formatAge(new Date(row["completed_at"]), now) : "",
      conclusion: row["conclusion"],
      log: joinTexts([row["log_state"], row["log_reason"]], ": "),
      repository: row["repository"],
      job: joinTexts([row["workflow_name"], row["job_name"]], " / "),
      branch: row["head_branch"],
    })),
  );
  const more = hasMore ? ", and there are more: --limit shows them" : "";
  return `${table}\n(${rows.length} ${rows.length === 1 ? "job" : "jobs"}${more})`;
}

function joinTexts(values: readonly unknown[], separator: string): string {
  return values.filter((value) => typeof value === "string").join(separator);
}
