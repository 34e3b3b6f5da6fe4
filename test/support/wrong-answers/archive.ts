// The archive of one scenario: its own database, folder and queue, full passes in this process, and time that is advanced between passes
// instead of waited for.

import type { PassReport } from "@actions-archive/cli/once/pass-report";
import { runPass } from "@actions-archive/cli/once/run-pass";
import { loadStartConfig } from "@actions-archive/cli/start-config";
import { createLogger } from "@actions-archive/core/logger";
import { settleMs } from "@actions-archive/fetcher/poll/scan-repository";
import { ArchiveJournal } from "@actions-archive/testkit/invariants/archive-journal";
import { typesWithNumbers } from "@actions-archive/testkit/own-postgres";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { Redis } from "ioredis";
import { Client } from "pg";
import { vi } from "vitest";

import type { Settings } from "../processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "../workspace.ts";
import type { SmallWorld } from "./world.ts";

/** Longer than the retries of one call, shorter than the queue's later backoffs. */
const maxWaitSeconds = 3;

export type Archive = AsyncDisposable & {
  readonly world: SmallWorld;
  /** The root of the store. */
  readonly folder: string;
  /** Connected as the owner of the tables. Parses bigint as number. */
  readonly client: Client;
  readonly journal: ArchiveJournal;
  readonly pass: () => Promise<PassReport>;
  /** Moves all times of the database's clock back by `span`, and empties the queue, whose backoffs run in real time. */
  readonly passTime: (span: string) => Promise<void>;
  /** Advances GitHub's clock until every run is old enough to be covered. Call it once: the clock may be at most 5 minutes ahead. */
  readonly settle: () => void;
};

/** Opens an empty archive for the world. */
export async function openArchive(world: SmallWorld): Promise<Archive> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const settings: Settings = {
    ...githubSettings(world.simulator),
    ...(await engineSettings(workspace)),
    RUN_SETTLE_SECONDS: "0",
    LOG_SETTLE_SECONDS: "0",
    LOG_WAIT_SECONDS: "0",
    LOG_LEVEL: "silent",
  };
  const url = settings["DATABASE_URL"] ?? "";
  stack.defer(() => dropDatabase(url));
  const client = new Client({ connectionString: url, types: typesWithNumbers });
  await client.connect();
  stack.defer(() => client.end());
  const opened = stack.move();
  return {
    world,
    folder: workspace.archive,
    client,
    journal: new ArchiveJournal(world.simulator),
    pass: () => passOnce(settings),
    async passTime(span) {
      await emptyQueue(client);
      await shiftBack(client, span);
    },
    settle: () => void world.simulator.control.advanceClock({ ms: settleMs + 60_000 }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function passOnce(settings: Settings): Promise<PassReport> {
  await using resources = new AsyncDisposableStack();
  const service = { log: createLogger("test", "silent"), resources, stopping: new AbortController().signal };
  return await runPass(loadStartConfig(settings), service, { maxWaitSeconds, onProgress: () => undefined });
}

/** Columns with times of GitHub's clock. All others in these tables are of the database's clock. */
const githubTimes: Readonly<Record<string, readonly string[]>> = {
  repositories: ["archive_since"],
  attempts: ["run_updated_at"],
  log_jobs: ["started_at", "completed_at", "expires_at", "object_received_at"],
  window_checks: ["window_start", "window_end"],
  unusable_objects: ["placed_at"],
  unreadable_repositories: [],
  credentials: [],
  log_leases: [],
};

async function shiftBack(client: Client, span: string): Promise<void> {
  const { rows } = await client.query<{ table_name: string; columns: string[] }>(
    `select table_name, array_agg(column_name::text) as columns
    from information_schema.columns
    where table_schema = 'archive' and data_type = 'timestamp with time zone' and table_name = any($1)
    group by table_name`,
    [Object.keys(githubTimes)],
  );
  for (const { table_name, columns } of rows) {
    const own = columns.filter((column) => !githubTimes[table_name]?.includes(column));
    const changes = own.map((column) => `${column} = ${column} - interval '${span}'`);
    await client.query(`update archive.${table_name} set ${changes.join(", ")}`);
  }
}

async function emptyQueue(client: Client): Promise<void> {
  const { rows } = await client.query<{ archive_id: string }>("select archive_id from archive.identity");
  const redis = new Redis(requireRedis().url);
  try {
    for (const { archive_id } of rows) {
      const keys = await redis.keys(`actions-archive:${archive_id}:*`);
      if (keys.length > 0) await redis.del(...keys);
    }
  } finally {
    redis.disconnect();
  }
}

/** Frees disk space: a run creates a thousand databases. Waits for backends, which outlive their client's connection briefly. */
async function dropDatabase(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  const client = new Client({ connectionString: Object.assign(new URL(url), { pathname: "/postgres" }).href });
  await client.connect();
  try {
    const drop = () => client.query(`drop database ${client.escapeIdentifier(name)}`);
    await vi.waitFor(drop, { timeout: 30_000, interval: 50 });
  } finally {
    await client.end();
  }
}
