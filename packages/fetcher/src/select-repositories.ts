// Finds out which repositories are meant by ARCHIVE_REPOSITORIES, or seen by the App, and writes them into the ledger.

import { PermanentError } from "@actions-archive/core/errors";
import {
  listSelectedRepositories,
  noteUnreadableRepositories,
  type RepositorySighting,
  selectRepositories as writeSelection,
  type UnreadableRepository,
} from "@actions-archive/database/repositories";
import { listInstallationRepositories } from "@actions-archive/github/installations";
import { getRepository, listOwnerRepositories } from "@actions-archive/github/repositories";
import type { Repository } from "@actions-archive/github/schemas";

import type { Fetcher } from "./fetcher.ts";
import { everythingBut, hasIncludes, parseRepositoryPatterns, type RepositoryPatterns } from "./repository-patterns.ts";

export type Selection = {
  readonly repositories: readonly Repository[];
  readonly unreadable: readonly UnreadableRepository[];
  /** Whether the patterns mean this repository. */
  readonly includes: (fullName: string) => boolean;
};

/**
 * Selects the repositories to archive. A name that leads nowhere is noted for operators; what was known by that name, or of
 * that owner, stays selected, since lost access looks like deletion. Idempotent.
 * @returns the names that lead to no readable repository.
 * @throws RateLimitedError or TransientError when GitHub cannot say now; the selection stays as it was.
 */
export async function selectRepositories(fetcher: Fetcher, signal: AbortSignal): Promise<readonly UnreadableRepository[]> {
  const { db, log, settings } = fetcher;
  const { repositories, unreadable, includes } = hasIncludes(settings.ARCHIVE_REPOSITORIES)
    ? await findRepositories(fetcher, parseRepositoryPatterns(settings.ARCHIVE_REPOSITORIES), signal)
    : await findInstalled(fetcher, signal);
  const known = await listSelectedRepositories(db);
  const lost = new Set(unreadable.map(({ name }) => name));
  const isLost = (name: string) => lost.has(name) || lost.has(`${name.split("/")[0]}/*`);
  const kept = known.filter(({ full_name }) => includes(full_name) && isLost(full_name.toLowerCase()));
  const sightings = new Map<number, RepositorySighting>([
    ...kept.map(({ repository_id, full_name }): [number, RepositorySighting] => [
      repository_id,
      { repository_id, full_name, is_private: null },
    ]),
    ...repositories.map(({ id, full_name, private: is_private }): [number, RepositorySighting] => [
      id,
      { repository_id: id, full_name, is_private: is_private ?? null },
    ]),
  ]);
  await writeSelection(db, [...sightings.values()]);
  await noteUnreadableRepositories(db, unreadable);
  for (const { name, problem } of unreadable) log.warn({ repository: name, problem }, "repository not readable");
  return unreadable;
}

/**
 * The repositories that `patterns` mean, as GitHub shows them now; names and owners that lead nowhere are `unreadable`.
 * @throws RateLimitedError or TransientError when GitHub cannot say now.
 */
export async function findRepositories(
  { github }: Pick<Fetcher, "github">,
  patterns: RepositoryPatterns,
  signal: AbortSignal,
): Promise<Selection> {
  const repositories: Repository[] = [];
  const unreadable: UnreadableRepository[] = [];
  const orNote = async (name: string, find: () => Promise<void>) => {
    try {
      await find();
    } catch (error) {
      if (!(error instanceof PermanentError)) throw error;
      unreadable.push({ name, problem: error.message });
    }
  };
  for (const name of patterns.names) {
    await orNote(name, async () => {
      const { data } = await getRepository(github, { repository: name, signal });
      repositories.push(data);
    });
  }
  for (const owner of patterns.owners) {
    await orNote(`${owner}/*`, async () => {
      for await (const { data } of listOwnerRepositories(github, { owner, signal })) {
        repositories.push(...data.filter(({ full_name }) => patterns.includes(full_name)));
      }
    });
  }
  return { repositories, unreadable, includes: (name) => patterns.includes(name) };
}

async function findInstalled({ github, settings }: Fetcher, signal: AbortSignal): Promise<Selection> {
  const includes = everythingBut(settings.ARCHIVE_REPOSITORIES);
  const repositories: Repository[] = [];
  for await (const { data } of listInstallationRepositories(github, { signal })) {
    repositories.push(...data.filter(({ full_name }) => includes(full_name)));
  }
  return { repositories, unreadable: [], includes };
}
