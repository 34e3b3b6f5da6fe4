// The state of a comparison of rows with objects.

import type { Findings } from "@actions-archive/archive/verify/findings";

import type { DatabaseCheck } from "./database-check.ts";

export type Comparison = DatabaseCheck & {
  readonly findings: Findings;
  /** Jobs with a row but no ledger entry, without those whose record was read. */
  readonly strangers: Set<number>;
  /** Jobs of a run record that have no record. */
  readonly recordless: Set<number>;
  /** Jobs whose rows were removed by a sealed removal. */
  removedJobs: number;
};
