// The ways to tamper with a database, each with the row that a verification must name.

import type { Dice } from "./tamper.ts";

export type Ask = (query: string) => Promise<Record<string, unknown>[]>;

export type RowAct = {
  readonly kind: string;
  /** @returns the rows that must be named, all of them */
  readonly act: (ask: Ask, dice: Dice) => Promise<string[]>;
};

/** What tells a row of a job apart, and columns whose change must be seen. */
const tables = {
  jobs: { place: undefined, columns: ["conclusion", "job_name", "run_attempt", "completed_at", "labels", "head_sha"] },
  steps: { place: "step_number", columns: ["conclusion", "step_name", "started_at"] },
  logs: { place: undefined, columns: ["raw_sha256", "raw_bytes", "log_flags", "first_line_at", "record_sha256", "archived_at"] },
  sections: { place: "step_number", columns: ["first_line", "raw_bytes"] },
  action_uses: { place: "position", columns: ["sha", "action", "line_number"] },
  annotations: { place: "line_number", columns: ["message", "level", "step_number"] },
} as const;
type Table = keyof typeof tables;

const names = Object.keys(tables) as Table[];

export const rowActs: readonly RowAct[] = [
  ...names.flatMap((table): RowAct[] => [
    { kind: `edit · ${table}`, act: (ask, dice) => edit(ask, dice, table) },
    { kind: `delete · ${table}`, act: (ask, dice) => remove(ask, dice, table) },
    { kind: `add · ${table}`, act: (ask, dice) => add(ask, dice, table) },
  ]),
  { kind: "edit · seals", act: editSeal },
  { kind: "delete · seals", act: removeSeal },
  { kind: "edit · objects", act: editObject },
  { kind: "delete · objects", act: removeObject },
  { kind: "add · objects", act: addObject },
];

async function pick(ask: Ask, dice: Dice, table: Table): Promise<{ where: string; name: string; row: Record<string, unknown> }> {
  const { place } = tables[table];
  // Rows of jobs whose log is settled: those of the others are the ledger's alone.
  const rows = await ask(`select * from archive.${table} where job_id in (select job_id from archive.logs) order by 1, 2`);
  const row = dice.one(rows);
  const isPlaced = place === undefined ? "" : ` and ${place} = ${String(row[place])}`;
  return {
    row,
    where: `job_id = ${String(row["job_id"])}${isPlaced}`,
    name: `archive.${table} ${String(row["job_id"])}${place === undefined ? "" : ` ${place}=${String(row[place])}`}`,
  };
}

function otherValue(column: string, row: Record<string, unknown>, dice: Dice): string {
  const value = row[column];
  if (column === "level") return value === "error" ? "'warning'" : "'error'";
  if (column === "labels" || column === "log_flags") return "array['no_end_marker']";
  if (column.endsWith("_at")) return `timestamptz '2020-01-01' + interval '${1 + dice.below(1000)} seconds'`;
  if (column.endsWith("sha256")) return `'${String(dice.below(1_000_000)).padStart(64, "0")}'`;
  if (typeof value === "number" || /bytes|line|attempt|number/.test(column)) return String(Number(value) + 1 + dice.below(5));
  return `'other ${dice.below(1_000_000)}'`;
}

async function edit(ask: Ask, dice: Dice, table: Table): Promise<string[]> {
  const { where, name, row } = await pick(ask, dice, table);
  const column: string = dice.one(tables[table].columns);
  await ask(`update archive.${table} set ${column} = ${otherValue(column, row, dice)} where ${where}`);
  return [name];
}

async function remove(ask: Ask, dice: Dice, table: Table): Promise<string[]> {
  const { where, name } = await pick(ask, dice, table);
  // A job's row holds all others.
  if (table === "jobs")
    for (const other of [...names.slice(1), "permissions", "log_facts"]) await ask(`delete from archive.${other} where ${where}`);
  await ask(`delete from archive.${table} where ${where}`);
  return [name];
}

async function add(ask: Ask, dice: Dice, table: Table): Promise<string[]> {
  const { row } = await pick(ask, dice, table);
  const stranger = 61_901_817_990 + dice.below(1000);
  const { place } = tables[table];
  // A row of a job that is there, where one job has many; a job of nobody's, where it has one.
  const changes: Record<string, unknown> = place === undefined ? { job_id: stranger } : { [place]: 5000 + dice.below(1000) };
  const job = String(changes["job_id"] ?? row["job_id"]);
  if (table === "logs") {
    await ask(`select archive.make_partitions(array[${job}]::bigint[])`);
    await copyRow(ask, "jobs", `job_id = ${String(row["job_id"])}`, { job_id: stranger });
  }
  if (table === "jobs") await ask(`select archive.make_partitions(array[${job}]::bigint[])`);
  const isPlaced = place === undefined ? "" : ` and ${place} = ${String(row[place])}`;
  await copyRow(ask, table, `job_id = ${String(row["job_id"])}${isPlaced}`, changes);
  return [`archive.${table} ${job}${place === undefined ? "" : ` ${place}=${String(changes[place])}`}`];
}

async function copyRow(ask: Ask, table: string, where: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const columns = (
    await ask(`
      select column_name from information_schema.columns
      where table_schema = 'archive' and table_name = '${table}' and is_generated = 'NEVER' order by ordinal_position`)
  ).map(({ column_name }) => String(column_name));
  const values = columns.map((column) => (column in changes ? String(changes[column]) : column));
  await ask(
    `insert into archive.${table} (${columns.join(", ")}) select ${values.join(", ")} from archive.${table} where ${where}`,
  );
}

async function editSeal(ask: Ask, dice: Dice): Promise<string[]> {
  const { sequence } = dice.one(await ask("select sequence from archive.seals"));
  const change = dice.one([
    "sealed_at = sealed_at - interval '1 hour'",
    "entries = entries + 1",
    `sha256 = '${"0".repeat(64)}'`,
    "key_id = 'none'",
  ]);
  await ask(`update archive.seals set ${change} where sequence = ${String(sequence)}`);
  return [`archive.seals ${String(sequence)}`];
}

async function removeSeal(ask: Ask, dice: Dice): Promise<string[]> {
  const { sequence } = dice.one(await ask("select sequence from archive.seals"));
  await ask(`delete from archive.seals where sequence = ${String(sequence)}`);
  return [`archive.seals ${String(sequence)}`];
}

async function editObject(ask: Ask, dice: Dice): Promise<string[]> {
  const { object_key } = dice.one(await ask("select object_key from archive.objects where sealed_in is not null order by 1"));
  const change = dice.one([
    "size_bytes = size_bytes + 1",
    `sha256 = '${"1".repeat(64)}'`,
    "sealed_in = sealed_in % 8 + 1",
    "sealed_in = null",
  ]);
  await ask(`update archive.objects set ${change} where object_key = '${String(object_key)}'`);
  return [`archive.objects ${String(object_key)}`];
}

async function removeObject(ask: Ask, dice: Dice): Promise<string[]> {
  const { object_key } = dice.one(await ask("select object_key from archive.objects where sealed_in is not null order by 1"));
  await ask(`delete from archive.objects where object_key = '${String(object_key)}'`);
  return [`archive.objects ${String(object_key)}`];
}

async function addObject(ask: Ask, dice: Dice): Promise<string[]> {
  const key = `logs/github.com/1/2/${dice.below(1_000_000) + 1}.log.zst`;
  await ask(
    `insert into archive.objects (object_key, size_bytes, sha256, sealed_in) values ('${key}', 1, '${"2".repeat(64)}', ${1 + dice.below(8)})`,
  );
  return [`archive.objects ${key}`];
}
