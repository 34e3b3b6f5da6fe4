// Gives a test the run's Redis: its URL, and a unique prefix for queues and keys.

import { randomBytes } from "node:crypto";

import { inject } from "vitest";

/** @throws when there is no Redis, with instructions. A test that needs Redis fails and is never skipped. */
export function requireRedis(): { readonly url: string; readonly prefix: string } {
  const redis = inject("testRedis");
  if ("missing" in redis) throw new Error(redis.missing);
  return { url: redis.url, prefix: `test-${randomBytes(6).toString("hex")}` };
}
