// Lists a GitHub App's installations and their repositories, and creates their tokens.

import { z } from "zod";

import type { Answer, ApiClient, Credential, Page } from "../api.ts";
import { listOf, splitItems } from "../lists/list-items.ts";
import { paginate, requireComplete } from "../lists/paging.ts";
import { idOf } from "../paths.ts";
import { Installation, Repository } from "../schemas.ts";

type As = { readonly credential: Credential; readonly signal?: AbortSignal | undefined };

const InstallationToken = z.looseObject({ token: z.string().min(1), expires_at: z.iso.datetime({ offset: true }) });
type InstallationToken = z.output<typeof InstallationToken>;

/** The repositories that one installation can access. @throws TransientError when GitHub lists fewer than its `total_count`. */
export async function* listRepositoriesOf(
  github: ApiClient,
  { credential, signal }: As,
): AsyncGenerator<Page<Repository>, void, undefined> {
  const schema = listOf("repositories");
  const pages = paginate(async ({ page, perPage, retries }) => {
    const query = { per_page: perPage, page };
    const answer = await github.get({
      path: "/installation/repositories",
      query,
      subject: { credential },
      schema,
      signal,
      retries,
    });
    const { total_count, repositories } = answer.data;
    return { ...answer, totalCount: total_count ?? undefined, ...splitItems(Repository, repositories) };
  });
  yield* requireComplete(pages, `repositories of ${credential.id}`);
}

/**
 * The App's installations. `credential` is the App itself.
 * https://docs.github.com/en/rest/apps/apps#list-installations-for-the-authenticated-app
 */
export async function* listInstallations(
  github: ApiClient,
  { credential, signal }: As,
): AsyncGenerator<Page<Installation>, void, undefined> {
  yield* paginate(({ page, perPage, retries }) => {
    const query = { per_page: perPage, page };
    return github.get({
      path: "/app/installations",
      query,
      subject: { credential },
      schema: z.array(Installation),
      signal,
      retries,
    });
  });
}

/**
 * Creates a token of one installation, valid for an hour. `credential` is the App itself.
 * https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
 */
export async function createInstallationToken(
  github: ApiClient,
  { credential, installationId, signal }: As & { readonly installationId: number },
): Promise<Answer<InstallationToken>> {
  const path = `/app/installations/${idOf(installationId)}/access_tokens`;
  return github.get({ method: "POST", path, subject: { credential }, schema: InstallationToken, signal });
}
