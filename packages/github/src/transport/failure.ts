// Maps GitHub's responses and network errors to the archive's error classes.

import type { IncomingHttpHeaders } from "node:http";

import type { Pause, RateLimitReading } from "@actions-archive/core/budget";
import { type ActionsArchiveError, type ErrorCode, PermanentError, TransientError } from "@actions-archive/core/errors";

import type { DatedAnswer } from "./clock-skew.ts";
import { privateAddressCode } from "./log-hosts.ts";

/** A response of the API with any status. */
export type ApiAnswer = DatedAnswer & {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
};

const second = 1_000;
/** GitHub requires a wait of at least a minute if a secondary limit names no time. */
const secondaryPauseMs = 60 * second;
const maxPauseMs = 24 * 60 * 60 * second;
/** The window of the primary limit. https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
const limitWindowMs = 60 * 60 * second;

/**
 * Reads a limit and the pause of its credential; undefined if the response is not a limit.
 * A 429 always is; a 403 is one if its headers or its text say so, else a missing permission.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
export function readLimit(answer: ApiAnswer): Pause | undefined {
  if (answer.status !== 429 && answer.status !== 403) return undefined;
  const retryAfterMs = readRetryAfter(answer);
  const remaining = readNumber(answer.headers, "x-ratelimit-remaining");
  const namesLimit = /rate limit|abuse detection/i.test(answer.text);
  if (answer.status === 403 && retryAfterMs === undefined && remaining !== 0 && !namesLimit) return undefined;

  const resetMs = remaining === 0 ? readReset(answer) : undefined;
  const namedMs = retryAfterMs ?? resetMs;
  const waitMs = Math.min(Math.max(namedMs ?? secondaryPauseMs, second), maxPauseMs);
  const reason = readMessage(answer) ?? `GitHub answered ${answer.status}`;
  return { waitMs, reason, isGuess: namedMs === undefined };
}

/** The state of the primary limit; undefined if the server has no limits, like most GHES. */
export function readRate(answer: ApiAnswer): RateLimitReading | undefined {
  const limit = readNumber(answer.headers, "x-ratelimit-limit");
  const remaining = readNumber(answer.headers, "x-ratelimit-remaining");
  const resetAtSeconds = readNumber(answer.headers, "x-ratelimit-reset");
  const resetMs = readReset(answer);
  const resource = answer.headers["x-ratelimit-resource"] ?? "core";
  if (limit === undefined || remaining === undefined || resetAtSeconds === undefined || resetMs === undefined) return undefined;
  if (resource !== "core") return undefined;
  const resetInMs = Math.min(Math.max(resetMs, 0), maxPauseMs);
  return { limit, used: Math.max(limit - remaining, 0), resetAtSeconds, resetInMs };
}

/**
 * The error of a response that is not successful, and not a limit or a 401.
 * @param what the request's method and path, never the query
 */
export function errorFromAnswer(answer: ApiAnswer, what: string): ActionsArchiveError {
  const { status } = answer;
  const message = readMessage(answer);
  const said = `GitHub answered ${status} to ${what}${message === undefined ? "" : `: ${message}`}`;
  if (status >= 500 || status === 408) return new TransientError("github/unavailable", `${said}. It is tried again.`);
  // GitHub explains every refusal in JSON. One without JSON comes from a proxy and is no evidence.
  if (message !== undefined) {
    if (status === 403 || status === 451) {
      return new PermanentError("github/forbidden", `${said}. Grant the credential Actions: read on this repository.`);
    }
    if (status === 404)
      return new PermanentError("github/not-found", `${said}. It was deleted, or this credential may not see it.`);
    if (status === 410) return new PermanentError("github/gone", `${said}. GitHub's retention has removed it.`);
  }
  return new TransientError(
    "github/unexpected-answer",
    `${said}. This response is not documented: check GITHUB_API_URL and proxies.`,
  );
}

/**
 * The error of a request without a complete response. A refused private address is permanent; any other error is transient.
 * @param code the code of a transient error
 */
export function errorFromSendFailure(error: unknown, what: string, code: ErrorCode): ActionsArchiveError {
  const cause = redactSecrets(error);
  if (cause.code === privateAddressCode) {
    return new PermanentError(
      "log/redirect-refused",
      `${what}: ${cause.message}. If the host is yours, name it in GITHUB_LOG_HOSTS without a *.`,
      { cause },
    );
  }
  const hint = /CERT|SELF_SIGNED|ISSUER/.test(cause.code ?? "") ? " Does NODE_EXTRA_CA_CERTS name your CA?" : "";
  return new TransientError(code, `${what}: ${cause.message}.${hint} It is tried again.`, { cause });
}

/**
 * A copy of a foreign error that is safe to show: name, code and message, with every URL reduced to its host. The HTTP client's errors
 * contain raw bytes of the response, which may include a complete signed link.
 */
export function redactSecrets(error: unknown): Error & { readonly code?: string } {
  if (!Error.isError(error)) return new Error("unknown error");
  // A refused connection is an AggregateError with one error for each address and an empty message.
  const source = error instanceof AggregateError && Error.isError(error.errors[0]) ? error.errors[0] : error;
  const message = source.message.replaceAll(/(https?:\/\/[^/?#\s"'<>]+)[^\s"'<>]*/g, "$1/…").replaceAll(/\?[^\s"'<>]+/g, "?…");
  const clean = new Error(message === "" ? source.name : message);
  clean.name = source.name;
  const code = "code" in source && typeof source.code === "string" ? source.code : undefined;
  return code === undefined ? clean : Object.assign(clean, { code });
}

/** GitHub's explanation, shortened, on one line; undefined if the body is not GitHub's JSON. */
function readMessage(answer: ApiAnswer): string | undefined {
  try {
    const body: unknown = JSON.parse(answer.text);
    if (typeof body !== "object" || body === null || !("message" in body) || typeof body.message !== "string") return undefined;
    return body.message
      .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ")
      .trim()
      .slice(0, 200)
      .replace(/\.$/, "");
  } catch {
    return undefined;
  }
}

/** Retry-After in milliseconds from now: seconds, or a date relative to GitHub's own. */
function readRetryAfter(answer: ApiAnswer): number | undefined {
  const value = answer.headers["retry-after"];
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * second;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : spanUntil(at, answer);
}

/** Milliseconds until the limit is reset, plus one second, since `Date` has whole seconds. */
function readReset(answer: ApiAnswer): number | undefined {
  const reset = readNumber(answer.headers, "x-ratelimit-reset");
  return reset === undefined ? undefined : spanUntil(reset * second, answer);
}

// A skewed Date comes either from GitHub's clock, from which the instant comes as well, or only the Date is wrong and the instant right. The
// longer duration that fits the window is used, so that no request is sent early and no pause exceeds an hour.
function spanUntil(instantMs: number, { date, skewMs }: ApiAnswer): number {
  const spanMs = instantMs - date.getTime() + second;
  if (skewMs === undefined) return spanMs;
  const spansMs = [spanMs, spanMs + skewMs];
  const fitting = spansMs.filter((each) => each <= limitWindowMs + second);
  return fitting.length === 0 ? limitWindowMs : Math.max(...fitting);
}

function readNumber(headers: IncomingHttpHeaders, name: string): number | undefined {
  const value = headers[name];
  return typeof value === "string" && /^\d+$/.test(value) ? Number(value) : undefined;
}
