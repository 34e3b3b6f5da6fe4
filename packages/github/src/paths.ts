// Builds paths below the API's root. Refuses names that could change the path.

import { PermanentError } from "@actions-archive/core/errors";

/** `owner/name`, or the repository's id, which survives a rename and is what GitHub's redirects use. */
export type RepositoryPath = string | number;

const namePattern = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/;

/** `/repos/owner/name` or `/repositories/ID`. @throws PermanentError when it is neither. */
export function repositoryPath(repository: RepositoryPath): string {
  if (typeof repository === "number") return `/repositories/${idOf(repository)}`;
  const [owner, name, ...rest] = repository.split("/");
  if (owner === undefined || name === undefined || rest.length > 0) {
    throw new PermanentError("usage/invalid", `Not a repository: ${JSON.stringify(repository)}. Write owner/name`);
  }
  return `/repos/${nameOf(owner)}/${nameOf(name)}`;
}

export function ownerOf(repository: string): string {
  return repository.split("/")[0] ?? repository;
}

/** @throws PermanentError when it is not a valid name of an owner or a repository. */
export function nameOf(name: string): string {
  if (!namePattern.test(name)) throw new PermanentError("usage/invalid", `Not a name on GitHub: ${JSON.stringify(name)}`);
  return name;
}

/** @throws PermanentError when it is not a positive integer. */
export function idOf(id: number): string {
  if (!Number.isSafeInteger(id) || id <= 0) throw new PermanentError("usage/invalid", `Not an id of GitHub: ${id}`);
  return String(id);
}

/** The path of an endpoint on the server, including `/api/v3` of a GHES. */
export function apiPathOf(apiUrl: URL, path: string): string {
  return `${apiUrl.pathname.replace(/\/$/, "")}${path}`;
}

/** Whether a URL belongs to the API and may receive the credential: same origin, below its root, without user and password. */
export function isApiUrl(url: URL, apiUrl: URL): boolean {
  return (
    url.origin === apiUrl.origin && url.username === "" && url.password === "" && url.pathname.startsWith(apiPathOf(apiUrl, "/"))
  );
}
