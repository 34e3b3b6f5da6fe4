// The API host: credentials, limits, routes, and the headers of every answer of GitHub.

import type { IncomingMessage } from "node:http";

import { type Credential, Credentials } from "../credentials.ts";
import type { AnswerHistory } from "../http/answer-history.ts";
import { type Answer, answerOf } from "../http/answer.ts";
import type { JournalEntry } from "../http/journal.ts";
import { hexOf } from "../random.ts";
import type { ApiDeps } from "../routes/context.ts";
import { nothingShown } from "./apply-lie.ts";
import { createRouter, type RoutedAnswer, type RoutedRequest } from "./routed-answer.ts";

const json = { "content-type": "application/json; charset=utf-8" } as const;
const refused = "the request was refused";
const knownVersions = ["2022-11-28", "2026-03-10"];

export type ApiAnswer = {
  readonly answer: Answer;
  /** Call when the answer has been sent. */
  readonly done: () => void;
  /** Why the lie did not apply; the answer is then true. */
  readonly miss?: string;
};

export type ApiOrigin = {
  /** @returns the true answer, or the one that `lie` makes of it. Sets the credential in `entry`. */
  readonly answer: (request: IncomingMessage, entry: JournalEntry, lie?: RoutedRequest["lie"]) => Promise<ApiAnswer>;
  /** @returns the headers of every answer, for a fault that replaces the answer. Sets the credential in `entry`. */
  readonly bareAnswer: (request: IncomingMessage, entry: JournalEntry) => Answer;
  /** @returns the path without GHES's prefix and the query, as routes see it. */
  readonly pathOf: (request: IncomingMessage) => string;
};

export type ApiOriginOptions = {
  readonly credentials: Credentials;
  readonly history: AnswerHistory;
  /** `/api/v3` for a GHES. */
  readonly prefix: string;
};

export function createApiOrigin(deps: ApiDeps, { credentials, history, prefix }: ApiOriginOptions): ApiOrigin {
  const route = createRouter(deps, history);
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
    return { answer: answerOf(status, { ...common(), ...json }, body), done: () => undefined, miss: refused };
  };

  async function answer(request: IncomingMessage, entry: JournalEntry, lie?: RoutedRequest["lie"]): Promise<ApiAnswer> {
    if (prefix !== "" && !request.url?.startsWith(`${prefix}/`)) return refuse(404, "Not Found");
    if (!request.headers["user-agent"]) {
      const text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
      return { answer: answerOf(403, { ...common(), "content-type": "text/html" }, text), done: () => undefined, miss: refused };
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
    const url = request.url?.slice(prefix.length) ?? "/";
    const routed: RoutedAnswer =
      refusal === undefined
        ? await route({ request, url, credential, lie })
        : { answer: refusal, shown: nothingShown(), miss: refused };
    for (const id of routed.shown.runs) deps.world.shown.runs.add(id);
    for (const id of routed.shown.jobs) deps.world.shown.jobs.add(id);
    if (routed.answer.status === 304) deps.limits.refund(credential);
    const headers = { ...common(), ...deps.limits.headers(credential), ...routed.answer.headers };
    return { ...routed, answer: { ...routed.answer, headers }, done };
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
