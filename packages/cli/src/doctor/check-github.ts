// Checks of `doctor` for GitHub: the API, the credential and its rights, limits, log hosts, clocks and webhooks.

import { type Environment, presentSettings } from "@actions-archive/core/config";
import { errorMessage } from "@actions-archive/core/error-message";
import { ActionsArchiveError, PermanentError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import { findLastDelivery, findRefusedRedirects } from "@actions-archive/database/audit/inspect-database";
import type { Database } from "@actions-archive/database/connection/open-database";
import { hasIncludes, parseRepositoryPatterns } from "@actions-archive/fetcher/repositories/repository-patterns";
import type { Credential } from "@actions-archive/github/api";
import { listInstallationRepositories, listOwnerRepositories } from "@actions-archive/github/endpoints/repositories";
import { getMeta, getRateLimit } from "@actions-archive/github/endpoints/server";
import { listJobsForRun } from "@actions-archive/github/endpoints/workflow-jobs";
import { listRuns } from "@actions-archive/github/endpoints/workflow-runs";
import type { GitHub } from "@actions-archive/github/github";
import { openGitHubFrom } from "@actions-archive/github/open-from-settings";
import { repositoryPath } from "@actions-archive/github/paths";
import type { WorkflowRun } from "@actions-archive/github/schemas";
import { maxClockSkewMs } from "@actions-archive/github/transport/clock-skew";
import { createProcessBudget } from "@actions-archive/github/transport/process-budget";

import { formatTime } from "../format-table.ts";
import { settingOf } from "./check-settings.ts";
import { type Check, fail, pass, warn } from "./check.ts";

const minRemainingShare = 0.1;
/** Deliveries of a repository that works are minutes apart; a day without any is worth a look at the webhook. */
const quietWebhookMs = 24 * 60 * 60_000;

export type GitHubCheckRequest = {
  readonly env: Environment;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The database's clock at `readAt`, where there is a database. */
  readonly databaseClock: { readonly now: Date; readonly readAt: number } | undefined;
};

export async function checkGitHub({ env, log, signal, databaseClock }: GitHubCheckRequest): Promise<Check[]> {
  const apiUrl = settingOf(env, "GITHUB_API_URL");
  const hasCredential = settingOf(env, "GITHUB_TOKEN") !== undefined || settingOf(env, "GITHUB_APP_ID") !== undefined;
  if (apiUrl === undefined || !hasCredential) return [];
  await using github = openGitHubFrom(
    {
      GITHUB_API_URL: apiUrl,
      GITHUB_LOG_HOSTS: settingOf(env, "GITHUB_LOG_HOSTS"),
      GITHUB_TOKEN: settingOf(env, "GITHUB_TOKEN"),
      GITHUB_APP_ID: settingOf(env, "GITHUB_APP_ID"),
      GITHUB_APP_PRIVATE_KEY: settingOf(env, "GITHUB_APP_PRIVATE_KEY"),
      GITHUB_APP_PRIVATE_KEY_FILE: settingOf(env, "GITHUB_APP_PRIVATE_KEY_FILE"),
    },
    { budget: createProcessBudget(), log },
  );
  const credentialName = settingOf(env, "GITHUB_TOKEN") === undefined ? "the App's key" : "GITHUB_TOKEN";
  const credentials = await listCredentials(github, credentialName);
  if ("check" in credentials) return [credentials];
  const checks: Check[] = [];
  for (const credential of credentials) checks.push(...(await checkCredential(github, { credential, credentialName, signal })));
  if (checks.some(({ status }) => status === "fail")) return checks;
  return [...checks, await checkRepositories(github, env, signal), await checkClocks(github, { databaseClock, signal })];
}

async function listCredentials(github: GitHub, credentialName: string): Promise<readonly Credential[] | Check> {
  try {
    const credentials = await github.listCredentials();
    if (credentials.length > 0) return credentials;
    return fail("github_credential", "the App is installed nowhere", "Install it on the accounts to archive.");
  } catch (error) {
    return describeFailure("github_credential", error, credentialName);
  }
}

type CredentialRequest = { readonly credential: Credential; readonly credentialName: string; readonly signal: AbortSignal };

async function checkCredential(github: GitHub, { credential, credentialName, signal }: CredentialRequest): Promise<Check[]> {
  try {
    const limit = await getRateLimit(github, { credential, signal });
    const accepted = pass("github_credential", `${credential.id} is accepted by ${github.apiUrl.host}`);
    if (limit === undefined) return [accepted, pass("github_rate_limit", `${credential.id}: this server has no limit`)];
    const detail = `${credential.id}: ${limit.remaining} of ${limit.limit} requests are left until ${formatTime(new Date(limit.reset * 1_000))}`;
    return [
      accepted,
      limit.remaining >= limit.limit * minRemainingShare
        ? pass("github_rate_limit", detail)
        : warn(
            "github_rate_limit",
            detail,
            "Give Actions Archive a credential of its own, or set GITHUB_MAX_REQUESTS_PER_HOUR elsewhere.",
          ),
    ];
  } catch (error) {
    return [describeFailure("github_credential", error, credentialName)];
  }
}

/** Lists one run of the first repository that the settings select: what the fetcher does, with the same rights. */
async function checkRepositories(github: GitHub, env: Environment, signal: AbortSignal): Promise<Check> {
  let repository: string | undefined;
  try {
    repository = await findFirstRepository(github, presentSettings(env)["ARCHIVE_REPOSITORIES"], signal);
    if (repository === undefined)
      return fail(
        "github_permissions",
        "the settings select no repository that the credential can see",
        "Correct ARCHIVE_REPOSITORIES.",
      );
    const { data: runs } = await listRuns(github, { repository, status: "completed", perPage: 1, signal });
    const what = await checkLog(github, { repository, run: runs[0], signal });
    return pass("github_permissions", `the runs of ${repository} can be listed${what}`);
  } catch (error) {
    if (!(error instanceof ActionsArchiveError)) throw error;
    const what = repository ?? "the selected repositories";
    if (error.code === "github/not-found")
      return fail(
        "github_permissions",
        `${what}: GitHub answered 404: ${errorMessage(error)}`,
        "Correct ARCHIVE_REPOSITORIES, or give the credential access to the repository (Actions: read, Metadata: read).",
      );
    return fail(
      "github_permissions",
      `${what}: ${errorMessage(error)}`,
      "Grant the credential Actions: read and Metadata: read on the repositories.",
    );
  }
}

type LogRequest = {
  readonly repository: string;
  readonly run: WorkflowRun | undefined;
  readonly signal: AbortSignal;
};

/** Requests the link of one log and does not follow it: runs of a public repository can be listed without the right to read logs. */
async function checkLog(github: GitHub, { repository, run, signal }: LogRequest): Promise<string> {
  if (run === undefined) return ", and has no completed run yet";
  const { value: page } = await listJobsForRun(github, { repository, runId: run.id, filter: "latest", signal }).next();
  const job = page?.data[0];
  if (job === undefined) return "";
  const path = `${repositoryPath(repository)}/actions/jobs/${job.id}/logs`;
  const { status } = await github.send({ path, subject: { repository }, signal });
  if (status === 403) throw new PermanentError("github/forbidden", `GitHub answered 403 to the log of job ${job.id}`);
  return ", and their logs read";
}

async function findFirstRepository(
  github: GitHub,
  setting: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!hasIncludes(setting)) {
    for await (const page of listInstallationRepositories(github, { signal }))
      for (const { full_name } of page.data) return full_name;
    return undefined;
  }
  const patterns = parseRepositoryPatterns(setting);
  if (patterns.names[0] !== undefined) return patterns.names[0];
  for (const owner of patterns.owners)
    for await (const page of listOwnerRepositories(github, { owner, signal })) {
      const found = page.data.find(({ full_name }) => patterns.includes(full_name));
      if (found !== undefined) return found.full_name;
    }
  return undefined;
}

type ClockRequest = Pick<GitHubCheckRequest, "databaseClock" | "signal">;

async function checkClocks(github: GitHub, { databaseClock, signal }: ClockRequest): Promise<Check> {
  const { date } = await getMeta(github, { signal });
  const now = Date.now();
  const clocks = [
    { name: github.apiUrl.host, aheadMs: date.getTime() - now },
    ...(databaseClock === undefined
      ? []
      : [{ name: "the database", aheadMs: databaseClock.now.getTime() - (now - (performance.now() - databaseClock.readAt)) }]),
    { name: "this machine", aheadMs: 0 },
  ];
  const [slowest, fastest] = [
    clocks.toSorted((a, b) => a.aheadMs - b.aheadMs)[0],
    clocks.toSorted((a, b) => b.aheadMs - a.aheadMs)[0],
  ];
  const differenceMs = (fastest?.aheadMs ?? 0) - (slowest?.aheadMs ?? 0);
  const detail = `${fastest?.name} is ${Math.round(differenceMs / 1_000)} s ahead of ${slowest?.name}`;
  if (differenceMs < 5_000) return pass("clocks", "GitHub, the database and this machine agree within 5 s");
  const cure = "Synchronise the clocks (NTP) of this machine, the database and a GitHub Enterprise Server.";
  return differenceMs < maxClockSkewMs ? warn("clocks", detail, cure) : fail("clocks", `${detail}: such dates are refused`, cure);
}

/** What the ledger knows of webhooks and of logs whose host was refused. */
export async function checkTraffic(db: Database, env: Environment): Promise<Check[]> {
  const [lastDelivery, refused] = [await findLastDelivery(db), await findRefusedRedirects(db)];
  return [checkWebhook(settingOf(env, "GITHUB_WEBHOOK_SECRET") !== undefined, lastDelivery), checkLogHosts(refused)];
}

function checkWebhook(hasSecret: boolean, lastDelivery: Date | null): Check {
  const since = lastDelivery === null ? "no delivery was received yet" : `last delivery at ${formatTime(lastDelivery)}`;
  if (!hasSecret)
    return warn(
      "webhook",
      `no GITHUB_WEBHOOK_SECRET: jobs are found by polling alone (${since})`,
      "Set GITHUB_WEBHOOK_SECRET and a webhook for workflow_job and workflow_run to /webhooks/github.",
    );
  const isQuiet = lastDelivery === null || Date.now() - lastDelivery.getTime() > quietWebhookMs;
  if (!isQuiet) return pass("webhook", since);
  return warn("webhook", since, "See the webhook's recent deliveries at GitHub; its URL ends in /webhooks/github.");
}

function checkLogHosts({ logs, detail }: { readonly logs: number; readonly detail: string | null }): Check {
  if (logs === 0) return pass("log_hosts", "no log host was refused");
  return fail(
    "log_hosts",
    `${logs} ${logs === 1 ? "log" : "logs"} failed: ${detail ?? "redirect refused"}`,
    "Add the host to GITHUB_LOG_HOSTS if it is yours, then run: actions-archive retry --reason redirect_refused",
  );
}

function describeFailure(check: string, error: unknown, credentialName: string): Check {
  const message = errorMessage(error);
  if (!(error instanceof ActionsArchiveError))
    return fail(check, message, "Correct GITHUB_API_URL, or the way to it (HTTPS_PROXY, NODE_EXTRA_CA_CERTS).");
  if (error.code === "github/unauthorized")
    return fail(check, `${credentialName} is expired or revoked, or of another server`, `Replace ${credentialName}.`);
  if (error.code === "github/rate-limited") return warn(check, message, "Wait; every worker waits, too.");
  if (error.code === "github/unavailable")
    return fail("github_api", message, "Check GITHUB_API_URL, HTTPS_PROXY and NODE_EXTRA_CA_CERTS; see githubstatus.com.");
  return fail(check, message, "Check GITHUB_API_URL and proxies in between.");
}
