// Rows extracted from a log's text: lines of steps, used actions, annotations, the token's permissions and the runner. They always
// match the record in force, in any order of loads: its rows replace those of an earlier version.

import { type RawBuilder, sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { archiveSchema, type Schema } from "../connection/schema-name.ts";
import { type ColumnTypes, unnest } from "../connection/unnest.ts";
import { instant, text } from "./job-rows.ts";

/** A step's contiguous lines from its first; later sections of the same step are only in the record. */
function firstOfEach(sections: NonNullable<LogFactsOfRecord["sections"]>) {
  const first = new Map<number, Omit<(typeof sections)[number], "step_number">>();
  for (const { step_number, ...place } of sections)
    if (step_number !== null && !first.has(step_number)) first.set(step_number, place);
  return [...first].map(([step_number, place]) => ({ step_number, ...place }));
}

/** A record and its extracted facts; none if the log was not extracted. */
export type LogFactsOfRecord = {
  readonly job_id: number;
  readonly record_key: string;
  readonly sections?:
    | readonly {
        readonly step_number: number | null;
        readonly first_line: number;
        readonly line_count: number;
        readonly raw_start: number;
        readonly raw_bytes: number;
      }[]
    | undefined;
  readonly action_uses?:
    | readonly {
        readonly step_number: number | null;
        readonly action: string;
        readonly ref: string | null;
        readonly sha: string | null;
        readonly line_number: number;
        readonly used_at: string | null;
      }[]
    | undefined;
  readonly annotations?:
    | readonly {
        readonly step_number: number | null;
        readonly level: string;
        readonly line_number: number;
        readonly message: string;
      }[]
    | undefined;
  readonly runner?: Readonly<Record<string, string>> | undefined;
  readonly token_permissions?: Readonly<Record<string, string>> | undefined;
  readonly locked_actions?: boolean | undefined;
  /** Number of items over the record's cap in each list. */
  readonly left_out?: LeftOut | undefined;
};

type LeftOut = Readonly<Partial<Record<"action_uses" | "annotations" | "token_permissions", number | undefined>>>;

const sectionTypes = {
  job_id: "bigint",
  step_number: "integer",
  first_line: "bigint",
  line_count: "bigint",
  raw_start: "bigint",
  raw_bytes: "bigint",
} as const;
const useTypes = {
  job_id: "bigint",
  position: "integer",
  step_number: "integer",
  action: "text",
  ref: "text",
  sha: "text",
  line_number: "bigint",
  used_at: "timestamptz",
} as const;
const annotationTypes = {
  job_id: "bigint",
  line_number: "bigint",
  step_number: "integer",
  level: "text",
  message: "text",
} as const;
const permissionTypes = { job_id: "bigint", scope: "text", access: "text" } as const;
const factTypes = {
  job_id: "bigint",
  action_uses_left_out: "integer",
  annotations_left_out: "integer",
  permissions_left_out: "integer",
  runner_version: "text",
  runner_name: "text",
  runner_group_name: "text",
  machine: "text",
  os: "text",
  image: "text",
  image_version: "text",
  region: "text",
  provisioner: "text",
  secret_source: "text",
  locked_actions: "boolean",
  cache_mode: "text",
} as const;

/**
 * Writes the rows of those `records` that are in force in `archive.logs`; others change nothing. Call it after `upsertLogs`, in the
 * same transaction: its row locks separate two loaders of one job. Idempotent: a repeated call changes no row.
 */
export async function replaceLogFacts(
  trx: Database,
  records: readonly LogFactsOfRecord[],
  schema: Schema = archiveSchema,
): Promise<void> {
  const inForce = await recordsInForce(trx, schema, records);
  if (inForce.length === 0) return;
  const jobIds = await jobsWithFacts(
    trx,
    schema,
    inForce.map(({ job_id }) => job_id),
  );
  await replaceRows(trx, jobIds, {
    table: sql`${schema}.sections`,
    key: sql`step_number`,
    types: sectionTypes,
    rows: inForce.flatMap(({ job_id, sections = [] }) => firstOfEach(sections).map((section) => ({ job_id, ...section }))),
  });
  await replaceRows(trx, jobIds, {
    table: sql`${schema}.action_uses`,
    key: sql`position`,
    types: useTypes,
    rows: inForce.flatMap(({ job_id, action_uses = [] }) =>
      action_uses.map(({ step_number, action, ref, sha, line_number, used_at }, position) => ({
        job_id,
        position,
        step_number,
        action: text(action),
        ref: text(ref),
        sha: text(sha),
        line_number,
        used_at: instant(used_at),
      })),
    ),
  });
  await replaceRows(trx, jobIds, {
    table: sql`${schema}.annotations`,
    key: sql`line_number`,
    types: annotationTypes,
    rows: inForce.flatMap(({ job_id, annotations = [] }) =>
      annotations.map(({ step_number, level, line_number, message }) => ({
        job_id,
        line_number,
        step_number,
        level,
        message: text(message),
      })),
    ),
  });
  await replaceRows(trx, jobIds, {
    table: sql`${schema}.permissions`,
    key: sql`scope`,
    types: permissionTypes,
    rows: inForce.flatMap(permissionRows),
  });
  await replaceRows(trx, jobIds, {
    table: sql`${schema}.log_facts`,
    // At most one row per job.
    key: sql`job_id`,
    types: factTypes,
    rows: inForce.flatMap(factRow),
  });
}

// Two names can become one since Postgres does not accept NUL: the later wins.
function permissionRows({ job_id, token_permissions = {} }: LogFactsOfRecord) {
  const accesses = new Map(Object.entries(token_permissions).map(([scope, access]) => [text(scope), text(access)]));
  return [...accesses].map(([scope, access]) => ({ job_id, scope, access }));
}

/** None for a record without extraction, as of an absent log. */
function factRow(record: LogFactsOfRecord) {
  const { job_id, action_uses, annotations, runner, token_permissions, locked_actions, left_out = {} } = record;
  if (action_uses === undefined && annotations === undefined && runner === undefined && token_permissions === undefined)
    return [];
  const fact = (name: string) => text(runner?.[name]);
  return [
    {
      job_id,
      action_uses_left_out: action_uses === undefined ? null : (left_out.action_uses ?? 0),
      annotations_left_out: annotations === undefined ? null : (left_out.annotations ?? 0),
      permissions_left_out: token_permissions === undefined ? null : (left_out.token_permissions ?? 0),
      runner_version: fact("version"),
      runner_name: fact("name"),
      runner_group_name: fact("group"),
      machine: fact("machine"),
      os: fact("os"),
      image: fact("image"),
      image_version: fact("image_version"),
      region: fact("region"),
      provisioner: fact("provisioner"),
      secret_source: fact("secret_source"),
      locked_actions: locked_actions ?? null,
      cache_mode: fact("cache_mode"),
    },
  ];
}

// Sorted by job, which avoids deadlocks; a repeated record counts once.
async function recordsInForce(trx: Database, schema: Schema, records: readonly LogFactsOfRecord[]): Promise<LogFactsOfRecord[]> {
  const named = records.map(({ job_id, record_key }) => ({ job_id, record_key }));
  const { rows } = await sql<{ job_id: number; record_key: string }>`
    select distinct logs.job_id, logs.record_key
    from ${unnest({ job_id: "bigint", record_key: "text" }, named)}
    join ${schema}.logs on logs.job_id = incoming.job_id and logs.record_key = incoming.record_key
    order by logs.job_id
  `.execute(trx);
  const byKey = new Map(records.map((record) => [record.record_key, record]));
  return rows.flatMap(({ record_key }) => byKey.get(record_key) ?? []);
}

// Almost always empty: then nothing is deleted.
async function jobsWithFacts(trx: Database, schema: Schema, jobIds: readonly number[]): Promise<number[]> {
  const ofJobs = sql`where job_id = any(${sql.val(jobIds)}::bigint[])`;
  const { rows } = await sql<{ job_id: number }>`
    select job_id from ${schema}.sections ${ofJobs}
    union select job_id from ${schema}.action_uses ${ofJobs}
    union select job_id from ${schema}.annotations ${ofJobs}
    union select job_id from ${schema}.permissions ${ofJobs}
    union select job_id from ${schema}.log_facts ${ofJobs}
  `.execute(trx);
  return rows.map(({ job_id }) => job_id);
}

type Rows<R extends object> = {
  readonly table: RawBuilder<unknown>;
  /** The column that distinguishes a job's rows. */
  readonly key: RawBuilder<unknown>;
  readonly types: ColumnTypes<R>;
  readonly rows: readonly R[];
};

async function replaceRows<R extends object>(
  trx: Database,
  jobIds: readonly number[],
  { table, key, types, rows }: Rows<R>,
): Promise<void> {
  const columns = Object.keys(types).map((name) => sql.ref(name));
  const list = sql.join(columns);
  const excluded = sql.join(columns.map((column) => sql`excluded.${column}`));
  if (jobIds.length > 0)
    await sql`
      delete from ${table} as present
      where present.job_id = any(${sql.val(jobIds)}::bigint[])
        and not exists (
          select from ${unnest(types, rows)} where incoming.job_id = present.job_id and incoming.${key} = present.${key}
        )
    `.execute(trx);
  if (rows.length === 0) return;
  await sql`
    insert into ${table} as present (${list})
    select ${list} from ${unnest(types, rows)}
    on conflict (job_id, ${key}) do update set (${list}) = row(${excluded})
    where (${sql.join(columns.map((column) => sql`present.${column}`))}) is distinct from (${excluded})
  `.execute(trx);
}
