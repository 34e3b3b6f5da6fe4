// The log host: a separate origin, which rejects credentials with an XML error, like Azure's blob store. Range, If-Match and If-None-Match
// as in https://learn.microsoft.com/rest/api/storageservices/get-blob

import type { IncomingMessage } from "node:http";

import type { Clock } from "../clock.ts";
import { type Answer, answerOf } from "../http/answer.ts";
import type { Fault } from "../http/faults.ts";
import type { LogLinks } from "../http/log-links.ts";
import { isExpired } from "../log/expected.ts";
import { type LogContent, logContent, sliceLog } from "../log/log-content.ts";
import { guidOf, hexOf } from "../random.ts";
import type { Job } from "../world/model.ts";
import { jobStatus } from "../world/timeline.ts";
import type { World } from "../world/world.ts";

export type LogOriginDeps = {
  readonly world: World;
  readonly clock: Clock;
  readonly links: LogLinks;
  readonly logDelayMs: number;
};

/** @param ranges how this host mishandles range requests */
export function answerLogRequest(request: IncomingMessage, deps: LogOriginDeps, ranges?: Fault["ranges"]): Answer {
  const url = new URL(request.url ?? "/", "http://log.invalid");
  const nowMs = deps.clock.nowMs();
  const common = commonHeaders(deps.clock, url.pathname);
  const refuse = (status: number, code: string, message: string, detail?: string) =>
    azureError(common, { status, code, message, detail });
  if (request.method !== "GET" && request.method !== "HEAD")
    return refuse(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.");
  const { authorization } = request.headers;
  if (authorization !== undefined) return refuseCredential(authorization, refuse);
  const link = deps.links.check(url.pathname, url.searchParams, nowMs);
  if (link.kind === "forged") return refuse(403, "AuthenticationFailed", authenticationFailed, "Signature did not match.");
  if (link.kind === "expired") {
    const detail = `Signature not valid in the specified time frame: Start [${link.start}] - Expiry [${link.expiry}] - Current [${deps.clock.now().toISOString()}]`;
    return refuse(403, "AuthenticationFailed", authenticationFailed, detail);
  }
  const job = deps.world.jobs.get(link.jobId);
  const content = job === undefined ? undefined : availableLog(job, deps, nowMs);
  if (job === undefined || content === undefined) return refuse(404, "BlobNotFound", "The specified blob does not exist.");
  return answerBlob(request, { job, content, common, refuse, ranges });
}

const authenticationFailed =
  "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";

/** The blob exists once the job is complete and the upload's delay has passed. */
export function availableLog(job: Job, { logDelayMs }: Pick<LogOriginDeps, "logDelayMs">, nowMs: number): LogContent | undefined {
  const isComplete = job.recorded !== undefined || jobStatus(job, nowMs) === "completed";
  const isUploaded = job.recorded !== undefined || (job.completedAtMs ?? 0) + logDelayMs <= nowMs;
  if (!isComplete || !isUploaded || job.run.deleted || job.run.logsDeleted || isExpired(job, nowMs)) return undefined;
  return logContent(job);
}

type Refuse = (status: number, code: string, message: string, detail?: string) => Answer;

function refuseCredential(authorization: string, refuse: Refuse): Answer {
  // A bearer token is treated as one of Azure's and fails as such. Other schemes are not even recognized.
  if (/^bearer\s/i.test(authorization)) {
    return refuse(
      403,
      "AuthenticationFailed",
      authenticationFailed,
      "Lifetime validation failed. The token is not one of this service's.",
    );
  }
  const message = "Authentication information is not given in the correct format. Check the value of Authorization header.";
  return refuse(400, "InvalidAuthenticationInfo", message);
}

function answerBlob(
  request: IncomingMessage,
  {
    job,
    content,
    common,
    refuse,
    ranges,
  }: { job: Job; content: LogContent; common: Record<string, string>; refuse: Refuse; ranges: Fault["ranges"] },
): Answer {
  const etag = `"0x${hexOf(15, "etag", content.version, content.bytes).toUpperCase()}"`;
  const asked = ranges === "ignored" ? undefined : request.headers.range;
  const written = new Date(job.completedAtMs ?? job.createdAtMs).toUTCString();
  const headers = {
    ...common,
    "content-type": "text/plain",
    "accept-ranges": "bytes",
    etag,
    "last-modified": written,
    "x-ms-creation-time": written,
    "x-ms-blob-type": "BlockBlob",
    "x-ms-lease-status": "unlocked",
    "x-ms-lease-state": "available",
    "x-ms-server-encrypted": "true",
  };
  const ifMatch = request.headers["if-match"];
  if (ifMatch !== undefined && ifMatch !== "*" && ifMatch !== etag) {
    return refuse(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.");
  }
  if (request.headers["if-none-match"] === etag) return { status: 304, headers, length: 0, body: [] };
  const range = asked === undefined ? undefined : parseRange(asked, content.bytes, ranges === "shifted" ? 1 : 0);
  if (range === "unsatisfiable") {
    const refusal = refuse(416, "InvalidRange", "The range specified is invalid for the current size of the resource.");
    return { ...refusal, headers: { ...refusal.headers, "content-range": `bytes */${content.bytes}` } };
  }
  if (range === undefined) return { status: 200, headers, length: content.bytes, body: content.read() };
  const contentRange = `bytes ${range.first}-${range.last}/${content.bytes}`;
  return {
    status: 206,
    headers: { ...headers, "content-range": contentRange, ...(ranges === "of-another" ? { etag: '"0x8D000"' } : {}) },
    length: range.last - range.first + 1,
    body: sliceLog(content, range.first, range.last),
  };
}

// A single range. Anything else is ignored, as RFC 9110 allows.
function parseRange(header: string, bytes: number, shift: number): { first: number; last: number } | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  const [from, to] = [match?.[1] ?? "", match?.[2] ?? ""];
  if (match === null || (from === "" && to === "")) return undefined;
  const first = from === "" ? Math.max(bytes - Number(to), 0) : Number(from) + shift;
  const last = from === "" || to === "" ? bytes - 1 : Math.min(Number(to), bytes - 1);
  return first > last || first >= bytes ? "unsatisfiable" : { first, last };
}

function commonHeaders(clock: Clock, path: string): Record<string, string> {
  return {
    server: "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0",
    date: clock.now().toUTCString(),
    "x-ms-request-id": guidOf("request", path, clock.nowMs()),
    "x-ms-version": "2025-11-05",
  };
}

function azureError(
  common: Record<string, string>,
  { status, code, message, detail }: { status: number; code: string; message: string; detail: string | undefined },
): Answer {
  const lines = `${message}\nRequestId:${common["x-ms-request-id"]}\nTime:${common["date"]}`;
  const details = detail === undefined ? "" : `<AuthenticationErrorDetail>${detail}</AuthenticationErrorDetail>`;
  const xml = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${lines}</Message>${details}</Error>`;
  return answerOf(status, { ...common, "content-type": "application/xml", "x-ms-error-code": code }, `\uFEFF${xml}`);
}
