// How long statements take on a warm server, and the plans of the slowest.

import type { Pool } from "pg";

export type Statement = {
  readonly what: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly aimMs?: number;
};
export type Timing = Statement & { readonly p50: number; readonly p95: number; readonly rows: number };

/** Runs each once to warm it, then `runs` times. Times are those of the client, in milliseconds. */
export async function timeStatements(pool: Pool, statements: readonly Statement[], runs: number): Promise<Timing[]> {
  const timings: Timing[] = [];
  for (const statement of statements) {
    const ask = () => pool.query(statement.text, [...(statement.values ?? [])]);
    const { rows } = await ask();
    const times: number[] = [];
    for (let run = 0; run < runs; run++) {
      const began = performance.now();
      await ask();
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
    timings.push({ ...statement, p50: at(0.5), p95: at(0.95), rows: rows.length });
  }
  return timings;
}

/** The plan of a statement, as text. */
export async function explain(pool: Pool, { text, values = [] }: Statement): Promise<string> {
  const { rows } = await pool.query<{ "QUERY PLAN": string }>(`explain (analyze, buffers, costs off) ${text}`, [...values]);
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}
