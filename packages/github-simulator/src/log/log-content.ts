// The bytes of a job's log from any source: generated, a file, or a test's text; with length and hash.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

import type { Job, Log } from "../world/model.ts";
import { generatedLogBytes, generateLog } from "./log-text.ts";

/** A log with bytes. */
export type LogContent = {
  readonly bytes: number;
  /** Changes when the bytes change. */
  readonly version: string;
  /** @returns a new stream of all bytes. */
  readonly read: () => Iterable<Buffer> | AsyncIterable<Buffer>;
};

/** @returns the content of `job`'s own log; undefined for one that answers with an error. */
export function logContent(job: Job): LogContent | undefined {
  const { log } = job;
  switch (log.kind) {
    case "generated":
      return { bytes: generatedLogBytes(job), version: `generated-${job.seed}-${log.bytes}`, read: () => generateLog(job) };
    case "text":
      return {
        bytes: log.content.length,
        version: createHash("sha256").update(log.content).digest("hex"),
        read: () => [log.content],
      };
    case "file":
      return { bytes: log.bytes, version: log.path, read: () => createReadStream(log.path) };
    case "of-job":
      return logContent(log.job);
    case "not-found":
    case "expired":
    case "blob-missing":
      return undefined;
  }
}

const hashes = new WeakMap<Log, string>();

/** @returns lower-case hex of the raw bytes' hash; cached. */
export async function logSha256(job: Job): Promise<string | undefined> {
  const known = hashes.get(job.log);
  if (known !== undefined) return known;
  const content = logContent(job);
  if (content === undefined) return undefined;
  const hash = createHash("sha256");
  for await (const chunk of content.read()) hash.update(chunk);
  const hex = hash.digest("hex");
  hashes.set(job.log, hex);
  return hex;
}

/** @returns the bytes from `first` to `last`, both inclusive. */
export async function* sliceLog(content: LogContent, first: number, last: number): AsyncGenerator<Buffer, void, undefined> {
  let at = 0;
  for await (const chunk of content.read()) {
    const from = Math.max(first - at, 0);
    const to = Math.min(last + 1 - at, chunk.length);
    if (from < to) yield chunk.subarray(from, to);
    at += chunk.length;
    if (at > last) return;
  }
}
