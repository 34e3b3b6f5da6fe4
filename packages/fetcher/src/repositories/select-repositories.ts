// Resolves ARCHIVE_REPOSITORIES, or the App's installations, to repositories and records the selection in the ledger.

import { ActionsArchiveError, PermanentError } from "@actions-archive/core/errors";
import {
  type LedgerRepository,
  listSelectedRepositories,
  listUnreadableRepositories,
  recordUnreadableRepositories,
  type RepositorySnapshot,
  selectRepositories as writeSelection,
  type UnreadableRepository,
} from "@actions-archive/database/ledger/repositories";
import { listInstallationRepositories } from "@actions-archive/github/endpoints/repositories";
import { getRepository, getRepositoryById, listOwnerRepositories } from "@actions-archive/github/endpoints/repositories";
import type { Repository } from "@actions-archive/github/schemas";

import type { Fetcher } from "../fetcher.ts";
import { everythingBut, hasIncludes, parseRepositoryPatterns, type RepositoryPatterns } from "./repository-patterns.ts";

export type Selection = {
  readonly repositories: readonly Repository[];
  readonly unreadable: readonly UnreadableRepository[];
  /** Whether the patterns select this repository. */
  readonly includes: (fullName: string) => boolean;
  /** Whether the patterns have its literal name. */
  readonly names: (fullName: string) => boolean;
};

/**
 * Selects the repositories to archive. A name that does not resolve is recorded for operators. A known repository that is missing
 * under its name is looked up by id. It stays selected when the lookup fails, since lost access is indistinguishable from
 * deletion. Idempotent.
 * @returns the patterns that resolve to no readable repository.
 * @throws RateLimitedError or TransientError when GitHub cannot answer now; the selection stays as it was.
 */
export async function selectRepositories(fetcher: Fetcher, signal: AbortSignal): Promise<readonly UnreadableRepository[]> {
  const { db, log } = fetcher;
  const selection = await findSelection(fetcher, signal);
  const { repositories, unreadable } = selection;
  const snapshots = new Map<number, RepositorySnapshot>(
    repositories.map(({ id, full_name, private: is_private }) => [
      id,
      { repository_id: id, full_name, is_private: is_private ?? null },
    ]),
  );
  const missing = (await listSelectedRepositories(db)).filter(
    ({ repository_id, full_name }) => !snapshots.has(repository_id) && selection.includes(full_name),
  );
  const selectedNames = new Set(repositories.map(({ full_name }) => full_name.toLowerCase()));
  for (const known of missing) {
    const isReplaced = selectedNames.has(known.full_name.toLowerCase());
    const snapshot = await findById(fetcher, known, { selection, isReplaced, signal });
    if (snapshot !== undefined) snapshots.set(snapshot.repository_id, snapshot);
  }
  await writeSelection(db, [...snapshots.values()]);
  await recordUnreadableRepositories(db, unreadable);
  for (const { name, problem } of unreadable) log.warn({ repository: name, problem }, "repository not readable");
  return unreadable;
}

async function findSelection(fetcher: Fetcher, signal: AbortSignal): Promise<Selection> {
  const { ARCHIVE_REPOSITORIES } = fetcher.settings;
  if (!hasIncludes(ARCHIVE_REPOSITORIES)) return findInstalled(fetcher, signal);
  const patterns = parseRepositoryPatterns(ARCHIVE_REPOSITORIES);
  try {
    return await findRepositories(fetcher, patterns, signal);
  } catch (error) {
    if (error instanceof ActionsArchiveError) await recordUnresolved(fetcher, patterns, error.message);
    throw error;
  }
}

// Known repositories stay unchanged. Configured repositories that the ledger does not know are gaps from the first failure on.
async function recordUnresolved({ db }: Fetcher, { names, owners }: RepositoryPatterns, problem: string): Promise<void> {
  const selected = (await listSelectedRepositories(db)).map(({ full_name }) => full_name.toLowerCase());
  const unreadable = await listUnreadableRepositories(db);
  const listed = new Set([...selected, ...unreadable.map(({ name }) => name)]);
  const unknownOwners = owners.filter((owner) => !selected.some((name) => name.startsWith(`${owner.toLowerCase()}/`)));
  const unresolved = [...names, ...unknownOwners.map((owner) => `${owner}/*`)].filter((name) => !listed.has(name));
  if (unresolved.length > 0)
    await recordUnreadableRepositories(db, [...unreadable, ...unresolved.map((name) => ({ name, problem }))]);
}

type Lookup = {
  readonly selection: Selection;
  /** Another selected repository has its name. A single wrong answer can give a name an id that never existed. */
  readonly isReplaced: boolean;
  readonly signal: AbortSignal;
};

// The repository was renamed while another took its old name, transferred, deleted, or hidden. Its id resolves which.
async function findById(
  { github, log }: Fetcher,
  { repository_id, full_name, archive_since }: LedgerRepository,
  { selection, isReplaced, signal }: Lookup,
): Promise<RepositorySnapshot | undefined> {
  try {
    const { data } = await getRepositoryById(github, { repositoryId: repository_id, signal });
    if (selection.includes(data.full_name) || selection.names(full_name))
      return { repository_id, full_name: data.full_name, is_private: data.private ?? null };
    log.info({ repository: full_name, now: data.full_name }, "repository left the selection");
    return undefined;
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    if (isReplaced && archive_since === null) {
      log.warn(
        { repository: full_name, repositoryId: repository_id },
        "repository dropped: its id is unknown and was never listed",
      );
      return undefined;
    }
    return { repository_id, full_name, is_private: null };
  }
}

/**
 * Finds the repositories that `patterns` select. Names and owners that do not resolve are in `unreadable`.
 * @throws RateLimitedError or TransientError when GitHub cannot answer now.
 */
export async function findRepositories(
  { github }: Pick<Fetcher, "github">,
  patterns: RepositoryPatterns,
  signal: AbortSignal,
): Promise<Selection> {
  const repositories: Repository[] = [];
  const unreadable: UnreadableRepository[] = [];
  const recordUnreadable = async (name: string, find: () => Promise<void>) => {
    try {
      await find();
    } catch (error) {
      if (!(error instanceof PermanentError)) throw error;
      unreadable.push({ name, problem: error.message });
    }
  };
  for (const name of patterns.names) {
    await recordUnreadable(name, async () => {
      const { data } = await getRepository(github, { repository: name, signal });
      repositories.push(data);
    });
  }
  for (const owner of patterns.owners) {
    await recordUnreadable(`${owner}/*`, async () => {
      const found = await listOwned(github, owner, signal);
      repositories.push(...found.repositories.filter(({ full_name }) => patterns.includes(full_name)));
      if (found.problem !== undefined) unreadable.push({ name: `${owner}/*`, problem: found.problem });
    });
  }
  return {
    repositories,
    unreadable,
    includes: (name) => patterns.includes(name),
    names: (name) => patterns.names.includes(name.toLowerCase()),
  };
}

type Owned = { readonly repositories: readonly Repository[]; readonly problem: string | undefined };

// The list has no count. An owner with an empty list is requested twice, and then reported as unreadable.
async function listOwned(github: Fetcher["github"], owner: string, signal: AbortSignal): Promise<Owned> {
  for (let answers = 1; ; answers++) {
    const repositories: Repository[] = [];
    const problems: string[] = [];
    for await (const { data, unusable = [] } of listOwnerRepositories(github, { owner, signal })) {
      repositories.push(...data);
      problems.push(...unusable.map(({ problem }) => problem));
    }
    const [problem] = problems;
    if (problem !== undefined) return { repositories, problem: `${problems.length} repository objects are unusable: ${problem}` };
    if (repositories.length > 0) return { repositories, problem: undefined };
    if (answers > 1) return { repositories, problem: "GitHub shows no repository of this owner to the credential" };
  }
}

async function findInstalled({ github, settings }: Fetcher, signal: AbortSignal): Promise<Selection> {
  const includes = everythingBut(settings.ARCHIVE_REPOSITORIES);
  const repositories: Repository[] = [];
  for await (const { data } of listInstallationRepositories(github, { signal })) {
    repositories.push(...data.filter(({ full_name }) => includes(full_name)));
  }
  return { repositories, unreadable: [], includes, names: () => false };
}
