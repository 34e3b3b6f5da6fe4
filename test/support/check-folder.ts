// Checks the invariants of an archive in a folder, after all work on it has ended.

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { ArchiveJournal } from "@actions-archive/testkit/invariants/archive-journal";
import { checkInvariants, type CheckResult } from "@actions-archive/testkit/invariants/invariants";
import { folderSource } from "@actions-archive/testkit/invariants/object-source";
import { Client } from "pg";

export type CheckedFolder = {
  readonly simulator: Simulator;
  /** The root of the folder store. */
  readonly archive: string;
  readonly databaseUrl: string | undefined;
  /** Whether workers were killed. */
  readonly hadFaults: boolean;
};

/** Drains the simulator's journal. */
export async function checkFolder({ simulator, archive, databaseUrl, hadFaults }: CheckedFolder): Promise<CheckResult> {
  const journal = new ArchiveJournal(simulator);
  journal.drain();
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await checkInvariants({ simulator, journal, client, objects: folderSource(archive), since: undefined, hadFaults });
  } finally {
    await client.end();
  }
}
