// Judges an archive in a folder of its own, once nothing works on it any more.

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
  /** Workers were killed. */
  readonly hadFaults: boolean;
};

/** Takes the simulator's journal over, which is empty afterwards. */
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
