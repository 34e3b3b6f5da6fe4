// The system under the model: engines that stay, workers that crash and restart, and what an operator, time and the network do.

import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { openArchive } from "@actions-archive/archive/open-archive";
import { openSigner } from "@actions-archive/archive/seal/seal-key";
import type { Store } from "@actions-archive/archive/store/store";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Redis } from "ioredis";
import { vi } from "vitest";

import { openWorkspace, simulatedHost } from "../workspace.ts";
import { type Engines, openWorkers, type Workers, workersName } from "./workers.ts";

type Query = <T extends Record<string, unknown>>(query: string, values?: readonly unknown[]) => Promise<T[]>;

export class System implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly #engines: Engines;
  readonly #redis: Redis;
  readonly repositoryId: number;
  /** Connected as an administrator. No fault affects this connection. */
  readonly ask: Query;
  workers: Workers;
  /** Whether connections to Postgres are dropped during the next operation. */
  dropsConnections = false;
  #hasDropped = false;

  constructor(opened: {
    readonly resources: AsyncDisposableStack;
    readonly engines: Engines;
    readonly redis: Redis;
    readonly repositoryId: number;
    readonly ask: Query;
    readonly workers: Workers;
  }) {
    this.#resources = opened.resources;
    this.#engines = opened.engines;
    this.#redis = opened.redis;
    this.repositoryId = opened.repositoryId;
    this.ask = opened.ask;
    this.workers = opened.workers;
  }

  get simulator(): Simulator {
    return this.#engines.simulator;
  }

  /** A connection of the tests, which never fails. */
  get store(): Store {
    return this.#engines.store;
  }

  get publicKey(): KeyObject {
    return openSigner(this.#engines.sealKey).publicKey;
  }

  /**
   * Performs an operation of the workers. A failure is accepted where the workers crash, an engine is away or a connection was dropped: a
   * caller repeats the operation.
   * @returns whether it succeeded. @throws every other error.
   */
  async perform(work: (workers: Workers) => Promise<unknown>): Promise<boolean> {
    const { lifetime } = this.workers;
    const hadFault = lifetime.storeFaults > 0;
    const isDropped = this.dropsConnections;
    this.dropsConnections = false;
    // A pool may hand out a connection that was dropped while it was idle.
    const mayMeetDropped = isDropped || this.#hasDropped;
    this.#hasDropped = false;
    const dropping = isDropped ? this.#dropDuring() : undefined;
    try {
      await work(this.workers);
      return true;
    } catch (error) {
      if (!lifetime.isDead && !hadFault && !mayMeetDropped) throw error;
      return false;
    } finally {
      await dropping;
      if (lifetime.isDead) await this.restart();
    }
  }

  /** Replaces the workers, with the loss of their memory, after so much time that their leases have expired. */
  async restart(): Promise<void> {
    this.workers.lifetime.dieAfter(0);
    await this.workers[Symbol.asyncDispose]();
    await this.ask("update archive.log_leases set leased_until = null");
    await this.ask("update archive.repositories set leased_until = now() where leased_until is not null");
    await this.ask("update archive.backfill_repositories set leased_until = now() where leased_until is not null");
    await this.ask("delete from archive.credential_holders");
    this.workers = await openWorkers(this.#engines);
  }

  /** Makes everything due that waits for a time. */
  async passTime(): Promise<void> {
    await this.ask("update archive.log_jobs set due_at = now() where log_state in ('pending', 'failed')");
    await this.ask("update archive.attempts set check_due_at = now() where state = 'open'");
    await this.ask("update archive.credentials set paused_until = null, guessed_until = null");
  }

  async flushQueue(): Promise<void> {
    const keys = await this.#redis.keys(`${this.#prefix}:*`);
    if (keys.length > 0) await this.#redis.del(...keys);
  }

  /** Removes a queue entry after its handler succeeded. */
  async finishWork(queueName: "archive" | "load", id: string): Promise<void> {
    await this.#redis.lrem(`${this.#prefix}:${queueName}:wait`, 0, id);
    await this.#redis.del(`${this.#prefix}:${queueName}:${id}`);
  }

  async dropConnections(): Promise<void> {
    this.#hasDropped = true;
    const dropped = await this.ask(
      "select pid, pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()",
      [workersName],
    );
    // The backend terminates when it handles the signal, on a busy machine some operations later.
    const pids = dropped.map(({ pid }) => pid);
    await vi.waitUntil(async () => (await this.ask("select from pg_stat_activity where pid = any($1)", [pids])).length === 0, {
      timeout: 30_000,
      interval: 5,
    });
  }

  async #dropDuring(): Promise<void> {
    for (let times = 0; times < 3; times += 1) {
      await nextTurn();
      await this.dropConnections();
    }
  }

  get #prefix(): string {
    const { archiveId, host } = this.#engines.queue;
    return `actions-archive:${archiveId}:${host}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flushQueue();
    await this.workers[Symbol.asyncDispose]();
    await this.#resources.disposeAsync();
  }
}

/** Opens a system with one selected repository. */
export async function openSystem(repository: string): Promise<System> {
  await using resources = new AsyncDisposableStack();
  const { folder, archive } = resources.use(await openWorkspace());
  const simulator = resources.use(
    await startSimulator({ scenario: "empty", retentionDays: 90, rateLimits: { perHour: 1_000_000 } }),
  );
  const databaseUrl = await createTestDatabase({ migrated: true });
  const { db, pool } = resources.use(await openDatabase({ url: databaseUrl, applicationName: "administrator" }));
  const settings = { ARCHIVE_URL: pathToFileURL(archive) };
  const { store, identity } = resources.use(await openArchive(settings, { host: simulatedHost, archiveId: undefined }));
  await claimIdentity(db, identity);
  const { id: repositoryId } = simulator.control.addRepository({ repository });
  await selectRepositories(db, [{ repository_id: repositoryId, full_name: repository, is_private: false }]);
  const redis = new Redis(requireRedis().url);
  resources.defer(() => redis.disconnect());
  const queue = { url: new URL(requireRedis().url), archiveId: identity.archive_id, host: simulatedHost };
  const sealKey = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const engines = { databaseUrl, store, queue, simulator, sealKey, spoolDir: join(folder, `spool-${randomUUID()}`) };
  const workers = await openWorkers(engines);
  const ask: Query = async <T extends Record<string, unknown>>(query: string, values: readonly unknown[] = []) =>
    (await pool.query<T>(query, [...values])).rows;
  return new System({ resources: resources.move(), engines, redis, repositoryId, ask, workers });
}
