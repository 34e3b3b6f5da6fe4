// Ways to tamper with a database, each with the rows that a verification must report: random edits, deletions and insertions in every
// table that `rowCoverage` compares.

import { repositoryId } from "@actions-archive/database/test-support/samples";
import { rowCoverage } from "@actions-archive/database/verify/row-coverage";

import type { Dice } from "./tamper.ts";

export type Ask = (query: string) => Promise<Record<string, unknown>[]>;

export type RowAct = {
  readonly kind: string;
  /** @returns every row that must be reported; none where the table has no suitable row */
  readonly tamper: (ask: Ask, dice: Dice) => Promise<string[]>;
};

type Row = Readonly<Record<string, unknown>>;

type Tampering = {
  /** The primary key. */
  readonly key: readonly string[];
  /** How a finding names a row: by the first column of the key, and by these. */
  readonly place?: string;
  /** Restricts to rows that an object of the store holds. */
  readonly where?: string;
  /** Columns that are not changed alone, because others must change with them or not every value is wrong. */
  readonly fixed?: readonly string[];
  /** Columns of which only this value is wrong. */
  readonly values?: Readonly<Record<string, (row: Row, dice: Dice) => string>>;
  /** @returns the row that is reported instead of the changed one. */
  readonly nameOf?: (row: Row) => string;
  /** Tables whose rows are deleted with it. */
  readonly children?: readonly string[];
  /** Columns of an inserted row. */
  readonly added?: (row: Row, dice: Dice) => Readonly<Record<string, string>>;
  readonly isDeletable?: false;
};

/** A repository without runs. */
const quiet = String(repositoryId + 1);
const settled = "job_id in (select job_id from archive.logs)";
const stranger = (dice: Dice) => String(61_901_817_990 + dice.below(100_000));
const place = (row: Row, dice: Dice, column: string): Record<string, string> => ({ [column]: String(5000 + dice.below(1000)) });
const time = (row: Row, column: string) =>
  (row[column] instanceof Date ? row[column] : new Date(String(row[column]))).toISOString();
const sha = (dice: Dice) => `'${String(dice.below(1_000_000)).padStart(64, "0")}'`;
const ofRecordedRun = "run_id in (select run_id from archive.attempts where record_key is not null)";

const tables: Readonly<Record<string, Tampering>> = {
  jobs: {
    key: ["job_id"],
    where: settled,
    children: ["steps", "sections", "action_uses", "annotations", "permissions", "log_facts", "logs"],
    added: (_row, dice) => ({ job_id: stranger(dice) }),
  },
  steps: {
    key: ["job_id", "step_number"],
    place: "step_number",
    where: settled,
    added: (row, dice) => place(row, dice, "step_number"),
  },
  logs: {
    key: ["job_id"],
    where: "log_state = 'archived'",
    fixed: ["log_state", "log_reason"],
    values: { log_key: (_row, dice) => `'logs/other ${dice.below(1000)}'` },
  },
  sections: { key: ["job_id", "step_number"], place: "step_number", added: (row, dice) => place(row, dice, "step_number") },
  action_uses: { key: ["job_id", "position"], place: "position", added: (row, dice) => place(row, dice, "position") },
  annotations: { key: ["job_id", "line_number"], place: "line_number", added: (row, dice) => place(row, dice, "line_number") },
  permissions: { key: ["job_id", "scope"], place: "scope", added: (_row, dice) => ({ scope: `'Scope ${dice.below(1000)}'` }) },
  log_facts: { key: ["job_id"] },
  log_jobs: {
    key: ["job_id"],
    where: `${settled} and ${ofRecordedRun} and run_attempt = 1`,
    values: {
      repository_id: () => quiet,
      run_attempt: (row) => String(Number(row["run_attempt"]) + 7),
      last_listed_attempt: (row) => String(Number(row["last_listed_attempt"]) - 7),
    },
  },
  runs: {
    key: ["run_id"],
    children: ["attempts"],
    values: { run_attempt: () => "0", repository_id: () => quiet },
    where: ofRecordedRun,
    added: (_row, dice) => ({ run_id: stranger(dice), first_seen_at: "'2026-01-01'" }),
  },
  attempts: {
    key: ["run_id", "run_attempt"],
    place: "run_attempt",
    where: "record_key is not null",
    values: {
      state: (row, dice) => `'${dice.one(["open", "gone", "never_completed"])}'`,
      sealed_in: (row, dice) =>
        String(dice.one([1, 2, 3, 4, 5, 6, 7, 8].filter((each) => each !== row["sealed_in"] && each < 3))),
      pull_request_numbers: (_row, dice) => `array[${stranger(dice)}]::bigint[]`,
      missing_job_ids: (_row, dice) => `array[${stranger(dice)}]::bigint[]`,
    },
    // The run id must be that of an existing row.
    fixed: ["run_id", "repository_id", "record_key"],
    added: (_row, dice) => ({
      run_attempt: String(20 + dice.below(1000)),
      first_seen_at: "'2026-01-01'",
      record_key: "null",
      sealed_in: "null",
    }),
  },
  repositories: {
    key: ["repository_id"],
    where: `repository_id = ${repositoryId}`,
    fixed: ["repository_id"],
    isDeletable: false,
  },
  identity: { key: [], fixed: ["archive_id"], isDeletable: false, nameOf: () => "archive.identity" },
  seals: { key: ["sequence"], values: { key_id: () => "'none'", next_key_id: () => "'none'" }, fixed: ["sequence"] },
  objects: {
    key: ["object_key"],
    where: "sealed_in is not null",
    values: { sealed_in: (row, dice) => dice.one(["null", String((Number(row["sealed_in"]) % 8) + 1)]) },
    added: (_row, dice) => ({ object_key: `'logs/github.com/1/2/${dice.below(1_000_000) + 1}.log.zst'` }),
  },
  tombstones: {
    key: ["object_key"],
    values: { cause: (row) => (row["cause"] === "erase" ? "'retention'" : "'erase'") },
    added: (_row, dice) => ({ object_key: `'logs/github.com/1/2/${dice.below(1_000_000) + 1}.log.zst'` }),
  },
  damages: {
    key: ["object_key"],
    values: { finding: () => "'missing'" },
    added: (_row, dice) => ({ object_key: `'logs/github.com/1/2/${dice.below(1_000_000) + 1}.log.zst'` }),
  },
  holds: {
    key: ["hold_id"],
    nameOf: (row) =>
      `archive.holds ${String(row["job_id"])} is_held=${row["is_held"] === true ? "t" : "f"} changed_at=${time(row, "changed_at")}`,
    fixed: ["hold_id"],
    values: { is_held: (row) => String(row["is_held"] !== true) },
    added: (_row, dice) => ({ job_id: stranger(dice), sealed_in: dice.one(["null", "2"]), changed_at: "'2026-01-01'" }),
  },
  retention_policies: {
    key: ["policy_id"],
    nameOf: (row) => `archive.retention_policies ${String(row["name"])} changed_at=${time(row, "changed_at")}`,
    fixed: ["policy_id"],
    added: (_row, dice) => ({
      name: `'acme/other-${dice.below(100_000)}'`,
      sealed_in: dice.one(["null", "2"]),
      changed_at: "'2026-01-01'",
    }),
  },
  retries: {
    key: ["retry_id"],
    nameOf: (row) => `archive.retries ${String(row["job_id"])} retried_at=${time(row, "retried_at")}`,
    fixed: ["retry_id"],
    added: (_row, dice) => ({ job_id: stranger(dice), sealed_in: dice.one(["null", "2"]), retried_at: "'2026-01-01'" }),
  },
  backfill_steps: {
    key: ["step_id"],
    nameOf: (row) =>
      `archive.backfill_steps ${String(row["backfill_id"])} step=${String(row["step"])} taken_at=${time(row, "taken_at")}`,
    fixed: ["step_id"],
    values: {
      step: (row) => (row["step"] === "begin" ? "'cancel'" : "'begin'"),
      repository_ids: (_row, dice) => `array[${stranger(dice)}]::bigint[]`,
    },
    added: (_row, dice) => ({
      backfill_id: String(100 + dice.below(1000)),
      sealed_in: dice.one(["null", "2"]),
      taken_at: "'2026-01-01'",
    }),
  },
  removals: {
    key: ["runs_before"],
    nameOf: (row) => `archive.removals ${time(row, "runs_before")}`,
    added: (_row, dice) => ({
      runs_before: `timestamptz '2019-01-01' + interval '${dice.below(100_000)} seconds'`,
      sealed_in: "null",
    }),
  },
  windows: {
    key: ["repository_id", "window_start"],
    isDeletable: false,
    fixed: ["repository_id"],
    values: {
      window_start: (row, dice) => `'${time(row, "window_start")}'::timestamptz - interval '${1 + dice.below(1000)} days'`,
      window_end: (row, dice) => `'${time(row, "window_end")}'::timestamptz + interval '${1 + dice.below(1000)} days'`,
    },
    nameOf: (row) => `archive.windows ${String(row["repository_id"])} window_start=${time(row, "window_start")}`,
    added: (_row, dice) => ({
      window_start: `timestamptz '2021-01-01' + interval '${dice.below(100)} days'`,
      window_end: "'2022-01-01'",
      scanned_at: "'2022-01-01'",
      sealed_in: dice.one(["null", "2"]),
    }),
  },
  full_seconds: {
    key: ["repository_id", "second_start"],
    fixed: ["repository_id"],
    nameOf: (row) => `archive.full_seconds ${String(row["repository_id"])} second_start=${time(row, "second_start")}`,
    added: (_row, dice) => ({
      second_start: `timestamptz '2026-03-01' + interval '${dice.below(100_000)} seconds'`,
      seen_at: "'2026-01-01'",
    }),
  },
};

export const rowActs: readonly RowAct[] = rowCoverage
  .filter(({ compared }) => compared.length > 0)
  .flatMap(({ table, compared }): RowAct[] => {
    const how = tables[table];
    if (how === undefined) throw new Error(`archive.${table} is compared, and nothing tampers with it`);
    const columns = compared.filter((column) => column !== "action_lower" && !(how.fixed ?? []).includes(column));
    return [
      { kind: `edit · ${table}`, tamper: (ask, dice) => edit(ask, dice, { table, how, columns }) },
      ...(how.isDeletable === false
        ? []
        : [{ kind: `delete · ${table}`, tamper: (ask: Ask, dice: Dice) => remove(ask, dice, { table, how }) }]),
      ...(how.added === undefined
        ? []
        : [{ kind: `add · ${table}`, tamper: (ask: Ask, dice: Dice) => add(ask, dice, { table, how }) }]),
    ];
  });

function nameOf(table: string, { key, place: by, nameOf: name }: Tampering, row: Row): string {
  if (name !== undefined) return name(row);
  return `archive.${table} ${String(row[key[0] ?? ""])}${by === undefined ? "" : ` ${by}=${String(row[by])}`}`;
}

/** For keys only: numbers, texts and timestamps. */
function literal(value: unknown): string {
  const text = value instanceof Date ? value.toISOString() : (JSON.stringify(value) ?? "null");
  return `'${text.replaceAll(/^"|"$/g, "").replaceAll("'", "''")}'`;
}

const isRow = ({ key }: Tampering, row: Row) =>
  key.length === 0 ? "true" : key.map((column) => `${column} = ${literal(row[column])}`).join(" and ");

type Target = { readonly table: string; readonly how: Tampering };

async function pick(ask: Ask, dice: Dice, { table, how }: Target): Promise<Row | undefined> {
  const rows = await ask(`select * from archive.${table} where ${how.where ?? "true"} order by 1, 2`);
  return rows.length === 0 ? undefined : dice.one(rows);
}

async function otherValue(
  ask: Ask,
  dice: Dice,
  { table, column, row }: { table: string; column: string; row: Row },
): Promise<string> {
  const [type] = await ask(
    `select format_type(atttypid, atttypmod) as name from pg_attribute where attrelid = 'archive.${table}'::regclass and attname = '${column}'`,
  );
  switch (type?.["name"]) {
    case "bigint":
    case "integer":
      return String(Number(row[column] ?? 0) + 1 + dice.below(5));
    case "timestamp with time zone":
      return `timestamptz '2020-01-01' + interval '${1 + dice.below(1000)} seconds'`;
    case "text[]":
      return "array['no_end_marker']";
    case "boolean":
      return String(row[column] !== true);
    default:
      if (column.endsWith("sha256")) return sha(dice);
      if (column === "level") return row[column] === "error" ? "'warning'" : "'error'";
      return `'other ${dice.below(1_000_000)}'`;
  }
}

async function edit(
  ask: Ask,
  dice: Dice,
  { table, how, columns }: Target & { readonly columns: readonly string[] },
): Promise<string[]> {
  const row = await pick(ask, dice, { table, how });
  if (row === undefined) return [];
  // A row of another table may hold what the object leaves open; a key of another table's row is another row.
  const filled = columns.filter(
    (column) => row[column] !== null && !(how.key.includes(column) && how.values?.[column] === undefined),
  );
  const column = dice.one(filled.length > 0 ? filled : columns);
  const value = how.values?.[column]?.(row, dice) ?? (await otherValue(ask, dice, { table, column, row }));
  await ask(`update archive.${table} set ${column} = ${value} where ${isRow(how, row)}`);
  if (table !== "windows" || column !== "window_start") return [nameOf(table, how, row)];
  const [moved] = await ask(`select ${value} as window_start`);
  return [nameOf(table, how, { ...row, ...moved })];
}

async function remove(ask: Ask, dice: Dice, { table, how }: Target): Promise<string[]> {
  const row = await pick(ask, dice, { table, how });
  if (row === undefined) return [];
  const names = [nameOf(table, how, row)];
  for (const child of how.children ?? []) {
    const deleted = await ask(`delete from archive.${child} where ${isRow(how, row)} returning *`);
    for (const each of deleted) names.push(nameOf(child, tables[child] ?? { key: [] }, each));
  }
  await ask(`delete from archive.${table} where ${isRow(how, row)}`);
  return names;
}

async function add(ask: Ask, dice: Dice, { table, how }: Target): Promise<string[]> {
  const row = await pick(ask, dice, { table, how });
  if (row === undefined || how.added === undefined) return [];
  const changes = how.added(row, dice);
  if (table === "jobs") await ask(`select archive.make_partitions(array[${changes["job_id"]}]::bigint[])`);
  const columns = (
    await ask(`
      select column_name from information_schema.columns
      where table_schema = 'archive' and table_name = '${table}' and is_generated = 'NEVER' and is_identity = 'NO' order by ordinal_position`)
  ).map(({ column_name }) => String(column_name));
  const values = columns.map((column) => changes[column] ?? column);
  const [added] = await ask(
    `insert into archive.${table} (${columns.join(", ")}) select ${values.join(", ")} from archive.${table} where ${isRow(how, row)} returning *`,
  );
  return added === undefined ? [] : [nameOf(table, how, added)];
}
