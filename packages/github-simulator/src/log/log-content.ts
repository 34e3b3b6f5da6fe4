// The bytes behind a job's log, whatever their source: generated, a file, or a text set by a test; with length and hash.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

import type { Job, Log } from "../world/model.ts";
import { generatedLogBytes, generateLog } from "./log-text.ts";

/** A log that has bytes. */
export type LogContent = {
  readonly bytes: number;
  /** Changes when the bytes change. */
  readonly version: string;
  /** A fresh stream of all bytes. */
  readonly read: () => Iterable<Buffer> | AsyncIterable<Buffer>;
};

/** The content of `job`'s own log; undefined for one that answers with an error. */
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

/** Lower-case hex of the raw bytes; reads the log once and remembers. */
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

/** `content` from byte `first` on, to `last` included. */
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
