// What the comparison of rows with objects collects.

import type { Findings } from "@actions-archive/archive/verify/findings";

import type { DatabaseCheck } from "./database-check.ts";

export type Comparison = DatabaseCheck & {
  readonly findings: Findings;
  /** Jobs that have a row and no part in the ledger, without those whose record was read. */
  readonly strangers: Set<number>;
  /** Jobs that a run record holds and that have no record. */
  readonly recordless: Set<number>;
  /** Jobs whose rows a sealed removal took out of the database. */
  removedJobs: number;
};
