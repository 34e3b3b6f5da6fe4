// Downloads a job's log: streams it from GitHub's link through the encoder into the spool in one pass.

import { lacksTimestamps } from "@actions-archive/archive/log/facts/log-flags";
import { LogEncoder, type LogTotals } from "@actions-archive/archive/log/log-format";
import type { SpoolFile } from "@actions-archive/archive/log/spool";
import { releaseMemory } from "@actions-archive/archive/store/release-memory";
import type { StoredBody } from "@actions-archive/archive/store/store";
import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { requestJobLog } from "@actions-archive/github/log/job-log";
import { trustedDate } from "@actions-archive/github/transport/clock-skew";

import { DocumentDetector } from "./document-detector.ts";
import type { LogWorker } from "./log-worker.ts";

export type Download =
  | { readonly kind: "log"; /** By GitHub's clock. */ readonly date: Date; readonly totals: LogTotals; readonly body: StoredBody }
  /** Zero bytes, or a 404 of the API or the log host. The job and the repository determine the reason. */
  | { readonly kind: "nothing"; readonly answer: "not_found" | "empty"; readonly date: Date }
  | { readonly kind: "gone"; readonly date: Date };

export type LogSource = { readonly full_name: string; readonly job_id: number };

/**
 * Requests the log and spools it, ready to be stored. The spooled file is removed with `resources`.
 * @throws PermanentError `log/too-large`; TransientError `spool/full`, `log/upstream-error` for an error document,
 * `github/clock-skew` when there is no log and GitHub's Date is not trusted; what `requestJobLog` throws.
 */
export async function downloadLog(
  { github, spool, settings, activity }: LogWorker,
  { full_name, job_id }: LogSource,
  { resources, signal }: { readonly resources: AsyncDisposableStack; readonly signal: AbortSignal },
): Promise<Download> {
  const answer = await requestJobLog(github, { repository: full_name, jobId: job_id, signal });
  // The log's age determines why it is missing, so the Date must be trusted.
  if (answer.kind === "not-found") return { kind: "nothing", answer: "not_found", date: trustedDate(github, answer) };
  if (answer.kind === "gone") return { kind: "gone", date: trustedDate(github, answer) };
  const { declaredBytes, hasDocumentType, body, discard } = answer;
  resources.defer(discard);
  if (declaredBytes !== undefined) checkSize(declaredBytes, settings.MAX_LOG_BYTES);
  const file = resources.use(spool.open(declaredBytes ?? 0));
  const detector = new DocumentDetector();
  const totals = await encodeInto(file, body, { maxBytes: settings.MAX_LOG_BYTES, detector, activity });
  if ((totals === undefined || lacksTimestamps(totals)) && (hasDocumentType || detector.isDocument()))
    throw new TransientError(
      "log/upstream-error",
      `The log of job ${job_id} of ${full_name} is an error document. It is retried.`,
    );
  if (totals === undefined) return { kind: "nothing", answer: "empty", date: trustedDate(github, answer) };
  const date = answer.skewMs === undefined ? answer.date : github.now();
  return { kind: "log", date, totals, body: await file.finish() };
}

type Encoding = { readonly maxBytes: number; readonly detector: DocumentDetector; readonly activity: LogWorker["activity"] };

/** @returns undefined for an empty body, which a chunked body may be. */
async function encodeInto(
  file: SpoolFile,
  body: AsyncIterable<Buffer>,
  { maxBytes, detector, activity }: Encoding,
): Promise<LogTotals | undefined> {
  const encoder = new LogEncoder();
  let countedBytes = 0;
  for await (const chunk of body) {
    countedBytes += chunk.length;
    checkSize(countedBytes, maxBytes);
    activity?.recordProgress();
    detector.write(chunk);
    const ready = encoder.write(chunk);
    // The memory of a chunked body's chunk is shared with other chunks and is not released.
    releaseMemory(chunk, chunk.length);
    for (const stored of ready) await file.write(stored);
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
    `The log has at least ${bytes} bytes, more than MAX_LOG_BYTES (${maxBytes}). Raise MAX_LOG_BYTES, then run: actions-archive retry`,
  );
}
