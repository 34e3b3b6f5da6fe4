// Repositories: their current names, an owner's repositories, and their log retention.

import { ConfigError } from "@actions-archive/core/errors";
import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { z } from "zod";

import type { Answer, Page } from "../api.ts";
import { listRepositoriesOf } from "../credentials/installations.ts";
import type { GitHub } from "../github.ts";
import { splitItems } from "../lists/list-items.ts";
import { paginate } from "../lists/paging.ts";
import { nameOf, repositoryPath, type RepositoryPath } from "../paths.ts";
import { Repository } from "../schemas.ts";

type InRepository = { readonly repository: RepositoryPath; readonly signal?: AbortSignal | undefined };

/**
 * All repositories that the App's installations can access, page by page, each once.
 * https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
 * @throws ConfigError when the credential is a token, which can access more than is meant to be archived.
 */
export async function* listInstallationRepositories(
  github: GitHub,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Page<Repository>, void, undefined> {
  for (const credential of await github.listCredentials()) {
    if (!credential.id.startsWith("installation-"))
      throw new ConfigError("With a token, ARCHIVE_REPOSITORIES must name the repositories");
    yield* listRepositoriesOf(github, { credential, signal });
  }
}

/** Maximum number of cached answers of 7 KB each. */
const maxKnown = 5_000;

const Retention = z.looseObject({ days: z.int().positive() });

/**
 * Gets a repository by `owner/name` or id. Costs nothing of the primary limit while it has not changed since this client's last request. An
 * old name leads to the renamed repository: compare `full_name` and, above all, `id`.
 * https://docs.github.com/en/rest/repos/repos#get-a-repository
 * @throws PermanentError `github/not-found`; `github/unauthorized` (401, or 403 on the repository itself) after pausing the
 * credential; RateLimitedError; TransientError.
 */
export async function getRepository(github: GitHub, { repository, signal }: InRepository): Promise<Answer<Repository>> {
  try {
    return await requestRepository(github, { repository, signal });
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== "github/forbidden") throw error;
    return github.refuse(await github.credentialFor(repository, signal), error.message);
  }
}

async function requestRepository(github: GitHub, { repository, signal }: InRepository): Promise<Answer<Repository>> {
  const path = repositoryPath(repository);
  const known = github.repositoryAnswers.get(path);
  const answer = await github.getIfChanged({ path, subject: { repository }, schema: Repository, signal, etag: known?.etag });
  if ("notModified" in answer && known !== undefined) return { ...known, date: answer.date, skewMs: answer.skewMs };
  if ("notModified" in answer) throw new TransientError("github/unexpected-answer", `GitHub answered 304 to GET ${path}`);
  if (github.repositoryAnswers.size >= maxKnown) github.repositoryAnswers.clear();
  github.repositoryAnswers.set(path, answer);
  return answer;
}

/**
 * Gets a repository by id, whatever its current name. Not in GitHub's reference, but the form of its own redirects and links.
 * @throws as `getRepository`.
 */
export async function getRepositoryById(
  github: GitHub,
  { repositoryId, signal }: { readonly repositoryId: number; readonly signal?: AbortSignal | undefined },
): Promise<Answer<Repository>> {
  return getRepository(github, { repository: repositoryId, signal });
}

/**
 * Gets the repository with this id, which renames and transfers keep. Requests it by its last known name, then by id if that name does not
 * exist or belongs to another repository.
 * @throws as `getRepository`.
 */
export async function getKnownRepository(
  github: GitHub,
  {
    repositoryId,
    fullName,
    signal,
  }: { readonly repositoryId: number; readonly fullName: string; readonly signal?: AbortSignal | undefined },
): Promise<Answer<Repository>> {
  const named = await unlessNotFound(getRepository(github, { repository: fullName, signal }));
  if (named?.data.id === repositoryId) return named;
  // After a transfer another installation has access.
  github.forgetInstallationOf(repositoryId);
  if (named === undefined) return getRepositoryById(github, { repositoryId, signal });
  const moved = await unlessNotFound(getRepositoryById(github, { repositoryId, signal }));
  if (moved !== undefined) return moved;
  throw new PermanentError(
    "github/not-found",
    `${fullName} is now another repository (id ${named.data.id}), and the repository with the id ${repositoryId} is not found. It is deleted, or this credential may not see it.`,
  );
}

async function unlessNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof PermanentError && error.code === "github/not-found") return undefined;
    throw error;
  }
}

/**
 * The repositories of an organisation or a user that this credential can access, page by page, each once. With an App, those of its
 * installation on that account.
 * https://docs.github.com/en/rest/repos/repos#list-organization-repositories ·
 * https://docs.github.com/en/rest/repos/repos#list-repositories-for-the-authenticated-user (a user's private ones) ·
 * https://docs.github.com/en/rest/repos/repos#list-repositories-for-a-user
 * @throws PermanentError `github/not-found` when there is no such owner; RateLimitedError; TransientError.
 */
export async function* listOwnerRepositories(
  github: GitHub,
  { owner, signal }: { readonly owner: string; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Page<Repository>, void, undefined> {
  const credential = await github.credentialForOwner(owner);
  if (credential.id !== "token") {
    yield* listRepositoriesOf(github, { credential, signal });
    return;
  }

  const list = (path: string, type: Record<string, string>) =>
    paginate(async ({ page, perPage, retries }) => {
      const query = { ...type, per_page: perPage, page };
      const schema = z.array(z.unknown());
      const answer = await github.get({ path, query, subject: { credential }, schema, signal, retries });
      return { ...answer, ...splitItems(Repository, answer.data) };
    });
  const isOrganisation = yield* unlessAbsent(list(`/orgs/${nameOf(owner)}/repos`, { type: "all" }));
  if (isOrganisation) return;

  const seen = new Set<number>();
  // A fine-grained or App token may not be allowed to read this list; then only the public list remains.
  const own = unlessAbsent(list("/user/repos", { affiliation: "owner,collaborator" }));
  for await (const page of own) {
    const data = page.data.filter((repository) => repository.owner.login.toLowerCase() === owner.toLowerCase());
    for (const { id } of data) seen.add(id);
    yield { ...page, data };
  }
  for await (const page of list(`/users/${nameOf(owner)}/repos`, { type: "owner" })) {
    yield { ...page, data: page.data.filter(({ id }) => !seen.has(id)) };
  }
}

/**
 * The log retention in days; undefined if this credential may not read it (it needs the right to administer the repository) or the server
 * does not support it (GHES before 3.19).
 * https://docs.github.com/en/rest/actions/permissions#get-artifact-and-log-retention-settings-for-a-repository
 * @throws RateLimitedError; TransientError.
 */
export async function getLogRetention(github: GitHub, { repository, signal }: InRepository): Promise<number | undefined> {
  const path = `${repositoryPath(repository)}/actions/permissions/artifact-and-log-retention`;
  try {
    return (await github.get({ path, subject: { repository }, schema: Retention, signal })).data.days;
  } catch (error) {
    if (error instanceof PermanentError && (error.code === "github/not-found" || error.code === "github/forbidden"))
      return undefined;
    throw error;
  }
}

/** Yields the pages. Returns false if there is no such list or it may not be read. */
async function* unlessAbsent<T>(pages: AsyncGenerator<T, void, undefined>): AsyncGenerator<T, boolean, undefined> {
  try {
    yield* pages;
    return true;
  } catch (error) {
    if (error instanceof PermanentError && (error.code === "github/not-found" || error.code === "github/forbidden")) return false;
    throw error;
  }
}
