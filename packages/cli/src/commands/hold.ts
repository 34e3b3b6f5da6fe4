// `hold`: sets, releases and lists legal holds on logs.

import { PermanentError } from "@actions-archive/core/errors";
import { type HeldJob, holdJobs, listHolds } from "@actions-archive/database/retention/holds";
import type { Command } from "commander";

import { addAscription, ascriptionOf, type AscriptionOptions } from "../ascription.ts";
import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { formatTable } from "../format-table.ts";
import { parseJobId } from "../parse-job-id.ts";

type HoldOptions = AscriptionOptions & { release?: true; json?: true };

const examples = `
Examples:
  actions-archive hold
  actions-archive hold 399444496 399444497 --reason "matter 2026-114"
  actions-archive hold --release 399444496 --reason "matter 2026-114 is closed"
  actions-archive sql "select job_id from audit.jobs where run_id = 26365060973" --json | jq ".[].job_id" | xargs actions-archive hold

A log on hold is not removed, neither by a policy of retention nor by erase. Holding a job that is a copy of an earlier one keeps the
log of that one. Holds and releases are sealed, with who did it and why; audit.holds shows all of them.`;

export function addHold(program: Command, context: CommandContext): void {
  addAscription(program.command("hold"))
    .argument("[job-id...]", "GitHub's ids of jobs", (text: string, ids: number[]) => [...ids, parseJobId(text)], [])
    .option("--release", "release these jobs again")
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async (jobIds: number[], { release, json, ...ascribed }: HoldOptions) => {
      if (jobIds.length === 0 && (release || ascribed.reason !== undefined || ascribed.by !== undefined))
        throw new PermanentError("usage/invalid", "Name the jobs: actions-archive hold JOB_ID…; see --help");
      const { by, reason = null } = ascriptionOf(ascribed);
      await using resources = new AsyncDisposableStack();
      const { db } = await attachLedger(context, { command: "hold", resources, writes: jobIds.length > 0 });
      if (jobIds.length === 0) {
        const holds = await listHolds(db);
        if (json) return printJson(context, { holds });
        return print(context, holds.length === 0 ? "Nothing is on hold." : formatTable(holds));
      }
      const jobs = await holdJobs(db, { jobIds, isHeld: !release, reason, by });
      if (json) return printJson(context, { jobs });
      print(context, formatResult(jobs, release === true));
    });
}

function formatResult(jobs: readonly HeldJob[], isReleased: boolean): string {
  const changed = jobs.filter(({ is_changed }) => is_changed);
  const done = isReleased ? "released" : "on hold";
  const unchanged = jobs.length - changed.length;
  const before = unchanged === 0 ? "" : ` ${unchanged} ${unchanged === 1 ? "was" : "were"} before.`;
  const removed = jobs.filter(({ log_reason }) => log_reason === "removed").map(({ job_id }) => job_id);
  const late =
    removed.length === 0 || isReleased
      ? ""
      : `\nToo late for ${removed.join(", ")}: the log is decided to be removed. While it is on hold, what is left of it in the store stays there: audit.tombstones shows it.`;
  const next =
    isReleased && changed.length > 0
      ? "\nWhat a policy or a tombstone removes goes at the loader's next turn; until then `hold` takes this back. actions-archive retention plan shows the policies' part."
      : "";
  const none = jobs.filter(
    ({ log_state, log_reason }) => log_state !== "archived" && log_reason !== "removed" && log_reason !== "copied",
  );
  const empty =
    none.length === 0 || isReleased
      ? ""
      : `\nNo log is archived of ${none.map(({ job_id, log_state, log_reason }) => `${job_id} (${[log_state, log_reason].filter(Boolean).join(": ")})`).join(", ")}.`;
  return `${changed.length} ${changed.length === 1 ? "job is" : "jobs are"} ${done} now.${before}\n\n${formatTable(
    jobs.map(({ is_held: _held, is_changed: _changed, ...job }) => job),
  )}${late}${empty}${next}`;
}
