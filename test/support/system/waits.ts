// What a test of a broken system waits for, and says in the end.

import { setTimeout as sleep } from "node:timers/promises";

import { expect, vi } from "vitest";

import type { SmallSystem } from "./small-system.ts";

/** For so long a fault lasts: what a lock, a lease or a deadline does about it is a matter of real time. */
export async function lasting(seconds: number): Promise<void> {
  await sleep(seconds * 1_000);
}

/** Seconds since a moment of `performance.now()`. */
export function secondsSince(moment: number): number {
  return (performance.now() - moment) / 1_000;
}

/** The workers have taken up their work: logs are being downloaded. */
export async function untilAtWork({ simulator }: SmallSystem): Promise<void> {
  await vi.waitFor(() => expect(simulator.journal.entries({ origin: "log" }).length).toBeGreaterThan(10), {
    timeout: 120_000,
    interval: 50,
  });
}

/** @returns seconds from now until this job's log is archived. */
export async function untilArchived(system: SmallSystem, jobId: number | undefined, limitSeconds = 240): Promise<string> {
  const began = performance.now();
  await vi.waitFor(async () => expect(await system.logStateOf(jobId ?? 0)).toBe("archived"), {
    timeout: limitSeconds * 1_000,
    interval: 200,
  });
  return secondsSince(began).toFixed(1);
}

/** Status codes other than 202 that webhooks were answered with. */
export function refusedWebhooks({ simulator }: SmallSystem): number[] {
  return simulator.webhooks.deliveries.map(({ statusCode }) => statusCode).filter((code) => code !== 202);
}
