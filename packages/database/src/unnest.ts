// Rows as one array parameter a column: the fastest guarded bulk write that was measured, and never near the limit of 65,535
// parameters. `labels`-like arrays travel as JSON, since unnest would flatten them.
import { type RawBuilder, sql } from "kysely";

const arrayTypes = {
  bigint: sql`bigint[]`,
  integer: sql`integer[]`,
  text: sql`text[]`,
  timestamptz: sql`timestamptz[]`,
  json: sql`json[]`,
  boolean: sql`boolean[]`,
};

export type ColumnTypes<R> = { readonly [K in keyof R & string]: keyof typeof arrayTypes };

/** `unnest(…) as incoming(columns)`, to select from; columns in the order of `types`. */
export function unnest<R extends object>(types: ColumnTypes<R>, rows: readonly R[]): RawBuilder<unknown> {
  const names = Object.keys(types) as (keyof R & string)[];
  const arrays = names.map((name) => {
    const values = rows.map((row) => (types[name] === "json" ? JSON.stringify(row[name]) : row[name]));
    return sql`${sql.val(values)}::${arrayTypes[types[name]]}`;
  });
  return sql`unnest(${sql.join(arrays)}) as incoming(${sql.join(names.map((name) => sql.ref(name)))})`;
}

/** One row a key, the last one of each, sorted by key: two rows of one key break an upsert, and order avoids deadlocks. */
export function distinctSorted<R>(rows: readonly R[], keyOf: (row: R) => readonly number[]): R[] {
  const byKey = new Map(rows.map((row) => [keyOf(row).join("/"), row]));
  return [...byKey.values()].toSorted((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)];
    const at = left.findIndex((part, index) => part !== right[index]);
    return at === -1 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
  });
}
