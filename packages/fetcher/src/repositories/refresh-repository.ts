// Asked before a longer look at a repository: what it is called now, whose budget pays, and how long it keeps logs.

import {
  findRepository,
  recordCredential,
  recordLogRetention,
  renameRepository,
} from "@actions-archive/database/ledger/repositories";
import { getKnownRepository, getLogRetention } from "@actions-archive/github/endpoints/repositories";

import type { Fetcher } from "../fetcher.ts";
import type { ListedRepository } from "../runs/record-page.ts";

export type RepositoryMetadata = {
  /** The current name. */
  readonly full_name: string;
  /** Undefined where GitHub does not say. */
  readonly logRetentionDays: number | undefined;
};

/**
 * Two calls; one more when the name leads nowhere, or to another repository, and one when the retention is another one than before. Writes
 * what it learns into the ledger: before the first job is recorded, since its expiry follows from this.
 * @throws PermanentError when neither the name nor the id leads to the repository; the client's errors as they are.
 */
export async function refreshRepository(
  fetcher: Fetcher,
  repository: ListedRepository,
  signal: AbortSignal,
): Promise<RepositoryMetadata> {
  const { github, db } = fetcher;
  const { repository_id, full_name } = repository;
  const { data } = await getKnownRepository(github, { repositoryId: repository_id, fullName: full_name, signal });
  if (data.full_name !== full_name) await renameRepository(db, repository_id, data.full_name);
  const logRetentionDays = await learnLogRetention(fetcher, { repository_id, full_name: data.full_name }, signal);
  return { full_name: data.full_name, logRetentionDays };
}

// Whether a log that is not there was deleted or has expired follows from it, and nothing else says it: an answer that differs from the
// known one must come twice.
async function learnLogRetention(
  { github, db }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  signal: AbortSignal,
): Promise<number | undefined> {
  const known = (await findRepository(db, repository_id))?.log_retention_days ?? undefined;
  const days = await getLogRetention(github, { repository: full_name, signal });
  if (days === undefined || days === known) return days;
  if ((await getLogRetention(github, { repository: full_name, signal })) !== days) return known;
  await recordLogRetention(db, repository_id, days);
  return days;
}

/** Writes down whose budget pays for the repository, where that is new: nothing is fed for a credential that pauses. */
export async function recordCredentialOf(
  { github, db }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  known: string | null,
  signal: AbortSignal,
): Promise<void> {
  const credential = await github.credentialFor(full_name, signal);
  if (credential !== known) await recordCredential(db, repository_id, credential);
}
