// Compares the auditor's views and functions with this version's definitions: correct rows prove nothing through a redefined
// view.

import { compareDefinitions } from "@actions-archive/database/verify/compare-definitions";

import type { DatabaseCheck } from "./database-check.ts";

/** Creates the definitions in a transaction that is rolled back; a role without the privilege is reported. */
export async function verifyDefinitions({ db, result: { findings } }: DatabaseCheck): Promise<void> {
  const { differences, refusal } = await compareDefinitions(db);
  for (const { kind, name, actual, expected } of differences) {
    const key = `${kind} ${name}`;
    if (actual === null)
      findings.tamper("missing", key, "this version creates it: something removed it, or migrate was not run since an update");
    else if (expected === null) findings.tamper("unexpected", key, "this version creates no such thing");
    else
      findings.tamper(
        "invalid",
        key,
        "is not what this version creates: something redefined it, or migrate was not run since an update",
      );
  }
  if (refusal !== null) findings.notice("not compared", "schema audit", refusal);
}
