// Asked before a longer look at a repository: what it is called now, whose budget pays, and how long it keeps logs.

import { noteCredential, noteLogRetention, renameRepository } from "@actions-archive/database/repositories";
import { getKnownRepository, getLogRetention } from "@actions-archive/github/repositories";

import type { Fetcher } from "./fetcher.ts";
import type { ListedRepository } from "./record-page.ts";

export type Greeting = {
  /** The current name. */
  readonly full_name: string;
  /** Undefined where GitHub does not say. */
  readonly logRetentionDays: number | undefined;
};

/**
 * Two calls, three when the name leads nowhere, or to another repository. Writes what it learns into the ledger: before the first job is
 * written down, since its expiry follows from this.
 * @throws PermanentError when neither the name nor the id leads to the repository; the client's errors as they are.
 */
export async function greetRepository(
  { github, db }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  signal: AbortSignal,
): Promise<Greeting> {
  const { data } = await getKnownRepository(github, { repositoryId: repository_id, fullName: full_name, signal });
  if (data.full_name !== full_name) await renameRepository(db, repository_id, data.full_name);
  const logRetentionDays = await getLogRetention(github, { repository: data.full_name, signal });
  if (logRetentionDays !== undefined) await noteLogRetention(db, repository_id, logRetentionDays);
  return { full_name: data.full_name, logRetentionDays };
}

/** Writes down whose budget pays for the repository, where that is new: nothing is fed for a credential that pauses. */
export async function learnCredential(
  { github, db }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  known: string | null,
  signal: AbortSignal,
): Promise<void> {
  const credential = await github.credentialFor(full_name, signal);
  if (credential !== known) await noteCredential(db, repository_id, credential);
}
