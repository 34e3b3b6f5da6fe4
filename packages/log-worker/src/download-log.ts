// One reading of a job's log: from GitHub's link through the encoder into the spool. The bytes flow once.

import { LogEncoder, type LogTotals } from "@actions-archive/archive/log-format";
import type { SpoolFile } from "@actions-archive/archive/spool";
import type { StoredBody } from "@actions-archive/archive/store";
import { PermanentError } from "@actions-archive/core/errors";
import { requestJobLog } from "@actions-archive/github/job-log";

import type { LogWorker } from "./log-worker.ts";

export type Download =
  | { readonly kind: "log"; readonly date: Date; readonly totals: LogTotals; readonly body: StoredBody }
  /** Zero bytes, or a 404 of the API or the log host. Which of several reasons it is, the job and the repository tell. */
  | { readonly kind: "nothing"; readonly isEmpty: boolean; readonly date: Date }
  | { readonly kind: "gone"; readonly date: Date };

export type LogSource = { readonly full_name: string; readonly job_id: number };

/**
 * Asks for the log and spools it, ready to be stored. What was spooled is in `resources`, and gone with them.
 * @throws PermanentError `log/too-large`; TransientError `spool/full`; what `requestJobLog` throws.
 */
export async function downloadLog(
  { github, spool, settings }: LogWorker,
  { full_name, job_id }: LogSource,
  { resources, signal }: { readonly resources: AsyncDisposableStack; readonly signal: AbortSignal },
): Promise<Download> {
  const answer = await requestJobLog(github, { repository: full_name, jobId: job_id, signal });
  if (answer.kind === "not-found") return { kind: "nothing", isEmpty: false, date: answer.date };
  if (answer.kind === "gone") return { kind: "gone", date: answer.date };
  const { date, declaredBytes, body, discard } = answer;
  resources.defer(discard);
  if (declaredBytes !== undefined) checkSize(declaredBytes, settings.MAX_LOG_BYTES);
  if (declaredBytes === 0) return { kind: "nothing", isEmpty: true, date };
  const file = resources.use(spool.open(declaredBytes ?? 0));
  const totals = await encodeInto(file, body, settings.MAX_LOG_BYTES);
  if (totals === undefined) return { kind: "nothing", isEmpty: true, date };
  return { kind: "log", date, totals, body: await file.finish() };
}

/** @returns undefined for a body without a byte, which a chunked one may be. */
async function encodeInto(file: SpoolFile, body: AsyncIterable<Buffer>, maxBytes: number): Promise<LogTotals | undefined> {
  const encoder = new LogEncoder();
  let countedBytes = 0;
  for await (const chunk of body) {
    countedBytes += chunk.length;
    checkSize(countedBytes, maxBytes);
    for (const stored of encoder.write(chunk)) await file.write(stored);
  }
  if (countedBytes === 0) return undefined;
  const { stored, totals } = encoder.end();
  for (const last of stored) await file.write(last);
  return totals;
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new PermanentError(
    "log/too-large",
    `The log has ${bytes} bytes or more, over MAX_LOG_BYTES (${maxBytes}). Raise it, then: actions-archive retry`,
  );
}
