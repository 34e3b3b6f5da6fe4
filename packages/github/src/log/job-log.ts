// Requests a job's log: the API returns a link that is valid for about a minute, which is followed immediately and without a credential.

import { TransientError } from "@actions-archive/core/errors";
import type { Dispatcher } from "undici";

import type { GitHub } from "../github.ts";
import { idOf, repositoryPath, type RepositoryPath } from "../paths.ts";
import type { DatedAnswer } from "../transport/clock-skew.ts";
import { type ApiAnswer, errorFromAnswer } from "../transport/failure.ts";
import { isDocumentType, isUnencoded } from "../transport/log-headers.ts";
import { type LogLink, openDownload } from "./log-download.ts";
import { readResumable } from "./resume-log.ts";

/** `date` is always GitHub's API's, never the log host's. */
export type JobLogAnswer = DatedAnswer & JobLogOutcome;

type JobLogOutcome =
  | {
      readonly kind: "log";
      /** From Content-Length; undefined for a chunked body. */
      readonly declaredBytes: number | undefined;
      /** The Content-Type is that of an error document (HTML, XML, JSON). Not sufficient evidence: a proxy may send a log with it. */
      readonly hasDocumentType: boolean;
      /**
       * Can be read once. If the download of a large log is cut, it is resumed with a fresh link if its store supports that. Throws
       * TransientError `log/incomplete` when it is cut, too short, too long or stalled, and RateLimitedError of the fresh link.
       */
      readonly body: AsyncIterable<Buffer>;
      /** Closes the connection if `body` is not read. */
      readonly discard: () => void;
    }
  /** The log does not exist yet, or no longer: the caller knows the job's age. */
  | { readonly kind: "not-found"; readonly from: "api" | "blob" }
  | { readonly kind: "gone" };

export type JobLogRequest = {
  readonly repository: RepositoryPath;
  readonly jobId: number;
  readonly signal?: AbortSignal | undefined;
};

/**
 * Requests a job's log and follows the link. Costs one request of the limit; the download costs none. Idempotent.
 * https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run
 * @throws RateLimitedError; PermanentError `github/forbidden`, `github/unauthorized`, `log/redirect-refused`;
 * TransientError `github/unavailable`, `github/unexpected-answer`, `log/upstream-error` (retry: the link had expired, or the log host
 * failed), `log/incomplete` (a body whose end cannot be verified); the signal's reason.
 */
export async function requestJobLog(github: GitHub, request: JobLogRequest): Promise<JobLogAnswer> {
  const { answer, link } = await requestLink(github, request, { needsDate: true });
  const dated = { date: answer.date, skewMs: answer.skewMs };
  if (link === undefined) {
    const failure = errorFromAnswer(answer, describe(request));
    if (failure.code === "github/not-found") return { kind: "not-found", from: "api", ...dated };
    if (failure.code === "github/gone") return { kind: "gone", ...dated };
    throw failure;
  }
  const response = await openDownload(github, link);
  return response === undefined
    ? { kind: "not-found", from: "blob", ...dated }
    : { ...accept(github, response, request), ...dated };
}

/** The API's response, with the link if it is a redirect. */
async function requestLink(
  github: GitHub,
  request: JobLogRequest,
  { needsDate }: { readonly needsDate: boolean },
): Promise<{ readonly answer: ApiAnswer; readonly link?: LogLink }> {
  const { repository, jobId, signal } = request;
  const answer = await github.send({ path: pathOf(request), subject: { repository }, signal, needsDate });
  if (answer.status < 300 || answer.status >= 400) return { answer };
  const location = answer.headers.location;
  const link = location === undefined ? null : URL.parse(location, github.apiUrl);
  if (link === null)
    throw new TransientError(
      "github/unexpected-answer",
      `GitHub answered ${answer.status} to ${describe(request)} without a link`,
    );
  return { answer, link: { link, what: `The log of job ${jobId} of ${repository}`, signal } };
}

function accept(
  github: GitHub,
  response: Dispatcher.ResponseData,
  request: JobLogRequest,
): Extract<JobLogOutcome, { kind: "log" }> {
  const { headers } = response;
  const what = `The log of job ${request.jobId} of ${request.repository}`;
  const length = headers["content-length"];
  const isChunked = /\bchunked\b/i.test(String(headers["transfer-encoding"] ?? ""));

  const problem =
    length === undefined && !isChunked
      ? new TransientError("log/incomplete", `${what} has no declared length, so a truncated download could not be detected`)
      : !isUnencoded(headers)
        ? new TransientError(
            "log/upstream-error",
            `${what} has the Content-Encoding ${String(headers["content-encoding"]).slice(0, 40)}, which was not requested`,
          )
        : undefined;
  if (problem !== undefined) {
    response.body.destroy();
    throw problem;
  }
  const declaredBytes = length === undefined ? undefined : Number(length);
  const body = readResumable({
    response,
    declaredBytes,
    stallMs: github.timeouts.stallMs,
    what,
    signal: request.signal,
    async openRest(rest) {
      const { link } = await requestLink(github, request, { needsDate: false });
      return link && openDownload(github, link, rest);
    },
  });
  const hasDocumentType = isDocumentType(headers);
  return { kind: "log", declaredBytes, hasDocumentType, body, discard: () => void response.body.destroy() };
}

function pathOf({ repository, jobId }: JobLogRequest): string {
  return `${repositoryPath(repository)}/actions/jobs/${idOf(jobId)}/logs`;
}

function describe(request: JobLogRequest): string {
  return `GET ${pathOf(request)}`;
}
