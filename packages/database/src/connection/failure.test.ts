// Postgres errors by SQLSTATE: transient ones are retried, refused values are not.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { expect, test } from "vitest";

import { translateDatabaseError } from "./failure.ts";

const failure = (code: string, message = "said Postgres") => Object.assign(new Error(message), { code });

test.each(["08006", "53300", "57P01", "57P03", "57014", "40001", "40P01", "55P03", "58030"])("%s is tried again", (code) => {
  expect(translateDatabaseError(failure(code))).toBeInstanceOf(TransientError);
});

test.each(["22003", "22P05", "22021", "23502", "23503", "23514"])("%s refuses the row for good", (code) => {
  const translated = translateDatabaseError(failure(code));
  expect(translated).toBeInstanceOf(PermanentError);
  expect(translated).toMatchObject({ code: "database/refused", message: expect.stringContaining(code) as string });
});

test.each(["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"])("a connection that fails with %s is tried again", (code) => {
  expect(translateDatabaseError(failure(code))).toBeInstanceOf(TransientError);
});

test("a connection that ends without a code is tried again", () => {
  expect(translateDatabaseError(new Error("Connection terminated unexpectedly"))).toBeInstanceOf(TransientError);
});

test("an own error, a bug and a wrong statement are not translated", () => {
  for (const error of [new PermanentError("usage/invalid", "no"), new TypeError("bug"), failure("42601"), "text"]) {
    expect(translateDatabaseError(error)).toBe(error);
  }
});
