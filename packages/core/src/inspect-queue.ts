// Reads how a Redis is configured, for `doctor`.

import { Redis } from "ioredis";

export type RedisFacts = {
  readonly version: string;
  /** `noeviction`, or a policy that drops queued work; undefined where the server does not say. */
  readonly evictionPolicy: string | undefined;
  /** Whether an append-only file or snapshots are kept: without either, a restart forgets what is queued. */
  readonly persists: boolean;
  /** The last snapshot or append-only rewrite failed. */
  readonly persistenceFails: boolean;
  readonly usedMemoryBytes: number;
  /** 0: no limit. */
  readonly maxMemoryBytes: number;
};

/** Reads INFO once. Writes nothing. @throws Error with Redis's own words when it does not answer. */
export async function inspectRedis(url: URL): Promise<RedisFacts> {
  const redis = new Redis(url.href, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: 5_000,
  });
  // The rejection of `connect` only says that the connection is closed; the reason arrives here.
  let cause: Error | undefined;
  redis.on("error", (error) => {
    cause ??= error;
  });
  try {
    await redis.connect();
    const info = await redis.info();
    const read = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
    // Managed services refuse CONFIG; whether snapshots are configured is then unknown, and their own backups count.
    const saves = await redis.config("GET", "save").catch(() => undefined);
    const save = saves?.[1];
    return {
      version: read("valkey_version") ?? read("redis_version") ?? "unknown",
      evictionPolicy: read("maxmemory_policy"),
      persists: read("aof_enabled") === "1" || save === undefined || save !== "",
      persistenceFails: read("rdb_last_bgsave_status") === "err" || read("aof_last_write_status") === "err",
      usedMemoryBytes: Number(read("used_memory") ?? 0),
      maxMemoryBytes: Number(read("maxmemory") ?? 0),
    };
  } catch (error) {
    throw cause ?? error;
  } finally {
    redis.disconnect();
  }
}
