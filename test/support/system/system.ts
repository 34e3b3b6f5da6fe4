// The direct system as in production: replicas of each worker, with their own Redis, Postgres and store behind proxies that inject faults,
// and the simulated GitHub, whose webhooks pass a balancer.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { migrateQueue } from "@actions-archive/core/queue-engine";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { openOwnPostgres, type OwnPostgres } from "@actions-archive/testkit/own-postgres";
import { openOwnRedis, type OwnRedis } from "@actions-archive/testkit/own-redis";
import { openS3Proxy, type S3Proxy } from "@actions-archive/testkit/s3-proxy";
import { openTcpProxy, type TcpProxy } from "@actions-archive/testkit/tcp-proxy";
import { realS3, startTestS3 } from "@actions-archive/testkit/test-s3";
import getPort from "get-port";

import { type Ended, runCli, type Settings } from "../processes.ts";
import { openWorkspace, simulatedHost, type Workspace } from "../workspace.ts";
import { Replica, type WorkerKind, workerKinds } from "./replica.ts";

export type SystemOptions = {
  readonly queue: "redis" | "postgres";
  /** `s3`: the server of TEST_S3_ENDPOINT, else s3rver from npm, behind a proxy that injects faults. */
  readonly store: "folder" | "s3";
  readonly replicas: number;
  /** Starts the simulator with the URL and the secret of its webhooks. */
  readonly startSimulator: (webhook: { readonly url: string; readonly secret: string }) => Promise<Simulator>;
  /** Overrides the default settings of each worker; `name` is for example `loader-2`. */
  readonly settings?: (name: string, simulator: Simulator) => Settings;
};

export type System = AsyncDisposable & {
  readonly workspace: Workspace;
  readonly simulator: Simulator;
  readonly postgres: OwnPostgres;
  /** Undefined where the queue is on Postgres. */
  readonly redis: OwnRedis | undefined;
  readonly redisProxy: TcpProxy | undefined;
  readonly front: S3Proxy | undefined;
  /** The proxy of the fetchers' webhook routes. */
  readonly balancer: TcpProxy;
  readonly replicas: readonly Replica[];
  /** Ports of the workers' health routes, by name. */
  readonly ports: ReadonlyMap<string, number>;
  /** Texts that must not appear in any output. */
  readonly secrets: readonly string[];
  readonly spools: readonly string[];
  /** Overrides settings of the commands, and of each worker from its next start on. */
  readonly configure: (settings: Settings) => void;
  /** Runs a command of the CLI on this system, past the proxies. */
  readonly cli: (...args: string[]) => Promise<Ended>;
  readonly of: (kind: WorkerKind) => readonly Replica[];
};

/** Opens the engines and the simulated GitHub. A worker runs after the `start` of its replica. */
export async function openSystem(options: SystemOptions): Promise<System> {
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace());
  const postgres = stack.use(await openOwnPostgres(join(workspace.folder, "postgres")));
  await migrateDatabase(postgres.directUrl);
  const isOnRedis = options.queue === "redis";
  if (!isOnRedis) await migrateQueue(new URL(postgres.directUrl));
  const redis = isOnRedis ? stack.use(await openOwnRedis(join(workspace.folder, "redis"))) : undefined;
  const redisProxy = redis && stack.use(await openTcpProxy(Number(new URL(redis.url).port)));
  const store = await openStoreFor(options.store, workspace, stack);
  const names = workerKinds.flatMap((kind) => Array.from({ length: options.replicas }, (_, index) => `${kind}-${index + 1}`));
  const ports = new Map<string, number>();
  for (const name of names) ports.set(name, await getPort({ host: "127.0.0.1" }));
  const balancer = stack.use(
    await openTcpProxy(...[...ports].flatMap(([name, port]) => (name.startsWith("fetcher") ? port : []))),
  );
  const secret = randomBytes(16).toString("hex");
  const simulator = stack.use(await options.startSimulator({ url: `http://127.0.0.1:${balancer.port}/webhooks/github`, secret }));
  const sealKey = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const common = { ...workerSettings(simulator), ...store.settings };
  const proxied = { DATABASE_URL: postgres.url, QUEUE_URL: redisProxy?.before(redis?.url ?? "") ?? postgres.url };
  const direct = { DATABASE_URL: postgres.directUrl, QUEUE_URL: redis?.url ?? postgres.directUrl };
  const spool = join(workspace.folder, "spool", "cli");
  let settings: Settings = { ...common, SEAL_KEY: sealKey, ...options.settings?.("cli", simulator), ...direct, SPOOL_DIR: spool };
  const spools = names.map((name) => join(workspace.folder, "spool", name));
  const replicas = names.map((name, index) => {
    const kind = workerKinds.find((each) => name.startsWith(each)) ?? "loader";
    const own: Settings = {
      ...common,
      ...proxied,
      PORT: String(ports.get(name)),
      SPOOL_DIR: spools[index] ?? "",
      ...(kind === "fetcher" ? { GITHUB_WEBHOOK_SECRET: secret } : {}),
      ...(kind === "loader" ? { SEAL_KEY: sealKey } : {}),
      ...options.settings?.(name, simulator),
    };
    return stack.use(new Replica({ name, kind, cwd: workspace.folder, settings: own }));
  });
  const opened = stack.move();
  return {
    workspace,
    simulator,
    postgres,
    redis,
    redisProxy,
    front: store.front,
    balancer,
    replicas,
    ports,
    secrets: [secret, simulator.token, bodyOf(sealKey), bodyOf(simulator.app?.privateKey ?? sealKey)],
    spools: [...spools, spool],
    configure(changed) {
      settings = { ...settings, ...changed };
      for (const replica of replicas) replica.settings = { ...replica.settings, ...changed };
    },
    cli: (...args) => runCli(args, { cwd: workspace.folder, settings }),
    of: (kind) => replicas.filter((replica) => replica.kind === kind),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function workerSettings(simulator: Simulator): Settings {
  return {
    GITHUB_API_URL: simulator.apiUrl,
    GITHUB_HOST: simulatedHost,
    GITHUB_LOG_HOSTS: simulator.logOrigin,
    LOG_SETTLE_SECONDS: "1",
    RUN_SETTLE_SECONDS: "0",
    ...credentialOf(simulator),
  };
}

async function openStoreFor(
  kind: SystemOptions["store"],
  { archive }: Workspace,
  stack: AsyncDisposableStack,
): Promise<{ settings: Settings; front: S3Proxy | undefined }> {
  if (kind === "folder") return { settings: { ARCHIVE_URL: pathToFileURL(archive).href }, front: undefined };
  const s3 = (await realS3()) ?? stack.use(await startTestS3());
  const front = stack.use(await openS3Proxy(s3));
  front.checksMd5 = true;
  return {
    front,
    settings: {
      ARCHIVE_URL: `s3://${s3.bucket}/${s3.prefix}`,
      S3_ENDPOINT: front.s3.endpoint,
      S3_FORCE_PATH_STYLE: "true",
      AWS_REGION: s3.region,
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    },
  };
}

function credentialOf({ app, token }: Simulator): Settings {
  return app?.privateKey === undefined
    ? { GITHUB_TOKEN: token }
    : { GITHUB_APP_ID: String(app.id), GITHUB_APP_PRIVATE_KEY: app.privateKey };
}

/** @returns a line from the middle of a PEM, which identifies the key. */
function bodyOf(pem: string): string {
  const lines = pem.trim().split("\n");
  return lines[Math.floor(lines.length / 2)] ?? pem;
}
