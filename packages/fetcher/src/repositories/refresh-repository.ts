// Refreshes a repository's name, credential and log retention before a scan.

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
  /** Undefined where GitHub gives no retention. */
  readonly logRetentionDays: number | undefined;
};

/**
 * Sends two requests: one more when the name does not resolve or resolves to another repository, and one more when the retention
 * changed. Records the answers before the first job is recorded, since a job's expiry depends on the retention.
 * @throws PermanentError when neither the name nor the id resolves to the repository; the client's other errors.
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
  const logRetentionDays = await readLogRetention(fetcher, { repository_id, full_name: data.full_name }, signal);
  return { full_name: data.full_name, logRetentionDays };
}

// The retention alone decides whether a missing log is classified as deleted or expired. A changed value must therefore be read
// twice.
async function readLogRetention(
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

/** Records the repository's credential where it changed: the feeder skips repositories whose credential is paused. */
export async function recordCredentialOf(
  { github, db }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  known: string | null,
  signal: AbortSignal,
): Promise<void> {
  const credential = await github.credentialFor(full_name, signal);
  if (credential !== known) await recordCredential(db, repository_id, credential);
}
