// What a test gets of the run's Redis: its address, and a prefix of its own for queues and keys.

import { randomBytes } from "node:crypto";

import { inject } from "vitest";

/** @throws Error with the cure when there is no Redis: a test that needs it fails, it is never skipped. */
export function requireRedis(): { readonly url: string; readonly prefix: string } {
  const redis = inject("testRedis");
  if ("missing" in redis) throw new Error(redis.missing);
  return { url: redis.url, prefix: `test-${randomBytes(6).toString("hex")}` };
}
