// What `verify --against-database` compares of each table and column of schema archive. The report, docs/verify.md and the tests are
// generated from this list.

/** Why neither an object of the store nor a seal contains a column. */
const reasons = {
  work: "when work is due, who has it, and how often it was tried",
  clock: "when the database or a worker did something, which no object holds",
  github: "what GitHub said last of what it changes at any time",
  settings: "follows from the settings of the workers",
  derived: "made of other columns, or of objects that are compared",
  queue: "what waits, until it is in a table that is compared",
  statement: "a removal's progress, which the store itself shows",
  access: "who may read what: compare it with your own list",
  shrinking: "an older or narrower one claims less, and the archive itself narrows them",
} as const;
type Reason = keyof typeof reasons;

type Table = {
  /** What its rows are compared with. */
  readonly with?: string;
  /** Columns, separated by spaces. */
  readonly compared?: string;
  readonly not: Readonly<Partial<Record<Reason, string>>>;
};

const jobRows = "records and run records";
const logRows = "records in force";
const seals = "seals";

const tables: Readonly<Record<string, Table>> = {
  action_uses: {
    with: logRows,
    compared: "job_id position step_number action action_lower ref sha line_number used_at",
    not: {},
  },
  annotations: { with: logRows, compared: "job_id line_number step_number level message", not: {} },
  attempts: {
    with: "run records and seals",
    compared:
      "run_id run_attempt repository_id state status conclusion actor triggering_actor pull_request_numbers head_repository listed_at listed_jobs missing_job_ids record_key sealed_in",
    not: {
      work: "checks check_due_at webhook_at confirm_due_at jobs_etag check_reason check_detail check_failures same_reason_checks same_reason_since incomplete_since",
      clock: "first_seen_at",
      derived: "object run_updated_at",
    },
  },
  auditor_owners: { not: { access: "role owner" } },
  backfill_repositories: {
    not: {
      work: "backfill_id repository_id done_at due_at estimated_runs lease_holder leased_until listed_from problem problem_since",
    },
  },
  backfill_steps: {
    with: seals,
    compared: "step_id backfill_id step asked_for repository_ids since until taken_at by os_user database_user reason sealed_in",
    not: {},
  },
  backfills: { not: { work: "backfill_id asked_for created_at ended_at since state until" } },
  clock_skews: { not: { work: "host skew_seconds since last_seen_at cleared_at" } },
  credential_holders: { not: { work: "credential holder requests waiting leased_until" } },
  credentials: {
    not: {
      work: "credential paused_until pause_reason limit_per_hour used unread unread_at reset_at reset_seconds hour_started_at hour_requests guessed_until guesses observed_at starts starts_second",
    },
  },
  damages: {
    with: seals,
    compared: "object_key finding found_at repository_id job_id repaired_by sealed_in",
    not: { clock: "repaired_at" },
  },
  deliveries: {
    not: {
      queue:
        "guid event action body repository_id received_at outcome problem tries redelivery_requested_at redelivery_requests first_seen_at",
    },
  },
  full_seconds: { with: seals, compared: "repository_id second_start", not: { clock: "seen_at" } },
  holds: { with: seals, compared: "hold_id job_id is_held reason changed_at by os_user database_user sealed_in", not: {} },
  identity: { with: seals, compared: "archive_id host", not: { clock: "created_at", derived: "singleton" } },
  jobs: {
    with: jobRows,
    compared:
      "job_id repository_id run_id run_attempt last_listed_attempt workflow_name job_name head_branch head_sha status conclusion runner_id runner_name runner_group_id runner_group_name labels html_url created_at started_at completed_at",
    not: { clock: "loaded_at" },
  },
  log_facts: {
    with: logRows,
    compared:
      "job_id action_uses_left_out annotations_left_out permissions_left_out image image_version machine os provisioner region runner_group_name runner_name runner_version secret_source locked_actions cache_mode",
    not: {},
  },
  logs: {
    with: logRows,
    compared:
      "job_id log_state log_reason log_flags copied_from_job_id log_key log_version_id raw_bytes raw_sha256 stored_bytes stored_sha256 lines first_line_at last_line_at archived_at record_key record_version record_sha256 extraction_version object_steps",
    not: {},
  },
  locks: { not: { work: "name" } },
  log_leases: { not: { work: "job_id crashes leased_until worker raw_bytes raw_sha256" } },
  migrations: { not: { derived: "name timestamp" } },
  migrations_lock: { not: { work: "id is_locked" } },
  objects: {
    with: seals,
    compared: "object_key version_id size_bytes sha256 repository_id run_id job_id sealed_in",
    not: { clock: "recorded_at" },
  },
  log_jobs: {
    with: jobRows,
    compared:
      "job_id repository_id run_id run_attempt last_listed_attempt job_name runner_name conclusion started_at completed_at",
    not: {
      work: "due_at tries recheck_at incomplete_read_at unconfirmed_answer unconfirmed_at log_detail backfill_id reread_tries reread_due_at reread_problem",
      clock: "first_seen_at decided_at rows_loaded_at object_received_at",
      derived:
        "object other_objects object_source object_steps contents log_state log_reason record_key extraction_version recorded_steps",
      github: "expires_at",
    },
  },
  permissions: { with: logRows, compared: "job_id scope access", not: {} },
  rebuild: {
    not: {
      work: "singleton archive_id phase position objects_listed objects_read jobs seconds began_at ended_at",
    },
  },
  rebuild_refusals: { not: { work: "object_key problem refused_at" } },
  removals: { with: seals, compared: "runs_before removed_at runs jobs closed_gaps database_user sealed_in", not: {} },
  repositories: {
    with: "the newest object that names it",
    compared: "repository_id full_name",
    not: {
      work: "poll_due_at polled_at rescanned_at problem problem_since lease_holder leased_until credential runs_etag runs_etag_credential",
      clock: "first_seen_at named_at name_seen_at",
      github: "is_private log_retention_days youngest_gone_seconds gone_seconds gone_job_id",
      settings: "is_selected archive_since",
    },
  },
  retention_policies: {
    with: seals,
    compared: "policy_id name keep_days changed_at by os_user database_user reason sealed_in",
    not: {},
  },
  retries: {
    with: seals,
    compared: "retry_id job_id repository_id failed_for retried_at by os_user database_user reason sealed_in",
    not: {},
  },
  retention_walk: {
    not: { work: "singleton policy_id repository_id completed_at job_id round_began_at round_ended_at" },
  },
  runs: {
    with: "run records and seals",
    compared:
      "run_id repository_id run_attempt run_number workflow_id workflow_name path event actor triggering_actor head_branch head_sha created_at run_started_at",
    not: { github: "status conclusion updated_at", clock: "first_seen_at", work: "backfill_id" },
  },
  scrub: {
    not: {
      work: "singleton position round_began_at objects objects_read bytes_read last_round_ended_at",
    },
  },
  sealing: { not: { work: "singleton key_id interval_seconds seen_at problem problem_since" } },
  seals: {
    with: seals,
    compared: "sequence sealed_at entries previous_sha256 sha256 key_id next_key_id by os_user database_user reason",
    not: { work: "payload", clock: "published_at", access: "is_trusted" },
  },
  sections: {
    with: logRows,
    compared: "job_id step_number first_line line_count raw_start raw_bytes",
    not: {},
  },
  steps: {
    with: jobRows,
    compared: "job_id step_number step_name status conclusion started_at completed_at",
    not: {},
  },
  tombstones: {
    with: seals,
    compared:
      "object_key job_id repository_id version_id size_bytes sha256 cause reason decided_at by os_user database_user sealed_in",
    not: { statement: "due_at removed_at retained_until problem", access: "is_trusted" },
  },
  unreadable_repositories: { not: { work: "name problem since" } },
  unusable_objects: {
    not: {
      queue: "repository_id kind object_key run_id run_attempt job_id placed_at object problem first_seen_at last_seen_at",
    },
  },
  window_checks: {
    not: {
      work: "repository_id window_start window_end reason promised_runs shown_runs tries due_at first_seen_at incomplete_since",
    },
  },
  windows: {
    with: "all seals together",
    compared: "repository_id window_start window_end",
    not: { clock: "scanned_at", shrinking: "sealed_in" },
  },
};

export type CoveredTable = {
  readonly table: string;
  /** What its rows are compared with; null if no column is compared. */
  readonly compared_with: string | null;
  readonly compared: readonly string[];
  readonly not_covered: readonly { readonly columns: readonly string[]; readonly reason: string }[];
};

/** Every table of schema archive, by name. */
export const rowCoverage: readonly CoveredTable[] = Object.entries(tables).map(([table, { with: by, compared, not }]) => ({
  table,
  compared_with: by ?? null,
  compared: compared?.split(" ") ?? [],
  not_covered: Object.entries(not).map(([reason, columns]) => ({
    columns: columns.split(" "),
    reason: reasons[reason as Reason],
  })),
}));

/** What is not covered, by reason: `table (columns)`, or the table alone if none of its columns is compared. */
export function listNotCovered(): { readonly reason: string; readonly columns: string }[] {
  const entries = rowCoverage.flatMap(({ table, compared, not_covered }) =>
    not_covered.map(({ columns, reason }) => ({
      reason,
      columns: compared.length === 0 ? table : `${table} (${columns.join(", ")})`,
    })),
  );
  const byReason = Map.groupBy(entries, ({ reason }) => reason);
  return [...byReason].map(([reason, found]) => ({
    reason,
    columns: [...new Set(found.map(({ columns }) => columns))].join("; "),
  }));
}

/** The two lists of docs/verify.md, as Markdown. */
export function coverageMarkdown(): string {
  const compared = rowCoverage.filter((each) => each.compared_with !== null);
  return [
    "| table | compared with | columns |",
    "| --- | --- | --- |",
    ...compared.map(({ table, compared_with, compared: columns }) => `| ${table} | ${compared_with} | ${columns.join(", ")} |`),
    "",
    "Not covered, and why:",
    "",
    ...listNotCovered().map(({ reason, columns }) => `- ${reason}: ${columns}`),
  ].join("\n");
}
