// Checks that no secret is in anything that processes printed, stored or queued.

import type { CheckContext } from "./check-context.ts";
import { leaksIn, type Secrets, signaturePattern } from "./leaks.ts";
import type { StoreView } from "./read-store.ts";
import { query } from "./rows.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** I7. */
export async function checkLeaks({
  evidence,
  store,
  secrets,
}: CheckContext & { readonly store: StoreView; readonly secrets: Secrets }) {
  const { outputs = [], queue = [], client } = evidence;
  const inOutputs = outputs.flatMap(({ name, text }) => leaksIn(text, secrets).map((leak) => `${name} printed ${leak}`));
  const inQueue = queue.flatMap((text) => leaksIn(text, secrets).map((leak) => `the queue holds ${leak}`));
  const inRows: Violation[] = violationsOf("I7", await leaksInRows(client, secrets));
  return [...violationsOf("I7", [...inOutputs, ...store.leaks, ...inQueue]), ...inRows];
}

// Postgres filters candidates, so that not every row of a large archive is transferred.
async function leaksInRows(client: CheckContext["evidence"]["client"], secrets: Secrets): Promise<string[]> {
  const tables = await query<{ name: string; text: string }>(
    client,
    `select format('%I.%I', nspname, relname) as name,
      string_agg(case when atttypid = 'bytea'::regtype then format('encode(%I, ''escape'')', attname) else format('%I::text', attname) end,
        ', ' order by attnum) as text
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where nspname in ('archive', 'audit', 'queue') and relkind in ('r', 'm')
    group by 1 order by 1`,
  );
  const leaks: string[] = [];
  for (const { name, text } of tables) {
    const rows = await query<{ text: string }>(
      client,
      `select text from (select concat_ws(' ', ${text}) as text from ${name}) as rows
      where text like any ($1::text[]) or ($2 and text ~ $3)`,
      [
        secrets.lines.map((line) => `%${line.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`),
        secrets.signatures.size > 0,
        signaturePattern,
      ],
    );
    leaks.push(...rows.flatMap((row) => leaksIn(row.text, secrets).map((leak) => `a row of ${name} holds ${leak}`)));
  }
  return leaks;
}
