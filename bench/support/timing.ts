// Times statements on a warm server, and prints the plans of the slowest.

import type { Pool } from "pg";

export type Statement = {
  readonly what: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly aimMs?: number;
};
export type Timing = Statement & { readonly p50: number; readonly p95: number };

/** Runs `work` once to warm up, then `runs` times. @returns milliseconds, as the client measures them. */
export async function timed(work: () => Promise<unknown>, runs: number): Promise<{ readonly p50: number; readonly p95: number }> {
  await work();
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { p50: at(0.5), p95: at(0.95) };
}

/** Times each statement separately. */
export async function timeStatements(pool: Pool, statements: readonly Statement[], runs: number): Promise<Timing[]> {
  const timings: Timing[] = [];
  for (const statement of statements)
    timings.push({ ...statement, ...(await timed(() => pool.query(statement.text, [...(statement.values ?? [])]), runs)) });
  return timings;
}

/** @returns the plan of a statement, as text. */
export async function explain(pool: Pool, { text, values = [] }: Statement): Promise<string> {
  const { rows } = await pool.query<{ "QUERY PLAN": string }>(`explain (analyze, buffers, costs off) ${text}`, [...values]);
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}
