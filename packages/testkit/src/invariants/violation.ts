// A violation: the invariant, and what violates it.

/**
 * The invariants of docs/reliability.md: no loss, no truncation, no duplicate, no phantom, monotonic, rate, no leak, bounded, liveness,
 * chain, row counts; and the content of audit.coverage and audit.gaps.
 */
export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8" | "I9" | "I10" | "I11" | "coverage";

export type Violation = { readonly invariant: Invariant; readonly what: string };

/** @returns a violation of `invariant` for each of `all`. */
export function violationsOf(invariant: Invariant, all: readonly string[]): Violation[] {
  return all.map((what) => ({ invariant, what }));
}
