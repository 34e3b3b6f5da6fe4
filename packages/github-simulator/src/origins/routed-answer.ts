// The answer of a route to an admitted request: the true one with its ETag, or what a lie makes of it.

import type { IncomingMessage } from "node:http";

import { Hono } from "hono";

import type { Clock } from "../clock.ts";
import { type Credential, fingerprint } from "../credentials.ts";
import type { AnswerHistory } from "../http/answer-history.ts";
import { type Answer, answerOf } from "../http/answer.ts";
import { cannedAnswer } from "../http/canned-answers.ts";
import { isCanned, type Lie } from "../http/lies.ts";
import { appRoutes } from "../routes/app.ts";
import type { ApiDeps, ApiEnv } from "../routes/context.ts";
import { hookRoutes } from "../routes/hooks.ts";
import { metaRoutes } from "../routes/meta.ts";
import { ownerRoutes, repositoryRoutes } from "../routes/repositories.ts";
import { applyLie, nothingShown, type RouteAnswer } from "./apply-lie.ts";

const json = { "content-type": "application/json; charset=utf-8" } as const;

export type RoutedAnswer = RouteAnswer & {
  /** Why the lie did not apply; the answer is then true. */
  readonly miss?: string;
};

/** An admitted request; `url` is without GHES's prefix. */
export type RoutedRequest = {
  readonly request: IncomingMessage;
  readonly url: string;
  readonly credential: Credential;
  readonly lie: Exclude<Lie, { kind: "wrong-date" }> | undefined;
};

export type Router = (request: RoutedRequest) => Promise<RoutedAnswer>;

export function createRouter(deps: ApiDeps, history: AnswerHistory): Router {
  const routes = createRoutes(deps);

  return async ({ request, url, credential, lie }) => {
    if (lie !== undefined && isCanned(lie)) return { answer: cannedAnswer(lie, "api"), shown: nothingShown() };
    const method = request.method ?? "GET";
    const ask = (app: Hono<ApiEnv>, path: string) => askRoute(app, { method, url: path, credential });
    const truth = await ask(routes, url);
    const key = `${credential.id} ${url}`;
    if (method === "GET" && truth.answer.status === 200) history.record(key, truth.answer);
    const whole = { ...truth, answer: conditional(request, truth.answer, credential) };
    if (lie === undefined) return whole;
    if (method !== "GET") return { ...whole, miss: `the lie applies to GET, not to ${method}` };
    if (lie.kind === "not-modified") return { ...whole, ...notModified(request, whole.answer) };
    const lied = await applyLie(truth, lie, {
      url,
      follow: (next) => ask(routes, next.slice(deps.urls.api.length)),
      asOf: (secondsAgo) => ask(createRoutes({ ...deps, clock: earlier(deps.clock, secondsAgo * 1000) }), url),
      earlier: (which) => history.earlier(key, which),
    });
    if (typeof lied === "string") return { ...whole, miss: lied };
    return { ...lied, answer: conditional(request, lied.answer, credential) };
  };
}

function createRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.route("/", metaRoutes(deps));
  app.route("/", appRoutes(deps));
  app.route(
    "/orgs/:org/hooks",
    hookRoutes(deps, (c) => (delivery) => delivery.ownerLogin.toLowerCase() === c.req.param("org")?.toLowerCase()),
  );
  app.route("/", ownerRoutes(deps));
  app.route("/", repositoryRoutes(deps));
  app.notFound((c) => c.json({ message: "Not Found", documentation_url: "https://docs.github.com/rest", status: "404" }, 404));
  return app;
}

async function askRoute(
  app: Hono<ApiEnv>,
  { method, url, credential }: { method: string; url: string; credential: Credential },
): Promise<RouteAnswer> {
  const shown = nothingShown();
  const response = await app.fetch(new Request(`http://api.invalid${url}`, { method }), { credential, shown });
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  const headers = { ...Object.fromEntries(response.headers), ...(isJson ? json : {}) };
  return { answer: answerOf(response.status, headers, new Uint8Array(await response.arrayBuffer())), shown };
}

function earlier(clock: Clock, byMs: number): Clock {
  const nowMs = () => clock.nowMs() - byMs;
  return { ...clock, nowMs, now: () => new Date(nowMs()) };
}

// Weak ETags over the body and the credential: a rotated token changes them, as at GitHub.
function conditional(request: IncomingMessage, answer: Answer, credential: Credential): Answer {
  if (request.method !== "GET" || answer.status !== 200) return answer;
  const parts = Array.isArray(answer.body) ? answer.body : [];
  const etag = `W/"${fingerprint(`${credential.id}\n`, ...parts)}"`;
  const isKnown = tagsOf(request).includes(etag);
  const headers = { ...answer.headers, etag, "cache-control": "private, max-age=60, s-maxage=60" };
  return isKnown ? emptied(headers) : { ...answer, headers };
}

// With the tag of the request, like a cache that missed the change.
function notModified(request: IncomingMessage, answer: Answer): Pick<RoutedAnswer, "miss"> | RouteAnswer {
  const [etag] = tagsOf(request);
  if (etag === undefined) return { miss: "the request has no If-None-Match" };
  if (answer.status !== 200) return { miss: `the true answer has status ${answer.status}` };
  const { link: _link, ...headers } = answer.headers;
  return { answer: emptied({ ...headers, etag }), shown: nothingShown() };
}

function tagsOf(request: IncomingMessage): readonly string[] {
  return request.headers["if-none-match"]?.split(/,\s*/) ?? [];
}

function emptied(headers: Readonly<Record<string, string>>): Answer {
  const { "content-type": _type, ...others } = headers;
  return { status: 304, headers: others, length: 0, body: [] };
}
