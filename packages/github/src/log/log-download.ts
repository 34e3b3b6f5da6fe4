// Follows a log's link to the log host, without a credential, and classifies the response. The link is a secret: it never appears in an
// error, a log line or a return value.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import type { Dispatcher } from "undici";

import type { GitHub } from "../github.ts";
import { errorFromSendFailure } from "../transport/failure.ts";
import { isAllowed } from "../transport/log-hosts.ts";
import type { RestOfLog } from "../transport/transport.ts";

export type LogLink = {
  readonly link: URL;
  /** Names the log in errors. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
};

/** The host that the API links to, and one redirect from there. */
const maxHops = 2;
/** An error document is short; more of it is not read. */
const maxExplanationBytes = 64 * 1024;

/**
 * Follows the link, over at most two hosts, to the log (status 200) or to the `rest` of it (206).
 * @returns undefined if the log host's storage reports that the log does not exist.
 * @throws PermanentError `log/redirect-refused`; TransientError `log/upstream-error`; the signal's reason.
 */
export async function openDownload(
  github: GitHub,
  { link, what, signal }: LogLink,
  rest?: RestOfLog,
): Promise<Dispatcher.ResponseData | undefined> {
  let url = link;
  for (let hop = 1; ; hop++) {
    if (!isAllowed(url, github.logHosts))
      throw refused(what, `${url.protocol}//${url.host}, which GITHUB_LOG_HOSTS does not allow`);
    const response = await send(github, url, { what, signal, rest });
    const { statusCode, headers } = response;
    if (statusCode === (rest === undefined ? 200 : 206)) return response;

    const location = headers["location"];
    if (statusCode >= 300 && statusCode < 400 && typeof location === "string") {
      response.body.destroy();
      if (hop === maxHops) throw refused(what, `more than ${maxHops} hosts`);
      const next = URL.parse(location, url);
      if (next === null) throw new TransientError("log/upstream-error", `${what}: the log host's redirect is not a valid URL`);
      url = next;
      continue;
    }
    if (statusCode === 404 && (await isMissing(response))) return undefined;
    response.body.destroy();
    throw new TransientError(
      "log/upstream-error",
      `${what}: ${url.host} answered ${statusCode}. It is tried again with a fresh link.`,
    );
  }
}

async function send(
  github: GitHub,
  url: URL,
  { what, signal, rest }: Omit<LogLink, "link"> & { readonly rest: RestOfLog | undefined },
): Promise<Dispatcher.ResponseData> {
  try {
    return await github.transport.downloadLog(url, { signal, rest });
  } catch (error) {
    signal?.throwIfAborted();
    throw errorFromSendFailure(error, what, "log/upstream-error");
  }
}

/** Whether the storage itself reports that the object does not exist; any other 404 may be a proxy's. */
async function isMissing(response: Dispatcher.ResponseData): Promise<boolean> {
  const header = response.headers["x-ms-error-code"];
  const codes = /^(?:BlobNotFound|NoSuchKey)$/;
  if (typeof header === "string" && codes.test(header)) {
    response.body.destroy();
    return true;
  }
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body) {
      // undici's body yields Buffers; its type says any.
      chunks.push(chunk as Buffer);
      sizeBytes += (chunk as Buffer).length;
      if (sizeBytes > maxExplanationBytes) break;
    }
  } catch {
    return false;
  }
  const code = /<Code>(\w+)<\/Code>/.exec(Buffer.concat(chunks).toString("utf8"))?.[1];
  return code !== undefined && codes.test(code);
}

function refused(what: string, where: string): PermanentError {
  return new PermanentError(
    "log/redirect-refused",
    `${what} redirects to ${where}. If the host is yours, add it to GITHUB_LOG_HOSTS.`,
  );
}
