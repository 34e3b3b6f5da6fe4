// JSON with one form for one content (RFC 8785), so that a repeated write makes equal bytes, and hashes mean content.

import canonicalize from "canonicalize";

/** @throws for what canonical JSON cannot say: undefined, NaN, text that is no Unicode. Pass what others wrote through `wellFormed` first. */
export function canonicalBytes(value: unknown): Buffer {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("Only JSON values have canonical bytes.");
  return Buffer.from(text, "utf8");
}

/** A JSON value with U+FFFD where its text has half a surrogate pair: RFC 8785, UTF-8 and Postgres know no such text. */
export function wellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name.toWellFormed(), wellFormed(item)]));
}
