// JSON with one form for one content (RFC 8785), so that a repeated write makes equal bytes, and hashes mean content.
import canonicalize from "canonicalize";

/** @throws TypeError for what JSON cannot say: a bug, since everything here has passed a schema. */
export function canonicalBytes(value: unknown): Buffer {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("Only JSON values have canonical bytes.");
  return Buffer.from(text, "utf8");
}
