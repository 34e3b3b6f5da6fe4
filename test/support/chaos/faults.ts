// What each scheduled fault does to a system, and how it ends.

import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { createRandom } from "@actions-archive/github-simulator/random";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import type { GetFault, PutFault } from "@actions-archive/testkit/s3-proxy";

import type { Replica } from "../system/replica.ts";
import type { System } from "../system/system.ts";
import type { ScheduledFault, FaultKind } from "./schedule.ts";

/** The faults in progress on one system. */
type ChaosContext = {
  readonly system: System;
  readonly busy: Set<Replica>;
  /** By engine. Two faults that stop and start the same server run one after the other: each would undo the other. */
  readonly turns: Map<string, Promise<void>>;
};

/** Resolves when the fault is over and its effects are undone. */
type ApplyFault = (context: ChaosContext, fault: ScheduledFault) => Promise<void>;

const pick = <T>(items: readonly T[], draw: number): T | undefined => items[Math.floor(draw * items.length)];

/** Applies a fault to a replica that has no other fault. */
async function onReplica(
  { system: { replicas }, busy }: ChaosContext,
  draw: number,
  operation: (replica: Replica) => Promise<void>,
): Promise<void> {
  const free = replicas.filter((replica) => !busy.has(replica));
  const replica = pick(free, draw);
  if (replica === undefined) return;
  busy.add(replica);
  try {
    await operation(replica);
  } finally {
    busy.delete(replica);
  }
}

/** Keeps a fault of the simulator active for `durationMs`. Faults of the same kind may overlap. */
async function withSimulatorFault(
  { system: { simulator } }: ChaosContext,
  fault: Parameters<System["simulator"]["faults"]["add"]>[0],
  durationMs: number,
): Promise<void> {
  const { id } = simulator.faults.add({ times: "forever", ...fault });
  await sleep(durationMs);
  simulator.faults.clear(id);
}

function inTurn({ turns }: ChaosContext, engine: string, operation: () => Promise<void>): Promise<void> {
  const done = (turns.get(engine) ?? Promise.resolve()).then(operation);
  turns.set(
    engine,
    done.catch(() => undefined),
  );
  return done;
}

const putFaults: readonly PutFault[] = ["lose-answer", "corrupt", "refuse-after-body", 409, 503, "error-in-200"];
const getFaults: readonly GetFault[] = ["cut", "short", "flip", 503];

const redisAway =
  (isEmpty: boolean): ApplyFault =>
  (context, { durationMs }) =>
    inTurn(context, "redis", async () => {
      await context.system.redis?.kill();
      await sleep(durationMs);
      await context.system.redis?.start({ isEmpty });
    });

/** By kind. A fault of an engine that the system lacks does nothing. */
const applyByKind: Readonly<Record<FaultKind, ApplyFault>> = {
  "worker-kill": (context, { draw, durationMs }) => onReplica(context, draw, (replica) => replica.kill(durationMs / 4)),
  "worker-freeze": (context, { draw, durationMs }) =>
    onReplica(context, draw, async (replica) => {
      replica.freeze();
      await sleep(durationMs);
      replica.thaw();
    }),
  "worker-term": (context, { draw }) =>
    onReplica(context, draw, async (replica) => {
      await replica.stop();
      replica.start();
    }),
  "redis-kill": redisAway(false),
  "redis-empty": redisAway(true),
  "redis-flush": (context) => inTurn(context, "redis", async () => void (await context.system.redis?.ask("FLUSHALL"))),
  "redis-full": (context, { durationMs }) =>
    inTurn(context, "redis", async () => {
      await context.system.redis?.ask("CONFIG", "SET", "maxmemory", "1");
      await sleep(durationMs);
      await context.system.redis?.ask("CONFIG", "SET", "maxmemory", "0");
    }),
  "redis-freeze": (context, { durationMs }) =>
    inTurn(context, "redis", async () => {
      context.system.redis?.signal("SIGSTOP");
      await sleep(durationMs);
      context.system.redis?.signal("SIGCONT");
    }),
  "redis-cut": async ({ system: { redisProxy } }) => void redisProxy?.cut(),
  async "postgres-terminate"({ system: { postgres } }, { durationMs }) {
    for (const until = performance.now() + durationMs; performance.now() < until; await sleep(1_000))
      await postgres.terminateSessions().catch(() => undefined);
  },
  // Another fault may have Postgres restarting already.
  "postgres-stop": ({ system: { postgres } }) => postgres.stopImmediate().catch(() => undefined),
  "postgres-away": (context, { durationMs }) =>
    inTurn(context, "postgres proxy", async () => {
      const { proxy } = context.system.postgres;
      proxy.isRefusing = true;
      proxy.cut();
      await sleep(durationMs);
      proxy.isRefusing = false;
    }),
  "postgres-silent": (context, { durationMs }) =>
    inTurn(context, "postgres proxy", async () => {
      const { proxy } = context.system.postgres;
      proxy.isSilent = true;
      await sleep(durationMs);
      proxy.isSilent = false;
    }),
  async "postgres-lock"({ system: { postgres } }, { durationMs, draw }) {
    const table = pick(["log_jobs", "jobs", "log_leases", "attempts", "repositories"], draw) ?? "jobs";
    // Terminating the session, as a restart does, releases the lock too.
    await postgres
      .ask(`begin; lock table archive.${table} in access exclusive mode; select pg_sleep(${durationMs / 1_000}); commit`)
      .catch(() => undefined);
  },
  "postgres-slow": (context, { durationMs }) =>
    inTurn(context, "postgres proxy", async () => {
      const { proxy } = context.system.postgres;
      proxy.delayMs = 20;
      await sleep(durationMs);
      proxy.delayMs = 0;
    }),
  "store-storm": (context, { durationMs, draw }) =>
    inTurn(context, "store", async () => {
      const { front } = context.system;
      if (front === undefined) return;
      const { next } = createRandom("storm", draw);
      front.randomFaults = { puts: putFaults, gets: getFaults, chance: 0.1 + draw * 0.4, random: next };
      await sleep(durationMs);
      front.randomFaults = undefined;
    }),
  "github-5xx": (context, { durationMs, draw }) =>
    withSimulatorFault(
      context,
      { origin: "api", status: pick([500, 502, 503], draw) ?? 500, chance: 0.2, body: '{"message":"Server Error"}' },
      durationMs,
    ),
  "github-limit": (context, { durationMs, draw }) =>
    withSimulatorFault(
      context,
      {
        origin: "api",
        status: draw < 0.5 ? 429 : 403,
        headers: { "retry-after": "2" },
        body: '{"message":"You have exceeded a secondary rate limit."}',
        chance: 0.3,
      },
      durationMs,
    ),
  "github-reset": (context, { durationMs }) => withSimulatorFault(context, { reset: true, chance: 0.2 }, durationMs),
  "github-slow": (context, { durationMs }) => withSimulatorFault(context, { delayMs: 1_500, chance: 0.5 }, durationMs),
  "log-cut": (context, { durationMs, draw }) =>
    withSimulatorFault(context, { origin: "log", cutAfterBytes: Math.floor(draw * 2_000), chance: 0.5 }, durationMs),
  "log-refused": (context, { durationMs, draw }) =>
    withSimulatorFault(context, { origin: "log", status: draw < 0.5 ? 403 : 500, body: "<Error/>", chance: 0.4 }, durationMs),
  "log-stall": (context, { durationMs }) =>
    withSimulatorFault(context, { origin: "log", stallAfterBytes: 500, chance: 0.1 }, durationMs / 4),
  "webhooks-away": (context, { durationMs }) =>
    inTurn(context, "balancer", async () => {
      const { balancer } = context.system;
      balancer.isRefusing = true;
      await sleep(durationMs);
      balancer.isRefusing = false;
    }),
  "webhooks-forged": ({ system: { balancer } }) => forgeWebhooks(balancer.port),
  async operator({ system: { cli, simulator } }, { draw }) {
    const repository = pick(simulator.world.repositories, draw);
    const commands = [
      ["retry"],
      ["seal"],
      ["gaps", "--json"],
      ["status", "--json"],
      ["backfill", repository === undefined ? "acme/api" : fullNameOf(repository)],
    ];
    // A command on a broken system may fail. It must do no harm.
    await cli(...(pick(commands, (draw * 7) % 1) ?? ["status"]));
  },
};

/** @returns a function that applies a fault to the system, and resolves when the fault is over and undone. */
export function openChaos(system: System): (fault: ScheduledFault) => Promise<void> {
  const context: ChaosContext = { system, busy: new Set(), turns: new Map() };
  return (fault) => applyByKind[fault.kind](context, fault);
}

/** @returns the kinds that are possible in this system. */
export function kindsFor({ redis, front }: Pick<System, "redis" | "front">, kinds: readonly FaultKind[]): readonly FaultKind[] {
  return kinds.filter(
    (kind) => (redis !== undefined || !kind.startsWith("redis-")) && (front !== undefined || !kind.startsWith("store-")),
  );
}

async function forgeWebhooks(port: number): Promise<void> {
  const body = JSON.stringify({ action: "completed", workflow_job: { id: 1 } });
  const signature = createHmac("sha256", randomBytes(16)).update(body).digest("hex");
  const headers = {
    "content-type": "application/json",
    "x-github-event": "workflow_job",
    "x-github-delivery": "00000000-0000-0000-0000-000000000000",
    "x-hub-signature-256": `sha256=${signature}`,
  };
  const url = `http://127.0.0.1:${port}/webhooks/github`;
  const send = () =>
    fetch(url, { method: "POST", headers, body }).then(
      (answer) => answer.arrayBuffer(),
      () => undefined,
    );
  for (let rounds = 0; rounds < 5; rounds++) await Promise.all(Array.from({ length: 100 }, send));
}
