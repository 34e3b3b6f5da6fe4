// Generates a log of incompressible bytes, for tests of sizes and crashes.

import { randomBytes } from "node:crypto";

import type { Job } from "../world/model.ts";

/** @returns `sizeBytes` bytes: one line with a timestamp at the job's end, then random bytes. */
export function randomLog({ completedAtMs, createdAtMs }: Pick<Job, "completedAtMs" | "createdAtMs">, sizeBytes: number): Buffer {
  const end = new Date(Math.floor((completedAtMs ?? createdAtMs) / 1000) * 1000).toISOString();
  const line = Buffer.from(`${end.replace("Z", "0000Z")} random bytes follow\n`);
  return Buffer.concat([line, randomBytes(sizeBytes - line.length)]);
}
