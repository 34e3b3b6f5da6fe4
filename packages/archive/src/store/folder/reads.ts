// Reads file ranges: exactly the requested bytes, or an error.

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";

import { PermanentError } from "@actions-archive/core/errors";

import { folderFailure } from "./files.ts";

/** Streams the bytes from `start` to before `end`. @throws PermanentError `store/corrupt` when the file ends earlier. */
export async function* streamFile(path: string, start: number, end: number): AsyncIterable<Buffer> {
  if (start >= end) return;
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, {
      start,
      end: end - 1,
      highWaterMark: 256 * 1024,
    }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw folderFailure(error, `Reading ${path}`);
  }
  if (bytes !== end - start) throw shortened(path, bytes, end - start);
}

/** Like `streamFile`, in one buffer. */
export async function readFileRange(path: string, start: number, end: number): Promise<Buffer> {
  try {
    const bytes = Buffer.allocUnsafe(Math.max(0, end - start));
    await using file = await open(path);
    for (let read = 0; read < bytes.length;) {
      const { bytesRead } = await file.read(bytes, read, bytes.length - read, start + read);
      if (bytesRead === 0) throw shortened(path, read, bytes.length);
      read += bytesRead;
    }
    return bytes;
  } catch (error) {
    throw folderFailure(error, `Reading ${path}`);
  }
}

function shortened(path: string, bytes: number, expected: number): PermanentError {
  return new PermanentError(
    "store/corrupt",
    `${path} ended after ${bytes} of ${expected} bytes: it was truncated while it was read.`,
  );
}
