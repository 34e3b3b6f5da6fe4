// Resumes the download of a large log that was cut, if its store guarantees that it is still the same log. Bytes received before are
// neither requested nor hashed again.

import { RateLimitedError, TransientError } from "@actions-archive/core/errors";
import type { Dispatcher } from "undici";

import { isUnencoded } from "../transport/log-headers.ts";
import type { RestOfLog } from "../transport/transport.ts";
import { readLogBody } from "./log-body.ts";

/** A smaller log is downloaded again from the start. */
const resumeAboveBytes = 64 * 1024 * 1024;
/** Each resume costs a request for a fresh link. After more cuts the log is retried later. */
const maxResumes = 4;

export type ResumableLog = {
  /** The response to the first request. */
  readonly response: Dispatcher.ResponseData;
  readonly declaredBytes: number | undefined;
  readonly stallMs: number;
  /** Names the log in errors. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
  /** Requests a fresh link and the rest of the log; undefined if the log no longer exists. */
  readonly openRest: (rest: RestOfLog) => Promise<Dispatcher.ResponseData | undefined>;
};

/**
 * Streams a download once, and resumes it over new connections.
 * @throws TransientError `log/incomplete` of a cut that could not be resumed; RateLimitedError; the signal's reason.
 */
export async function* readResumable(log: ResumableLog): AsyncGenerator<Buffer, void, undefined> {
  const { response, declaredBytes, stallMs, what, signal } = log;
  const etag = resumableEtag(response, declaredBytes);
  let body = response.body;
  let receivedBytes = 0;
  try {
    for (let resumes = 0; ; resumes++) {
      try {
        for await (const chunk of readLogBody(body, { startBytes: receivedBytes, declaredBytes, stallMs, what, signal })) {
          receivedBytes += chunk.length;
          yield chunk;
        }
        return;
      } catch (error) {
        body.destroy();
        const isCut = error instanceof TransientError && error.code === "log/incomplete";
        if (!isCut || etag === undefined || resumes === maxResumes) throw error;
        const rest = await openRest(log, { startBytes: receivedBytes, etag });
        if (rest === undefined) throw error;
        body = rest;
      }
    }
  } finally {
    body.destroy();
  }
}

/** The ETag with which the rest can be requested; undefined if the log is small or its store does not support resuming. */
function resumableEtag({ headers }: Dispatcher.ResponseData, declaredBytes = 0): string | undefined {
  const { etag, "accept-ranges": ranges } = headers;
  // If-Match never matches a weak ETag: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
  const isStrong = typeof etag === "string" && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag);
  return isStrong && ranges === "bytes" && declaredBytes > resumeAboveBytes ? etag : undefined;
}

/** The body of a 206 with exactly the rest of the same log; undefined for any other response, after which the log is retried. */
async function openRest(log: ResumableLog, rest: RestOfLog): Promise<Dispatcher.ResponseData["body"] | undefined> {
  let response: Dispatcher.ResponseData | undefined;
  try {
    response = await log.openRest(rest);
  } catch (error) {
    log.signal?.throwIfAborted();
    if (error instanceof RateLimitedError) throw error;
    return undefined;
  }
  if (response === undefined) return undefined;
  if (isRest(response.headers, rest, log.declaredBytes ?? 0)) return response.body;
  response.body.destroy();
  return undefined;
}

function isRest(headers: Dispatcher.ResponseData["headers"], { startBytes, etag }: RestOfLog, declaredBytes: number): boolean {
  return (
    headers["content-range"] === `bytes ${startBytes}-${declaredBytes - 1}/${declaredBytes}` &&
    headers["content-length"] === String(declaredBytes - startBytes) &&
    isUnencoded(headers) &&
    // https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7: a 206 has the ETag that a 200 would have.
    headers["etag"] === etag
  );
}
