// The server's description and the rate limit of a credential.

import { PermanentError } from "@actions-archive/core/errors";
import { z } from "zod";

import type { Answer } from "../api.ts";
import type { Credential } from "../api.ts";
import type { GitHub } from "../github.ts";

const Meta = z.looseObject({ installed_version: z.string().nullish() });
type Meta = z.output<typeof Meta>;

const Rate = z.looseObject({ limit: z.int(), remaining: z.int(), reset: z.int() });
const RateLimit = z.looseObject({ resources: z.looseObject({ core: Rate }) });
type Rate = z.output<typeof Rate>;

/**
 * The server's description; `installed_version` only on a GHES.
 * https://docs.github.com/en/rest/meta/meta#get-github-meta-information
 * @throws PermanentError, RateLimitedError, TransientError.
 */
export async function getMeta(
  github: GitHub,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Answer<Meta>> {
  return github.get({ path: "/meta", subject: { server: true }, schema: Meta, signal });
}

/**
 * The remaining primary limit of a credential, `reset` in seconds since 1970; undefined on a GHES without limits. The request is free, and
 * fails with `github/unauthorized` if the credential is refused.
 * https://docs.github.com/en/rest/rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user
 * @throws PermanentError, RateLimitedError, TransientError.
 */
export async function getRateLimit(
  github: GitHub,
  { credential, signal }: { readonly credential: Credential; readonly signal?: AbortSignal | undefined },
): Promise<Rate | undefined> {
  try {
    return (await github.get({ path: "/rate_limit", subject: { credential }, schema: RateLimit, signal })).data.resources.core;
  } catch (error) {
    if (error instanceof PermanentError && error.code === "github/not-found") return undefined;
    throw error;
  }
}
