// What fault tests wait for, and what they expect at the end.

import { setTimeout as sleep } from "node:timers/promises";

import { expect, vi } from "vitest";

import type { SmallSystem } from "./small-system.ts";

/** Waits while a fault lasts. Locks, leases and deadlines expire in real time. */
export async function sleepSeconds(seconds: number): Promise<void> {
  await sleep(seconds * 1_000);
}

/** @param start a time of `performance.now()` @returns seconds since then */
export function secondsSince(start: number): number {
  return (performance.now() - start) / 1_000;
}

/** Waits until the workers are busy: logs are being downloaded. */
export async function untilDownloading({ simulator }: SmallSystem): Promise<void> {
  await vi.waitFor(() => expect(simulator.journal.entries({ origin: "log" }).length).toBeGreaterThan(10), {
    timeout: 120_000,
    interval: 50,
  });
}

/** Waits until this job's log is archived. @returns the seconds that it took, as text */
export async function untilArchived(system: SmallSystem, jobId: number | undefined, limitSeconds = 240): Promise<string> {
  const began = performance.now();
  await vi.waitFor(async () => expect(await system.logStateOf(jobId ?? 0)).toBe("archived"), {
    timeout: limitSeconds * 1_000,
    interval: 200,
  });
  return secondsSince(began).toFixed(1);
}

/** @returns the status codes other than 202 with which webhooks were answered */
export function refusedWebhooks({ simulator }: SmallSystem): number[] {
  return simulator.webhooks.deliveries.map(({ statusCode }) => statusCode).filter((code) => code !== 202);
}
