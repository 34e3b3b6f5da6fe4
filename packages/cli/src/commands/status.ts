// `status`: what is archived, what is missing, and why.

import { extractionVersion } from "@actions-archive/archive/log/facts/extraction";
import { listRepositoryCoverage, type RepositoryCoverage } from "@actions-archive/database/audit/coverage";
import { countGaps } from "@actions-archive/database/audit/gaps";
import { listClockSkews } from "@actions-archive/database/budget/clock-skews";
import { listCredentials } from "@actions-archive/database/budget/credentials";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findIdentity } from "@actions-archive/database/ledger/identity";
import { listUnreadableRepositories } from "@actions-archive/database/ledger/repositories";
import { countRereads, listRereadProblems } from "@actions-archive/database/ledger/rereads";
import { countByReason, countWork, measureArchive } from "@actions-archive/database/ledger/summary";
import { countDamages, findScrub } from "@actions-archive/database/seal/scrub";
import { findSealing, type Sealing } from "@actions-archive/database/seal/sealing";
import { describeSkew } from "@actions-archive/github/transport/clock-skew";
import type { Command } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { countText } from "../count-text.ts";
import { formatTable } from "../format-table.ts";
import { pauseText } from "../pause-text.ts";

const maxProblems = 10;
/** A repository's problem while its credential is paused. */
const isPause = /^GitHub credential \S+ waits until /;

export function addStatus(program: Command, context: CommandContext): void {
  program
    .command("status")
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive status\n  actions-archive status --json | jq .counts.pending\n  actions-archive status --json | jq .rereads",
    )
    .action(async ({ json }: { json?: true }) => {
      await using resources = new AsyncDisposableStack();
      const { db } = await attachLedger(context, { command: "status", resources });
      const status = await readStatus(db);
      if (json) printJson(context, status);
      else print(context, formatStatus(status));
    });
}

type Status = Awaited<ReturnType<typeof readStatus>>;

async function readStatus(db: Database) {
  const identity = await findIdentity(db);
  return {
    host: identity?.host ?? null,
    archive_id: identity?.archive_id ?? null,
    size: await measureArchive(db),
    counts: await countWork(db),
    logs: await countByReason(db),
    coverage: await listRepositoryCoverage(db),
    unreadable: await listUnreadableRepositories(db),
    gaps: await countGaps(db),
    credentials: await listCredentials(db),
    clock_skew: await listClockSkews(db),
    sealing: await findSealing(db),
    scrub: { ...(await findScrub(db)), ...(await countDamages(db)) },
    rereads: {
      extraction_version: extractionVersion,
      ...(await countRereads(db, extractionVersion)),
      problems: await listRereadProblems(db, extractionVersion, maxProblems),
    },
  };
}

function formatStatus(status: Status): string {
  const { host, archive_id, size, logs, coverage, unreadable, gaps, credentials } = status;
  const lines = [
    host === null ? "Nothing is archived yet." : `Archive ${archive_id} of ${host}`,
    `${countText(size.repositories, "repository", "repositories")}, ${countText(size.runs, "run")} in ${countText(size.attempts, "attempt")}, ${countText(size.jobs, "job")}, ${countText(size.steps, "step")}`,
  ];
  if (logs.length > 0) lines.push("", formatTable(logs.map(({ log_state, ...rest }) => ({ log: log_state, ...rest }))));
  if (coverage.length > 0) lines.push("", formatTable(coverage.map(coverageRow)));
  const problems = [
    ...coverage.flatMap(({ repository, problem }) => (problem === null ? [] : [{ repository, problem }])),
    ...unreadable.map(({ name, problem }) => ({ repository: name, problem })),
  ];
  const waiting = problems.filter(({ problem }) => isPause.test(problem));
  const failing = problems.filter(({ problem }) => !isPause.test(problem));
  if (waiting.length > 0) lines.push("", "Waiting for GitHub:", formatTable(waiting));
  if (failing.length > 0) lines.push("", "Repositories that cannot be listed:", formatTable(failing));
  if (gaps.some(({ kind }) => kind !== "not_sealed")) lines.push("", "Missing, with reasons: actions-archive gaps");
  if (host !== null) lines.push("", ...sealingText(status.sealing), ...scrubText(status.scrub), ...rereadText(status.rereads));
  if (credentials.length > 0)
    lines.push(
      "",
      formatTable(
        credentials.map(({ credential, limit, used, remaining, requests_this_hour, running }) => ({
          credential,
          limit,
          used,
          remaining,
          ours_this_hour: requests_this_hour,
          running,
        })),
      ),
    );
  lines.push(...status.clock_skew.map(skewText));
  for (const { credential, paused_until, pause_reason } of credentials) {
    if (paused_until === null) continue;
    lines.push(`Credential ${credential}: ${pauseText({ paused_until, pause_reason })}`);
  }
  return lines.join("\n");
}

function skewText({ host, skew_seconds, since, last_seen_at }: Status["clock_skew"][number]): string {
  const skew = `The Date header of ${host} is ${describeSkew(skew_seconds * 1_000)} the database's clock`;
  return `${skew} since ${since.toISOString()} (last seen ${last_seen_at.toISOString()}): it is not used for windows and ages. Check the clock of the GitHub server and of the database.`;
}

function sealingText({ head, unsealed_objects, key_id, problem, problem_since }: Sealing): string[] {
  return [
    head === null
      ? "Nothing is sealed."
      : `Sealed at ${head.sealed_at.toISOString()}, head ${head.sequence}:${head.sha256}; ${countText(unsealed_objects, "object waits", "objects wait")} for the next seal.`,
    ...(key_id === null ? ["No loader has a SEAL_KEY: nothing that is archived can be proved."] : []),
    ...(problem === null ? [] : [`Sealing fails since ${problem_since?.toISOString() ?? "?"}: ${problem}`]),
  ];
}

function scrubText({ objects, objects_read, last_round_ended_at, damaged, repaired }: Status["scrub"]): string[] {
  const completed = last_round_ended_at ? `; last complete round ended at ${last_round_ended_at.toISOString()}` : "";
  return [
    ...(objects === undefined
      ? []
      : [`Scrub: ${objects_read} of ${countText(objects, "object")} of this round read${completed}.`]),
    ...(damaged === 0
      ? []
      : [
          `${countText(damaged, "object is", "objects are")} missing or changed, ${repaired} of them repaired: see audit.damages.`,
        ]),
  ];
}

function rereadText({ older_extraction, fuller_object, failing, problems }: Status["rereads"]): string[] {
  if (older_extraction + fuller_object === 0) return [];
  return [
    `${countText(older_extraction, "log was", "logs were")} read by an older version of the extraction, and the job objects of ${fuller_object} have more steps now: loaders read them again; to read them now: actions-archive reindex`,
    ...(failing === 0 ? [] : [`${failing} of them could not be read; most recent:`, formatTable(problems)]),
  ];
}

function coverageRow({ repository, covered_from, covered_until, complete, gaps, polled_at, poll_due_at }: RepositoryCoverage) {
  const missing = Object.entries(gaps).map(([kind, count]) => `${count} ${kind}`);
  return {
    repository,
    covered_from,
    covered_until,
    complete: complete ? "yes" : `no: ${missing.join(", ")}`,
    last_poll: polled_at,
    next_poll: poll_due_at,
  };
}
