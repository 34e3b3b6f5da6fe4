// `erase JOB_ID`: removes an archived log permanently.

import { PermanentError } from "@actions-archive/core/errors";
import {
  type ErasedObject,
  type Erasure,
  eraseLog,
  type ErasurePlan,
  planErasure,
} from "@actions-archive/database/retention/erase-log";
import type { Command } from "commander";

import { addBy } from "../ascription.ts";
import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { confirm } from "../confirm.ts";
import { formatBytes } from "../demo/format-bytes.ts";
import { formatTime } from "../format-table.ts";
import { parseJobId } from "../parse-job-id.ts";

type EraseOptions = { reason: string; by?: string; dryRun?: true; yes?: true; json?: true };

const maxReasonLength = 500;

const examples = `
Examples:
  actions-archive erase 399444496 --reason "prints the deploy key, ticket SEC-123" --dry-run
  actions-archive erase 399444496 --reason "prints the deploy key, ticket SEC-123"
  actions-archive erase 399444496 --reason "prints the deploy key, ticket SEC-123" --yes

It prints what will be removed and prompts on a terminal; without one it needs --yes.

What happens: the job's row says absent, removed, at once. Its tombstone goes into the next seal (actions-archive seal makes one now),
and once that is in the store, the loader removes the log object. Only what is sealed and not on hold can be erased. The reason and
who erased it (--by, else your login) are sealed and cannot be taken back: write no secret and no name into the reason.

What it cannot take back: the job's record stays in the store as evidence, and quotes lines of the log (annotations, titles of groups);
so do copies, versions and backups of the bucket and of the database. A log that Object Lock retains goes when the lock ends.
Replace a secret that was printed, whatever you erase.`;

export function addErase(program: Command, context: CommandContext): void {
  addBy(program.command("erase"))
    .argument("<job-id>", "GitHub's id of the job", parseJobId)
    .requiredOption("--reason <text>", "why, for the auditor; it is sealed")
    .option("--dry-run", "print what would be removed, and change nothing")
    .option("--yes", "skip the confirmation")
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async (jobId: number, { reason, by, dryRun, yes, json }: EraseOptions) => {
      const why = reason.trim();
      if (why === "" || why.length > maxReasonLength)
        throw new PermanentError("usage/invalid", `--reason must say why, in ${maxReasonLength} characters at most`);
      await using resources = new AsyncDisposableStack();
      const { db } = await attachLedger(context, { command: "erase", resources, writes: true });
      const plan = await planErasure(db, jobId);
      if (plan !== undefined) {
        if (dryRun && json) return printJson(context, { dry_run: true, ...plan });
        if (!json) print(context, formatPlan(plan));
        if (dryRun) return print(context, "\nNothing was changed: --dry-run.");
        if (!yes) await confirm(context, `The log of job ${jobId} will be removed permanently.`);
      }
      const erasure = await eraseLog(db, jobId, why, by);
      if (json) return printJson(context, { dry_run: dryRun === true, ...erasure });
      print(context, `${plan === undefined ? "" : "\n"}${formatErasure(erasure)}`);
    });
}

function formatPlan(plan: ErasurePlan): string {
  const { job_id, repository, run_id, run_attempt, workflow_name, job_name, objects, annotations, record_key } = plan;
  const size = objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  return [
    `Job ${job_id}: ${job_name ?? "without a name"}, of ${workflow_name ?? "a workflow without a name"}`,
    `Run ${run_id}, attempt ${run_attempt}, in ${repository ?? "a repository whose name is not known"}`,
    "",
    `What goes: ${objects.length} ${objects.length === 1 ? "object" : "objects"}, ${formatBytes(size)} stored`,
    ...objects.map(
      ({ object_key, size_bytes, sealed_in }) => `- ${object_key} (${formatBytes(size_bytes)}), held by seal ${sealed_in}`,
    ),
    `- of the rows: the log's key, size, hashes and times, and ${annotations} ${annotations === 1 ? "annotation" : "annotations"}`,
    `What stays: the job, its steps, and its record ${record_key}`,
  ].join("\n");
}

function formatErasure(erasure: Erasure): string {
  const { job_id, is_new, objects, annotations, record_key, same_text, copies } = erasure;
  const head = is_new
    ? `The log of job ${job_id} is removed: its row says so now.`
    : `The log of job ${job_id} was removed before: ${objects[0]?.cause === "retention" ? "by a policy of retention" : "erased"} at ${formatTime(objects[0]?.decided_at ?? new Date())} (${objects[0]?.reason ?? ""}). Nothing was changed.`;
  const quoted =
    annotations === 0
      ? `The record ${record_key} stays, as evidence. It may quote titles of the log's groups.`
      : `The record ${record_key} stays, as evidence, and quotes ${annotations} ${annotations === 1 ? "line" : "lines"} of the log (annotations) and titles of its groups. They are gone from the database alone.`;
  const others = [
    ...(copies.length > 0 ? [`Copies, which have no log of their own: jobs ${copies.join(", ")}.`] : []),
    ...(same_text.length > 0
      ? [
          `The same text stands in the logs of ${same_text.length === 100 ? "at least these" : "these"} jobs, erase them too: ${same_text.join(", ")}.`,
        ]
      : []),
  ];
  const stays = is_new
    ? ["", "What stays:", `- ${quoted}`, "- Copies, versions and backups of the bucket and of the database, until they go."]
    : [];
  return [head, ...objects.map(formatObject), ...(others.length > 0 ? ["", ...others] : []), ...stays].join("\n");
}

function formatObject({ object_key, size_bytes, sealed_in, removed_at, retained_until, problem }: ErasedObject): string {
  return `- ${object_key} (${formatBytes(size_bytes)}): ${removalState()}`;

  function removalState(): string {
    if (removed_at !== null) return `gone since ${formatTime(removed_at)}`;
    if (sealed_in === null) return "waits for a seal, then the loader removes it (actions-archive seal makes one now)";
    if (retained_until !== null) return `the store retains it until ${formatTime(retained_until)}; it goes then`;
    if (problem !== null) return `still there: ${problem}`;
    return `its tombstone is in seal ${sealed_in}; the loader removes it next`;
  }
}
