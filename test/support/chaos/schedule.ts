// Schedules faults as a pure function of a seed, so that a run can be repeated.

import { createRandom } from "@actions-archive/github-simulator/random";

/** The weight of each kind: its weights in a deck that is drawn until it is empty. So every kind comes. */
const weights = {
  "worker-kill": 4,
  "worker-freeze": 2,
  "worker-term": 1,
  "redis-kill": 1,
  "redis-empty": 1,
  "redis-flush": 1,
  "redis-full": 1,
  "redis-freeze": 1,
  "redis-cut": 1,
  "postgres-terminate": 2,
  "postgres-stop": 1,
  "postgres-away": 1,
  "postgres-silent": 1,
  "postgres-lock": 1,
  "postgres-slow": 1,
  "store-storm": 3,
  "github-5xx": 2,
  "github-limit": 1,
  "github-reset": 1,
  "github-slow": 1,
  "log-cut": 1,
  "log-refused": 1,
  "log-stall": 1,
  "webhooks-away": 1,
  "webhooks-forged": 1,
  operator: 2,
} as const;

export type FaultKind = keyof typeof weights;
export const faultKinds = Object.keys(weights) as readonly FaultKind[];

export type ScheduledFault = {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly durationMs: number;
  /** From 0 (inclusive) to 1: chooses the target and the severity. */
  readonly draw: number;
};

const meanPauseMs = 2_500;
/** Sometimes longer than locks and leases last. */
const maxFreezeMs = 45_000;

/** @returns the faults of `minutes`, in order of time; they may overlap. @param options.kinds those that the system can have */
export function scheduleFaults(options: {
  readonly seed: number;
  readonly minutes: number;
  readonly kinds: readonly FaultKind[];
}): readonly ScheduledFault[] {
  const random = createRandom(options.seed, "weather");
  const full = options.kinds.flatMap((kind) => Array.from({ length: weights[kind] }, () => kind));
  const faults: ScheduledFault[] = [];
  let deck: FaultKind[] = [];
  for (let atMs = random.int(500, 2 * meanPauseMs); atMs < options.minutes * 60_000; atMs += random.int(500, 2 * meanPauseMs)) {
    if (deck.length === 0) deck = [...full];
    const [kind] = deck.splice(random.int(0, deck.length - 1), 1);
    if (kind === undefined) break;
    const durationMs = kind === "worker-freeze" ? random.int(1_000, maxFreezeMs) : random.int(1_000, 12_000);
    faults.push({ atMs, kind, durationMs, draw: random.next() });
  }
  return faults;
}
