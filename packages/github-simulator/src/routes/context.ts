// The context of every route: the world, the time, the credential; and GitHub's forms of errors and lists.

import type { Context } from "hono";

import type { AppAuthority } from "../app-authority.ts";
import type { Clock } from "../clock.ts";
import type { Credential } from "../credentials.ts";
import type { LogLinks } from "../http/log-links.ts";
import type { RateLimits } from "../http/rate-limits.ts";
import type { Settings } from "../options.ts";
import type { Json } from "../render/repository.ts";
import type { Urls } from "../render/urls.ts";
import type { Webhooks } from "../webhooks.ts";
import type { Repository } from "../world/model.ts";
import type { World } from "../world/world.ts";

export type ApiDeps = {
  readonly world: World;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly urls: Urls;
  readonly logOrigin: string;
  readonly links: LogLinks;
  readonly limits: RateLimits;
  readonly webhooks: Webhooks;
  readonly app: AppAuthority | undefined;
};

/** Ids of the runs, and of the completed jobs, in an answer. */
export type Shown = { readonly runs: Set<number>; readonly jobs: Set<number> };

export type ApiEnv = {
  Bindings: { readonly credential: Credential; readonly shown: Shown };
  Variables: { repository: Repository };
};
export type ApiContext = Context<ApiEnv>;

const docs = "https://docs.github.com/rest";

/** GitHub's error body: `status` is a string. */
export function errorAnswer(c: ApiContext, status: 400 | 401 | 403 | 404 | 410 | 422, message: string, page = ""): Response {
  return c.json({ message, documentation_url: `${docs}${page}`, status: String(status) }, status);
}

export function notFound(c: ApiContext, page = ""): Response {
  return errorAnswer(c, 404, "Not Found", page);
}

/** @returns a positive integer from the path or the query. */
export function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

export type Page = { readonly perPage: number; readonly page: number };

/** Parses `per_page` (default 30, at most 100) and `page` (default 1), as leniently as GitHub. */
export function pageOf(c: ApiContext): Page {
  const perPage = Math.min(numberOf(c.req.query("per_page")) ?? 30, 100);
  return { perPage: perPage === 0 ? 30 : perPage, page: Math.max(numberOf(c.req.query("page")) ?? 1, 1) };
}

/**
 * Answers one page of `items`, with a `Link` header if there is more than one page. `path` is that of the links: GitHub writes
 * `/repositories/{id}/…` there for any request.
 */
export function pagedAnswer<T>(
  c: ApiContext,
  {
    items,
    path,
    urls,
    bodyOf,
  }: {
    items: readonly T[];
    path: string;
    urls: Urls /** A text is JSON already. */;
    bodyOf: (items: readonly T[]) => Json | readonly Json[] | string;
  },
): Response {
  const { perPage, page } = pageOf(c);
  const last = Math.max(Math.ceil(items.length / perPage), 1);
  const link = linkHeader(c, { page, last, base: urls.api + path });
  if (link !== "") c.header("link", link);
  const body = bodyOf(items.slice((page - 1) * perPage, page * perPage));
  return typeof body === "string" ? c.body(body, 200, { "content-type": "application/json" }) : c.json(body);
}

function linkHeader(c: ApiContext, { page, last, base }: { page: number; last: number; base: string }): string {
  const to = (target: number, rel: string) => {
    const query = new URLSearchParams(new URL(c.req.url).search);
    query.set("page", String(target));
    return `<${base}?${query.toString()}>; rel="${rel}"`;
  };
  const links = [
    ...(page > 1 ? [to(Math.min(page - 1, last), "prev")] : []),
    ...(page < last ? [to(page + 1, "next"), to(last, "last")] : []),
    ...(page > 1 ? [to(1, "first")] : []),
  ];
  return links.join(", ");
}

/** @returns whether a GHES of `version` has what was added in `since`; github.com has everything. */
export function hasFeature(settings: Settings, since: string): boolean {
  if (settings.face === "github.com") return true;
  const [major = 0, minor = 0] = settings.ghesVersion.split(".").map(Number);
  const [sinceMajor = 0, sinceMinor = 0] = since.split(".").map(Number);
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}
