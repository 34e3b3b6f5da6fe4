// The API's host: who asks, limits, the route, and the headers that every answer of GitHub carries.

import type { IncomingMessage } from "node:http";

import { Hono } from "hono";

import { hexOf } from "../random.ts";
import { appRoutes } from "../routes/app.ts";
import type { ApiDeps, ApiEnv } from "../routes/context.ts";
import { hookRoutes } from "../routes/hooks.ts";
import { metaRoutes } from "../routes/meta.ts";
import { ownerRoutes, repositoryRoutes } from "../routes/repositories.ts";
import { type Answer, answerOf } from "./answer.ts";
import { type Credential, Credentials, fingerprint } from "./credentials.ts";
import type { JournalEntry } from "./journal.ts";

const json = { "content-type": "application/json; charset=utf-8" } as const;
const knownVersions = ["2022-11-28", "2026-03-10"];

export type ApiOrigin = {
  /** The answer, `done` to be called when it has been sent. Names the credential in `entry`. */
  readonly answer: (
    request: IncomingMessage,
    entry: JournalEntry,
  ) => Promise<{ readonly answer: Answer; readonly done: () => void }>;
  /** What every answer has, for an answer that a fault makes up. Names the credential in `entry`. */
  readonly bareAnswer: (request: IncomingMessage, entry: JournalEntry) => Answer;
  /** The path that routes see: without GHES's prefix and the query. */
  readonly pathOf: (request: IncomingMessage) => string;
};

export function createApiOrigin(deps: ApiDeps, credentials: Credentials, prefix: string): ApiOrigin {
  const app = createRoutes(deps);
  let requests = 0;

  const common = (): Record<string, string> => ({
    server: "GitHub.com",
    date: deps.clock.now().toUTCString(),
    "x-github-media-type": "github.v3; format=json",
    "x-github-request-id": hexOf(20, "request", ++requests).toUpperCase(),
    "x-content-type-options": "nosniff",
    vary: "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, X-Requested-With",
    ...(deps.settings.face === "ghes" ? { "x-github-enterprise-version": deps.settings.ghesVersion } : {}),
  });
  const refuse = (status: number, message: string) => {
    const body = JSON.stringify({ message, documentation_url: "https://docs.github.com/rest", status: String(status) });
    return { answer: answerOf(status, { ...common(), ...json }, body), done: () => undefined };
  };

  async function answer(request: IncomingMessage, entry: JournalEntry) {
    if (prefix !== "" && !request.url?.startsWith(`${prefix}/`)) return refuse(404, "Not Found");
    if (!request.headers["user-agent"]) {
      const text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
      return { answer: answerOf(403, { ...common(), "content-type": "text/html" }, text), done: () => undefined };
    }
    const version = request.headers["x-github-api-version"];
    if (version !== undefined && !knownVersions.includes(String(version)))
      return refuse(400, `The API version ${String(version)} is not supported`);
    const credential = authenticate(request, deps, credentials);
    if ("message" in credential) return refuse(401, credential.message);
    entry.credential = credential.id;
    const isFree = pathOf(request) === "/rate_limit";
    const refusal = deps.limits.begin(credential, isFree);
    const done = () => deps.limits.end(credential);
    const routed = refusal ?? (await route(request, credential));
    const answered = refusal === undefined ? conditional(request, routed, credential) : routed;
    if (answered.status === 304) deps.limits.refund(credential);
    return { answer: { ...answered, headers: { ...common(), ...deps.limits.headers(credential), ...answered.headers } }, done };
  }

  async function route(request: IncomingMessage, credential: Credential): Promise<Answer> {
    const url = `http://api.invalid${request.url?.slice(prefix.length) ?? "/"}`;
    const response = await app.fetch(new Request(url, { method: request.method ?? "GET" }), { credential });
    const isJson = response.headers.get("content-type")?.includes("json") === true;
    const headers = { ...Object.fromEntries(response.headers), ...(isJson ? json : {}) };
    return answerOf(response.status, headers, new Uint8Array(await response.arrayBuffer()));
  }

  function pathOf(request: IncomingMessage): string {
    const path = request.url?.split("?")[0] ?? "/";
    return prefix !== "" && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
  }

  function bareAnswer(request: IncomingMessage, entry: JournalEntry): Answer {
    const credential = authenticate(request, deps, credentials);
    entry.credential = "message" in credential ? undefined : credential.id;
    return answerOf(200, common(), "");
  }

  return { answer, bareAnswer, pathOf };
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

function authenticate(
  request: IncomingMessage,
  deps: ApiDeps,
  credentials: Credentials,
): Credential | { readonly message: string } {
  const secret = Credentials.secretOf(request.headers.authorization);
  if (secret === undefined)
    return { message: request.headers.authorization === undefined ? "Requires authentication" : "Bad credentials" };
  const known = credentials.find(secret);
  if (known !== undefined) return known;
  if (deps.app === undefined || secret.split(".").length !== 3) return { message: "Bad credentials" };
  const authenticated = deps.app.authenticate(secret);
  return "credential" in authenticated ? authenticated.credential : authenticated;
}

// Weak ETags over the body and the credential: a rotated token changes them at GitHub too.
function conditional(request: IncomingMessage, answer: Answer, credential: Credential): Answer {
  if (request.method !== "GET" || answer.status !== 200) return answer;
  const parts = Array.isArray(answer.body) ? answer.body : [];
  const etag = `W/"${fingerprint(`${credential.id}\n`, ...parts)}"`;
  const headers = { ...answer.headers, etag, "cache-control": "private, max-age=60, s-maxage=60" };
  const isKnown = request.headers["if-none-match"]?.split(/,\s*/).includes(etag) === true;
  return isKnown ? { status: 304, headers: without(headers, "content-type"), length: 0, body: [] } : { ...answer, headers };
}

function without(headers: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
}
