// `retention`: policies that remove logs after some days, by owner or repository.

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
import { countText } from "../count-text.ts";
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

Without a policy, logs are kept indefinitely. A repository's policy takes precedence over its owner's, by the current name; a new name
counts after a week. Days count from a job's end. The log object is removed; the job, its steps and its record stay. Held logs stay.`;

export function addRetention(program: Command, context: CommandContext): void {
  const retention = program
    .command("retention")
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async (_options: unknown, command: Command) => list(context, command));
  retention
    .command("list")
    .description("list the policies in force, and the progress of removals")
    .option("--json", "one JSON document")
    .action(async (_options: unknown, command: Command) => list(context, command));
  retention
    .command("plan")
    .description("print what the policies in force would remove now, by repository; change nothing")
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
    description: "keep logs for some days; the loader removes older ones at its next runs",
    hasDays: true,
  });
  addChange(retention, context, {
    name: "remove",
    description: "remove a policy; the owner's applies then, or none",
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
    .option("--dry-run", "print what would be removed at once, and change nothing")
    .option("--yes", "confirm that logs are removed at once")
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
        else print(context, [formatPlan(plan), ...notes(change, { policies, plan, config, isChanged, dryRun })].join("\n"));
        if (isRefused)
          throw new PermanentError(
            "usage/invalid",
            `This change removes ${countText(more, "more log", "more logs")} permanently at the loader's next runs. Nothing was changed; repeat it with --yes`,
          );
      });
    });
}

const ownerOf = (name: string): string => name.split("/")[0] ?? name;

type ChangeNotes = {
  /** In force before the change. */
  readonly policies: readonly Policy[];
  readonly plan: readonly PlannedRemoval[];
  readonly config: EngineConfig;
  readonly isChanged: boolean;
  readonly dryRun: true | undefined;
};

function notes({ name, keepDays }: PolicyChange, { policies, plan, config, isChanged, dryRun }: ChangeNotes): string[] {
  const inherited = policies.some((policy) => policy.name === ownerOf(name) && policy.name !== name);
  const lockDays = config.S3_OBJECT_LOCK_DAYS;
  const isGoverning = plan.some(({ policy }) => policy === name);
  const changed =
    keepDays === null
      ? `${name} has no policy; ${inherited ? `the policy of ${ownerOf(name)} applies` : "its logs are kept indefinitely"}.`
      : `${name} keeps logs for ${countText(keepDays, "day")}. Older logs are removed at the loader's next runs.`;
  return [
    ...(isChanged ? [`\n${changed}`] : []),
    ...(!isChanged && dryRun ? ["\nNothing was changed: --dry-run."] : []),
    ...(keepDays !== null && !isGoverning
      ? ["The policy applies to no repository now: none has this name, or each has a policy of its own."]
      : []),
    ...(keepDays !== null && lockDays !== undefined && lockDays > keepDays
      ? [
          `S3_OBJECT_LOCK_DAYS is ${lockDays}: the store keeps each log until its lock ends, although its row is already marked as removed.`,
        ]
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
  return policies.length === 0 ? "No policies: all logs are kept indefinitely." : formatTable(policies);
}

function formatRemovals({ removed, waiting_for_seal, waiting_for_removal, retained, refused }: RemovalCounts): string {
  const waiting = [
    [waiting_for_seal, "waiting for a seal"],
    [waiting_for_removal, "waiting for the loader or on hold"],
    [retained, "retained by the store's lock"],
    [refused, "not removable: see audit.tombstones.problem"],
  ] as const;
  const parts = waiting.flatMap(([logs, what]) => (logs > 0 ? [`${logs} ${what}`] : []));
  return `Logs removed so far: ${removed}${parts.length > 0 ? `; ${parts.join("; ")}` : ""}.`;
}

const logsOf = (plan: readonly PlannedRemoval[]): number => plan.reduce((sum, { logs }) => sum + logs, 0);

function planDocument(plan: readonly PlannedRemoval[]) {
  const sum = (key: "bytes" | "held" | "unsealed") => plan.reduce((total, row) => total + row[key], 0);
  return { logs: logsOf(plan), bytes: sum("bytes"), held: sum("held"), unsealed: sum("unsealed"), repositories: plan };
}

function formatPlan(plan: readonly PlannedRemoval[]): string {
  const affected = plan.filter(({ logs, held, unsealed }) => logs + held + unsealed > 0);
  const { logs, bytes } = planDocument(plan);
  const of = `${affected.length} of the ${countText(plan.length, "repository", "repositories")} with a policy`;
  if (affected.length === 0)
    return `No log is older than its policy allows (${countText(plan.length, "repository has", "repositories have")} one).`;
  const rows = affected
    .slice(0, maxPrintedChars)
    .map(({ repository_id: _id, bytes: size, ...row }) => ({ ...row, size: formatBytes(size) }));
  const more = affected.length > maxPrintedChars ? `\n… and ${affected.length - maxPrintedChars} more; --json lists all.` : "";
  return `${countText(logs, "log is", "logs are")} removed now, ${formatBytes(bytes)}, in ${of}; held logs stay, unsealed logs wait for a seal:\n\n${formatTable(rows)}${more}`;
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

/** The parent command also has --json, and takes it wherever it stands. */
function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ json?: true }>().json === true;
}

/** @throws InvalidArgumentError when it is neither an owner's nor a repository's name. */
function parseName(text: string): string {
  if (!/^[a-z\d](?:[a-z\d_-]*)(?:\/[\w.-]{1,100})?$/i.test(text)) throw new InvalidArgumentError("must be owner or owner/name");
  return text.toLowerCase();
}

/** @throws InvalidArgumentError when it is not a whole number from 1 to 36500. */
function parseDays(text: string): number {
  const days = parseCount(text);
  if (days > 36_500) throw new InvalidArgumentError("must be 36500 at most; without a policy, logs are kept indefinitely");
  return days;
}
