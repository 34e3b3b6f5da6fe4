// `retention`: how long logs are kept, by owner or by repository, and what goes by that.

import { PermanentError } from "@actions-archive/core/errors";
import type { Database } from "@actions-archive/database/connection/open-database";
import { countRemovals, type RemovalCounts } from "@actions-archive/database/retention/removals";
import {
  changePolicy,
  listPolicies,
  type PlannedRemoval,
  planRemovals,
  type Policy,
  type PolicyChange,
} from "@actions-archive/database/retention/retention";
import { type Command, InvalidArgumentError } from "commander";

import { addAscription, ascriptionOf, type AscriptionOptions } from "../ascription.ts";
import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { formatBytes } from "../demo/format-bytes.ts";
import type { EngineConfig } from "../engine-config.ts";
import { formatTable } from "../format-table.ts";
import { parseCount } from "../parse-option.ts";

type ChangeOptions = AscriptionOptions & { keepDays?: number; dryRun?: true; yes?: true };

const maxPrintedChars = 50;

const examples = `
Examples:
  actions-archive retention
  actions-archive retention plan
  actions-archive retention set my-org --keep-days 400
  actions-archive retention set my-org/sandbox --keep-days 30 --dry-run
  actions-archive retention remove my-org/sandbox

Without a policy, logs are kept for ever. A repository's own policy goes before its owner's, by the current name; a new name counts after
a week. Days count from a job's end. What goes: the log object. What stays: the job, its steps, its record. What is on hold stays.`;

export function addRetention(program: Command, context: CommandContext): void {
  const retention = program
    .command("retention")
    .description("how long logs are kept, by owner or repository; without a subcommand, list the policies")
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async (_options: unknown, command: Command) => list(context, command));
  retention
    .command("list")
    .description("the policies in force, and how far removals are")
    .option("--json", "one JSON document")
    .action(async (_options: unknown, command: Command) => list(context, command));
  retention
    .command("plan")
    .description("what the policies in force would remove now, repository by repository; changes nothing")
    .option("--json", "one JSON document")
    .action(async (_options: unknown, command: Command) => {
      await withLedger(context, {}, async (db) => {
        const plan = await planRemovals(db);
        if (isJson(command)) return printJson(context, planDocument(plan));
        print(context, formatPlan(plan));
      });
    });
  addChange(retention, context, {
    name: "set",
    description: "keep logs for so many days; what is older goes at the loader's next turns",
    hasDays: true,
  });
  addChange(retention, context, {
    name: "remove",
    description: "take a policy away: its owner's holds then, or none",
    hasDays: false,
  });
}

type ChangeCommand = { readonly name: string; readonly description: string; readonly hasDays: boolean };

function addChange(retention: Command, context: CommandContext, { name, description, hasDays }: ChangeCommand): void {
  const command = addAscription(retention.command(name))
    .description(description)
    .argument("<name>", "owner or owner/name", parseName);
  if (hasDays) command.requiredOption("--keep-days <days>", "after a job's end", parseDays);
  command
    .option("--dry-run", "say what would go at once, and change nothing")
    .option("--yes", "go on where logs would go at once")
    .option("--json", "one JSON document")
    .action(async (policyName: string, { keepDays, dryRun, yes, ...ascribed }: ChangeOptions, self: Command) => {
      const ascription = ascriptionOf(ascribed);
      const change = { name: policyName, keepDays: keepDays ?? null };
      await withLedger(context, { writes: true }, async (db, config) => {
        const policies = await listPolicies(db);
        if (!hasDays && !policies.some((policy) => policy.name === policyName))
          throw new PermanentError("usage/invalid", `There is no policy ${policyName}: actions-archive retention lists them`);
        const plan = await planRemovals(db, change);
        const more = logsOf(plan) - logsOf(await planRemovals(db));
        const isRefused = more > 0 && !yes && !dryRun;
        const isChanged = !dryRun && !isRefused && (await changePolicy(db, change, ascription));
        if (isJson(self))
          printJson(context, {
            name: policyName,
            keep_days: change.keepDays,
            changed: isChanged,
            dry_run: dryRun === true,
            ...planDocument(plan),
          });
        else print(context, [formatPlan(plan), ...notes(change, { plan, config, isChanged, dryRun })].join("\n"));
        if (isRefused)
          throw new PermanentError(
            "usage/invalid",
            `With this, ${more} more ${more === 1 ? "log goes" : "logs go"} for good at the loader's next turns. Nothing was changed; repeat it with --yes`,
          );
      });
    });
}

type ChangeNotes = {
  readonly plan: readonly PlannedRemoval[];
  readonly config: EngineConfig;
  readonly isChanged: boolean;
  readonly dryRun: true | undefined;
};

function notes({ name, keepDays }: PolicyChange, { plan, config, isChanged, dryRun }: ChangeNotes): string[] {
  const lockDays = config.S3_OBJECT_LOCK_DAYS;
  const isGoverning = plan.some(({ policy }) => policy === name);
  const what = keepDays === null ? `${name} has no policy of its own` : `${name} keeps logs for ${keepDays} days`;
  return [
    ...(isChanged ? [`\n${what} now. What is too old goes at the loader's next turns.`] : []),
    ...(!isChanged && dryRun ? ["\nNothing was changed: --dry-run."] : []),
    ...(keepDays !== null && !isGoverning
      ? [`No repository is governed by it now: none has this name, or each has a policy of its own.`]
      : []),
    ...(keepDays !== null && lockDays !== undefined && lockDays > keepDays
      ? [`S3_OBJECT_LOCK_DAYS is ${lockDays}: the store keeps each log until its lock ends. Its row says removed before.`]
      : []),
  ];
}

async function list(context: CommandContext, command: Command): Promise<void> {
  await withLedger(context, {}, async (db) => {
    const policies = await listPolicies(db);
    const removals = await countRemovals(db);
    if (isJson(command)) return printJson(context, { policies, removals });
    print(context, `${formatPolicies(policies)}\n\n${formatRemovals(removals)}`);
  });
}

function formatPolicies(policies: readonly Policy[]): string {
  return policies.length === 0 ? "No policy: every log is kept for ever." : formatTable(policies);
}

function formatRemovals({ removed, waiting_for_seal, waiting_for_removal, retained, refused }: RemovalCounts): string {
  const waiting = [
    [waiting_for_seal, "wait for a seal"],
    [waiting_for_removal, "wait for the loader, or are on hold"],
    [retained, "are retained by the store's lock"],
    [refused, "could not be removed: audit.tombstones.problem says why"],
  ] as const;
  const parts = waiting.flatMap(([logs, what]) => (logs > 0 ? [`${logs} ${what}`] : []));
  return `Logs removed until now: ${removed}${parts.length > 0 ? `; ${parts.join("; ")}` : ""}.`;
}

const logsOf = (plan: readonly PlannedRemoval[]): number => plan.reduce((sum, { logs }) => sum + logs, 0);

function planDocument(plan: readonly PlannedRemoval[]) {
  const sum = (key: "bytes" | "held" | "unsealed") => plan.reduce((total, row) => total + row[key], 0);
  return { logs: logsOf(plan), bytes: sum("bytes"), held: sum("held"), unsealed: sum("unsealed"), repositories: plan };
}

function formatPlan(plan: readonly PlannedRemoval[]): string {
  const affected = plan.filter(({ logs, held, unsealed }) => logs + held + unsealed > 0);
  const { logs, bytes } = planDocument(plan);
  const of = `${affected.length} of the ${plan.length} repositories that a policy governs`;
  if (affected.length === 0) return `No log is older than its policy allows (${plan.length} repositories have one).`;
  const rows = affected
    .slice(0, maxPrintedChars)
    .map(({ repository_id: _id, bytes: size, ...row }) => ({ ...row, size: formatBytes(size) }));
  const more = affected.length > maxPrintedChars ? `\n… and ${affected.length - maxPrintedChars} more; --json lists all.` : "";
  return `${logs} ${logs === 1 ? "log goes" : "logs go"} now, ${formatBytes(bytes)}, in ${of}; held ones stay, unsealed ones wait for a seal:\n\n${formatTable(rows)}${more}`;
}

async function withLedger(
  context: CommandContext,
  { writes = false }: { readonly writes?: boolean },
  use: (db: Database, config: EngineConfig) => Promise<void>,
): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { db, config } = await attachLedger(context, { command: "retention", resources, writes });
  await use(db, config);
}

/** The parent command has --json too, and takes it wherever it stands. */
function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ json?: true }>().json === true;
}

/** @throws InvalidArgumentError when it can be no owner's and no repository's name. */
function parseName(text: string): string {
  if (!/^[a-z\d](?:[a-z\d_-]*)(?:\/[\w.-]{1,100})?$/i.test(text)) throw new InvalidArgumentError("must be owner or owner/name");
  return text.toLowerCase();
}

/** @throws InvalidArgumentError when it is no whole number from 1 to 36500. */
function parseDays(text: string): number {
  const days = parseCount(text);
  if (days > 36_500) throw new InvalidArgumentError("must be 36500 at most; without a policy, logs are kept for ever");
  return days;
}
