// The input that the checks of the invariants share.

import type { Evidence } from "./evidence.ts";
import type { TrueJob } from "./oracle.ts";
import type { Rows } from "./rows.ts";

export type CheckContext = {
  readonly evidence: Evidence;
  readonly rows: Rows;
  readonly oracle: ReadonlyMap<number, TrueJob>;
};
