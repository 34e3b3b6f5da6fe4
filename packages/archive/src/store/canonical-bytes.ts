// Canonical JSON (RFC 8785): equal values have equal bytes, so a repeated write is idempotent and a hash identifies content.

import canonicalize from "canonicalize";

/** @throws for undefined, NaN and lone surrogates, which canonical JSON cannot express. Pass foreign values through `wellFormed` first. */
export function canonicalBytes(value: unknown): Buffer {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("Only JSON values have canonical bytes.");
  return Buffer.from(text, "utf8");
}

/** Replaces lone surrogates in a JSON value by U+FFFD: RFC 8785, UTF-8 and Postgres cannot represent them. */
export function wellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name.toWellFormed(), wellFormed(item)]));
}
