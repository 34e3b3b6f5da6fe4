// What each gust does to a system, and how it ends.

import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { createRandom } from "@actions-archive/github-simulator/random";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import type { GetFault, PutFault } from "@actions-archive/testkit/s3-front";

import type { Replica } from "../system/replica.ts";
import type { System } from "../system/system.ts";
import type { ScheduledFault, FaultKind } from "./schedule.ts";

/** What is under a gust now: of one system alone. */
type ChaosContext = {
  readonly system: System;
  readonly busy: Set<Replica>;
  /** By engine: two gusts that stop and start the same server would end each other's. */
  readonly turns: Map<string, Promise<void>>;
};

/** Resolves when it is over, and nothing of it is left. */
type Blow = (sky: ChaosContext, gust: ScheduledFault) => Promise<void>;

const pick = <T>(items: readonly T[], draw: number): T | undefined => items[Math.floor(draw * items.length)];

/** One of those that are not under another gust. */
async function onReplica(
  { system: { replicas }, busy }: ChaosContext,
  draw: number,
  act: (replica: Replica) => Promise<void>,
): Promise<void> {
  const free = replicas.filter((replica) => !busy.has(replica));
  const replica = pick(free, draw);
  if (replica === undefined) return;
  busy.add(replica);
  try {
    await act(replica);
  } finally {
    busy.delete(replica);
  }
}

/** For as long as it blows; the same gust again waits for nothing and adds to it. */
async function whileFault(
  { system: { simulator } }: ChaosContext,
  fault: Parameters<System["simulator"]["faults"]["add"]>[0],
  durationMs: number,
): Promise<void> {
  const { id } = simulator.faults.add({ times: "forever", ...fault });
  await sleep(durationMs);
  simulator.faults.clear(id);
}

function inTurn({ turns }: ChaosContext, engine: string, act: () => Promise<void>): Promise<void> {
  const done = (turns.get(engine) ?? Promise.resolve()).then(act);
  turns.set(
    engine,
    done.catch(() => undefined),
  );
  return done;
}

const putFaults: readonly PutFault[] = ["lose-answer", "corrupt", "refuse-after-body", 409, 503, "error-in-200"];
const getFaults: readonly GetFault[] = ["cut", "short", "flip", 503];

const redisAway =
  (isEmpty: boolean): Blow =>
  (sky, { durationMs }) =>
    inTurn(sky, "redis", async () => {
      await sky.system.redis?.kill();
      await sleep(durationMs);
      await sky.system.redis?.start({ isEmpty });
    });

/** Each kind's; a system without that engine is not blown at. */
const blows: Readonly<Record<FaultKind, Blow>> = {
  "worker-kill": (sky, { draw, durationMs }) => onReplica(sky, draw, (replica) => replica.kill(durationMs / 4)),
  "worker-freeze": (sky, { draw, durationMs }) =>
    onReplica(sky, draw, async (replica) => {
      replica.freeze();
      await sleep(durationMs);
      replica.thaw();
    }),
  "worker-term": (sky, { draw }) =>
    onReplica(sky, draw, async (replica) => {
      await replica.stop();
      replica.start();
    }),
  "redis-kill": redisAway(false),
  "redis-empty": redisAway(true),
  "redis-flush": (sky) => inTurn(sky, "redis", async () => void (await sky.system.redis?.ask("FLUSHALL"))),
  "redis-full": (sky, { durationMs }) =>
    inTurn(sky, "redis", async () => {
      await sky.system.redis?.ask("CONFIG", "SET", "maxmemory", "1");
      await sleep(durationMs);
      await sky.system.redis?.ask("CONFIG", "SET", "maxmemory", "0");
    }),
  "redis-freeze": (sky, { durationMs }) =>
    inTurn(sky, "redis", async () => {
      sky.system.redis?.signal("SIGSTOP");
      await sleep(durationMs);
      sky.system.redis?.signal("SIGCONT");
    }),
  "redis-cut": async ({ system: { redisProxy } }) => void redisProxy?.cut(),
  async "postgres-terminate"({ system: { postgres } }, { durationMs }) {
    for (const until = performance.now() + durationMs; performance.now() < until; await sleep(1_000))
      await postgres.terminateSessions().catch(() => undefined);
  },
  // It may be on its way back from another's.
  "postgres-stop": ({ system: { postgres } }) => postgres.stopImmediate().catch(() => undefined),
  "postgres-away": (sky, { durationMs }) =>
    inTurn(sky, "postgres proxy", async () => {
      const { proxy } = sky.system.postgres;
      proxy.isRefusing = true;
      proxy.cut();
      await sleep(durationMs);
      proxy.isRefusing = false;
    }),
  "postgres-silent": (sky, { durationMs }) =>
    inTurn(sky, "postgres proxy", async () => {
      const { proxy } = sky.system.postgres;
      proxy.isSilent = true;
      await sleep(durationMs);
      proxy.isSilent = false;
    }),
  async "postgres-lock"({ system: { postgres } }, { durationMs, draw }) {
    const table = pick(["obligations", "jobs", "logs_in_flight", "attempts", "repositories"], draw) ?? "jobs";
    // A session that a restart ends lets go of it, too.
    await postgres
      .ask(`begin; lock table archive.${table} in access exclusive mode; select pg_sleep(${durationMs / 1_000}); commit`)
      .catch(() => undefined);
  },
  "postgres-slow": (sky, { durationMs }) =>
    inTurn(sky, "postgres proxy", async () => {
      const { proxy } = sky.system.postgres;
      proxy.delayMs = 20;
      await sleep(durationMs);
      proxy.delayMs = 0;
    }),
  "store-storm": (sky, { durationMs, draw }) =>
    inTurn(sky, "store", async () => {
      const { front } = sky.system;
      if (front === undefined) return;
      const { next } = createRandom("storm", draw);
      front.storm = { puts: putFaults, gets: getFaults, chance: 0.1 + draw * 0.4, random: next };
      await sleep(durationMs);
      front.storm = undefined;
    }),
  "github-5xx": (sky, { durationMs, draw }) =>
    whileFault(
      sky,
      { origin: "api", status: pick([500, 502, 503], draw) ?? 500, chance: 0.2, body: '{"message":"Server Error"}' },
      durationMs,
    ),
  "github-limit": (sky, { durationMs, draw }) =>
    whileFault(
      sky,
      {
        origin: "api",
        status: draw < 0.5 ? 429 : 403,
        headers: { "retry-after": "2" },
        body: '{"message":"You have exceeded a secondary rate limit."}',
        chance: 0.3,
      },
      durationMs,
    ),
  "github-reset": (sky, { durationMs }) => whileFault(sky, { reset: true, chance: 0.2 }, durationMs),
  "github-slow": (sky, { durationMs }) => whileFault(sky, { delayMs: 1_500, chance: 0.5 }, durationMs),
  "log-cut": (sky, { durationMs, draw }) =>
    whileFault(sky, { origin: "log", cutAfterBytes: Math.floor(draw * 2_000), chance: 0.5 }, durationMs),
  "log-refused": (sky, { durationMs, draw }) =>
    whileFault(sky, { origin: "log", status: draw < 0.5 ? 403 : 500, body: "<Error/>", chance: 0.4 }, durationMs),
  "log-stall": (sky, { durationMs }) => whileFault(sky, { origin: "log", stallAfterBytes: 500, chance: 0.1 }, durationMs / 4),
  "webhooks-away": (sky, { durationMs }) =>
    inTurn(sky, "balancer", async () => {
      const { balancer } = sky.system;
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
    // What an operator sees of a system that is broken is an error; that it harms nothing is what counts.
    await cli(...(pick(commands, (draw * 7) % 1) ?? ["status"]));
  },
};

/** @returns what blows a gust at the system, and resolves when that is over and its harm is undone. */
export function openChaos(system: System): (gust: ScheduledFault) => Promise<void> {
  const sky: ChaosContext = { system, busy: new Set(), turns: new Map() };
  return (gust) => blows[gust.kind](sky, gust);
}

/** Kinds that this system can have. */
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
