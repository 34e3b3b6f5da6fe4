// The error class of each response and each foreign error.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { expect, test } from "vitest";

import { type ApiAnswer, errorFromAnswer, errorFromSendFailure, readLimit, readRate, redactSecrets } from "./failure.ts";

const githubNow = new Date("2026-01-01T12:00:00Z");

function answer(status: number, headers: Record<string, string> = {}, body: unknown = { message: "Forbidden" }): ApiAnswer {
  return { status, headers, date: githubNow, skewMs: undefined, text: typeof body === "string" ? body : JSON.stringify(body) };
}

function waitSeconds(given: ApiAnswer): number | undefined {
  const limit = readLimit(given);
  return limit && limit.waitMs / 1_000;
}

const resetInAnHour = String(githubNow.getTime() / 1_000 + 3_600);

test.each([
  ["a 429 with Retry-After in seconds", answer(429, { "retry-after": "8" }), 8],
  ["a 429 with Retry-After as a date, by GitHub's clock", answer(429, { "retry-after": "Thu, 01 Jan 2026 12:00:08 GMT" }), 9],
  ["a 429 that says nothing", answer(429, {}, "Too many requests"), 60],
  [
    "a 403 with nothing remaining, by GitHub's clock",
    answer(403, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": resetInAnHour }),
    3_601,
  ],
  [
    "a secondary limit with requests remaining",
    answer(
      403,
      { "x-ratelimit-remaining": "4000", "x-ratelimit-reset": resetInAnHour },
      { message: "You have exceeded a secondary rate limit." },
    ),
    60,
  ],
  ["the older words for it", answer(403, {}, { message: "You have triggered an abuse detection mechanism." }), 60],
  ["a 403 with Retry-After", answer(403, { "retry-after": "30" }, { message: "Must have push access" }), 30],
  [
    "Retry-After before the reset",
    answer(403, { "retry-after": "5", "x-ratelimit-remaining": "0", "x-ratelimit-reset": resetInAnHour }),
    5,
  ],
  ["a reset that is over", answer(403, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000" }), 1],
  ["a reset in milliseconds", answer(403, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1767272400000" }), 86_400],
  ["a Retry-After that is no time", answer(429, { "retry-after": "soon" }), 60],
])("%s is a limit with its pause", (_, given, seconds) => {
  expect(waitSeconds(given)).toBe(seconds);
});

const minute = 60_000;
const exhausted = { "x-ratelimit-remaining": "0" };
/** `skewMs` is how far GitHub's Date is from the database's clock. */
const skewed = (skewMs: number, headers: Record<string, string>) => ({ ...answer(403, headers), skewMs });
const resetIn = (ms: number) => String((githubNow.getTime() + ms) / 1_000);

test.each([
  // The reset comes from a right clock, half an hour ahead of it.
  ["a Date that is a day behind", skewed(-1_440 * minute, { ...exhausted, "x-ratelimit-reset": resetIn(1_470 * minute) }), 1_801],
  ["a Date that is a day ahead", skewed(1_440 * minute, { ...exhausted, "x-ratelimit-reset": resetIn(-1_410 * minute) }), 1_801],
  ["a Date that is ten minutes ahead", skewed(10 * minute, { ...exhausted, "x-ratelimit-reset": resetIn(20 * minute) }), 1_801],
  // The reset comes from the same wrong clock as the Date.
  ["a server that is a day behind", skewed(-1_440 * minute, { ...exhausted, "x-ratelimit-reset": resetIn(30 * minute) }), 1_801],
  ["a server that is a day ahead", skewed(1_440 * minute, { ...exhausted, "x-ratelimit-reset": resetIn(30 * minute) }), 1_801],
  // Neither clock makes sense of it.
  ["a reset two hours ahead", skewed(10 * minute, { ...exhausted, "x-ratelimit-reset": resetIn(120 * minute) }), 3_600],
  ["Retry-After as a date", skewed(-1_440 * minute, { "retry-after": "Fri, 02 Jan 2026 12:00:08 GMT" }), 9],
])("with %s a limit pauses until the reset, and never longer than an hour", (_, given, seconds) => {
  expect(waitSeconds(given)).toBe(seconds);
});

test("a reading of the limit is as careful with a skewed Date", () => {
  const headers = { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4000", "x-ratelimit-reset": resetIn(1_470 * minute) };
  expect(readRate(skewed(-1_440 * minute, headers))).toMatchObject({ used: 1_000, resetInMs: 30 * minute + 1_000 });
});

test.each([
  ["a permission 403", answer(403, { "x-ratelimit-remaining": "4999" }, { message: "Must have admin rights to Repository." })],
  ["a permission 403 of a server without limits", answer(403, {}, { message: "Resource not accessible by integration" })],
  ["a 404 with nothing remaining", answer(404, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": resetInAnHour })],
  ["a 200 with nothing remaining", answer(200, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": resetInAnHour })],
])("%s is no limit", (_, given) => {
  expect(readLimit(given)).toBeUndefined();
});

test("a limit that names no time is a guess, and one that does is none", () => {
  expect(readLimit(answer(429))).toMatchObject({ waitMs: 60_000, isGuess: true });
  expect(readLimit(answer(429, { "retry-after": "60" }))).toMatchObject({ waitMs: 60_000, isGuess: false });
});

test("the primary limit's reset is reported by GitHub's clock, and as the time until then", () => {
  const headers = { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4999", "x-ratelimit-reset": resetInAnHour };
  expect(readRate(answer(200, headers))).toEqual({
    limit: 5_000,
    used: 1,
    resetAtSeconds: Number(resetInAnHour),
    resetInMs: 3_601_000,
  });
});

test("a server without limits, and a limit that is not of the core API, have no rate", () => {
  expect(readRate(answer(200))).toBeUndefined();
  const headers = {
    "x-ratelimit-limit": "30",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": "1",
    "x-ratelimit-resource": "search",
  };
  expect(readRate(answer(200, headers))).toBeUndefined();
});

test.each([
  [500, "Server Error", TransientError, "github/unavailable"],
  [502, "<html>Unicorn</html>", TransientError, "github/unavailable"],
  [408, "", TransientError, "github/unavailable"],
  [403, { message: "Must have admin rights to Repository." }, PermanentError, "github/forbidden"],
  [451, { message: "Repository access blocked" }, PermanentError, "github/forbidden"],
  [404, { message: "Not Found" }, PermanentError, "github/not-found"],
  [410, { message: "Server Error", status: "410" }, PermanentError, "github/gone"],
  [404, "<html>no such page</html>", TransientError, "github/unexpected-answer"],
  [410, "", TransientError, "github/unexpected-answer"],
  [403, "<html>denied by the proxy</html>", TransientError, "github/unexpected-answer"],
  [400, { message: "Bad Request" }, TransientError, "github/unexpected-answer"],
  [200, "<html>Welcome</html>", TransientError, "github/unexpected-answer"],
])("status %i with the body %j becomes its class and code", (status, body, expectedClass, code) => {
  const failure = errorFromAnswer(answer(status, {}, body), "GET /x");
  expect(failure).toBeInstanceOf(expectedClass);
  expect(failure.code).toBe(code);
});

test("GitHub's words are shown short, on one line and without control characters", () => {
  const failure = errorFromAnswer(answer(404, {}, { message: `a\u001B[31m\n\u202Eb${"x".repeat(5_000)}` }), "GET /x");
  expect(failure.message).toContain("a [31m bxxx");
  expect(failure.message.length).toBeLessThan(400);
});

test("a foreign error keeps its code and loses every signed link, its cause and what else it carries", () => {
  const foreign = Object.assign(
    new Error("cannot reach https://host.example/a/secret?sig=secret&se=1", { cause: new Error("secret") }),
    {
      code: "ECONNRESET",
      data: "Location: https://host.example/?sig=secret",
    },
  );
  const clean = redactSecrets(foreign);
  expect(clean.message).toBe("cannot reach https://host.example/…");
  expect(clean.code).toBe("ECONNRESET");
  expect(`${clean.stack}${JSON.stringify(clean)}${String(clean.cause)}`).not.toContain("secret");
});

test("a refused connection is named by its first address", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED 192.0.2.1:443"), { code: "ECONNREFUSED" });
  const failure = errorFromSendFailure(new AggregateError([refused]), "GET /x", "github/unavailable");
  expect(failure.message).toContain("connect ECONNREFUSED 192.0.2.1:443");
});

test("the error for an unknown certificate authority names the remedy", () => {
  const unknown = Object.assign(new Error("self-signed certificate"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  expect(errorFromSendFailure(unknown, "GET /x", "github/unavailable").message).toContain("NODE_EXTRA_CA_CERTS");
});
