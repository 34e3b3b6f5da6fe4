// A large log whose download was cut goes on where it stopped, when its store promises that it is still the same log. What
// came before is not asked for again, and not hashed again.

import { RateLimitedError, TransientError } from "@actions-archive/core/errors";
import type { Dispatcher } from "undici";

import { isUnencoded } from "../transport/log-headers.ts";
import type { RestOfLog } from "../transport/transport.ts";
import { readLogBody } from "./log-body.ts";

/** A smaller log is soon had again from its start. */
const resumeAboveBytes = 64 * 1024 * 1024;
/** Each costs a call for a fresh link; a store that cuts more often than this is asked again later. */
const maxResumes = 4;

export type ResumableLog = {
  /** The answer to the first request. */
  readonly response: Dispatcher.ResponseData;
  readonly declaredBytes: number | undefined;
  readonly stallMs: number;
  /** Names the log in errors. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
  /** Asks for a fresh link and for the rest of the log; undefined when the log is not there any more. */
  readonly openRest: (rest: RestOfLog) => Promise<Dispatcher.ResponseData | undefined>;
};

/**
 * Reads a download once, as it comes, over as many connections as it takes.
 * @throws TransientError `log/incomplete` of the cut that could not be mended; RateLimitedError; the signal's reason.
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

/** The ETag by which the rest can be asked for; undefined where the log is small, or its store does not offer that. */
function resumableEtag({ headers }: Dispatcher.ResponseData, declaredBytes = 0): string | undefined {
  const { etag, "accept-ranges": ranges } = headers;
  // A weak one says "much the same", and If-Match never matches it: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
  const isStrong = typeof etag === "string" && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag);
  return isStrong && ranges === "bytes" && declaredBytes > resumeAboveBytes ? etag : undefined;
}

/** The body of a 206 that is exactly the rest, and of the same log; undefined for any other answer: all starts again. */
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
    // https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7: a 206 carries the ETag that a 200 would have carried.
    headers["etag"] === etag
  );
}
