// `backfill`: archives the history of repositories; subcommands `list`, `show`, `pause`, `resume`, `cancel`.

import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { parseSince } from "@actions-archive/core/settings";
import { type Gap, isOwed } from "@actions-archive/database/audit/gaps";
import { isFetcherConnected, listBackfillGaps, listBackfills } from "@actions-archive/database/backfill/backfill-progress";
import { type BackfillStep, createBackfill, changeBackfillState } from "@actions-archive/database/backfill/backfills";
import type { Database } from "@actions-archive/database/connection/open-database";
import { prepareBackfill, type PreparedBackfill } from "@actions-archive/fetcher/backfill/prepare-backfill";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import { parseRepositoryPatterns, type RepositoryPatterns } from "@actions-archive/fetcher/repositories/repository-patterns";
import { fetcherName, openFetcher } from "@actions-archive/fetcher/start-fetcher";
import { type Command, InvalidArgumentError } from "commander";

import { addAscription, ascriptionOf, type AscriptionOptions } from "../ascription.ts";
import { attachLedger } from "../attach-ledger.ts";
import { awaitBackfill } from "../backfill/await-backfill.ts";
import { type BackfillReport, formatBackfill, formatPlan, readBackfill } from "../backfill/backfill-report.ts";
import {
  type CommandContext,
  createCommandLogger,
  exitIncomplete,
  parseSeconds,
  print,
  printJson,
  stopOnSignal,
} from "../command-context.ts";
import { formatTable } from "../format-table.ts";
import { describeGap } from "../gaps/describe-gap.ts";
import { openProgress } from "../progress.ts";
import { loadStartConfig } from "../start-config.ts";
import { openEngineEnvironment, withPlaceholders } from "../with-engines.ts";

type BackfillOptions = AscriptionOptions & {
  since?: Date;
  until?: Date;
  dryRun?: true;
  wait?: true;
  maxWait: number;
  json?: true;
};

const maxPrintedChars = 20;
const maxGaps = 1_000;
const stateAfter: Readonly<Record<BackfillStep, string>> = { pause: "paused", resume: "running", cancel: "cancelled" };
const participles: Readonly<Record<BackfillStep, string>> = { pause: "paused", resume: "resumed", cancel: "cancelled" };

export function addBackfill(program: Command, context: CommandContext): void {
  const backfill = addAscription(program.command("backfill"))
    .argument("[repository...]", "owner/name, owner/*, !owner/private-*")
    .option("--since <date|days>", "runs created at or after; default: as far back as GitHub keeps logs", parseTime)
    .option("--until <date|days>", "runs created before; default: now", parseTime)
    .option("--dry-run", "print runs, API calls and hours, and create no backfill")
    .option("--wait", "wait until it ends; without a running fetcher, this process does the work")
    .option(
      "--max-wait <seconds>",
      "with --wait: how long to wait without progress, apart from GitHub's limits",
      parseSeconds,
      600,
    )
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive backfill my-org/app --since 2026-06-01 --dry-run\n  actions-archive backfill 'my-org/*' '!my-org/private-*' --since 30\n  actions-archive backfill my-org/app --wait\n  actions-archive backfill show 3\n\nRunning workers start it at once; otherwise the next start does. It survives restarts and continues where it stopped.\nExit codes of --wait: 0 complete, 3 something failed, is pending or not covered.",
    )
    .action((names: string[], options: BackfillOptions) => startBackfill(context, names, options));
  addReaders(backfill, context);
  for (const step of ["pause", "resume", "cancel"] as const) addStep(backfill, context, step);
}

async function startBackfill(context: CommandContext, names: readonly string[], options: BackfillOptions): Promise<void> {
  const patterns = parsePatterns(names);
  const ascription = ascriptionOf(options);
  loadStartConfig(withPlaceholders(context.env));
  const stopping = stopOnSignal();
  await using resources = new AsyncDisposableStack();
  const log = createCommandLogger(context);
  const { env } = resources.use(await openEngineEnvironment(context.env, { dir: context.dir, log, mode: "attach" }));
  const config = { ...loadStartConfig(env), PORT: undefined };
  const { fetcher } = await openFetcher(config, { log, resources }, "actions-archive backfill");
  const share = { reservePercent: config.GITHUB_RESERVE_PERCENT, maxPerHour: config.GITHUB_MAX_REQUESTS_PER_HOUR };
  const prepared = await prepareBackfill(fetcher, { patterns, ...options }, { share, signal: stopping });
  if (!options.json) print(context, formatPlan(prepared.plan, prepared));
  if (options.dryRun) {
    if (options.json) printJson(context, planDocument(prepared));
    return;
  }
  const repositories = prepared.repositories.map(rowOf);
  const id = await createBackfill(fetcher.db, { askedFor: names, ...prepared, repositories }, ascription);
  if (!options.wait) return printCreated(context, { id, prepared, fetcher, json: options.json });
  if (!options.json) print(context, `\nBackfill ${id} created.`);
  using progress = openProgress(context.stderr);
  const waiting = { config, fetcher, log, stopping, resources, maxWaitSeconds: options.maxWait, onProgress: progress.show };
  const report = await awaitBackfill(id, waiting);
  await printEnd(context, { report, gaps: await listBackfillGaps(fetcher.db, id, maxGaps), json: options.json });
}

function planDocument({ since, until, plan }: PreparedBackfill) {
  return { since, until, ...plan };
}

function rowOf({ id, full_name, private: isPrivate, estimatedRuns }: PreparedBackfill["repositories"][number]) {
  return { repository_id: id, full_name, is_private: isPrivate ?? null, estimated_runs: estimatedRuns };
}

type Created = { id: number; prepared: PreparedBackfill; fetcher: Fetcher; json: true | undefined };

async function printCreated(context: CommandContext, { id, prepared, fetcher, json }: Created): Promise<void> {
  const isWorked = await isFetcherConnected(fetcher.db, fetcherName);
  if (json) return printJson(context, { backfill_id: id, fetcher_connected: isWorked, plan: planDocument(prepared) });
  const next = isWorked ? "The workers run it" : "No fetcher runs now: `actions-archive start` runs it";
  print(context, `\nBackfill ${id} created. ${next}; \`actions-archive backfill show ${id}\` prints its progress.`);
}

type End = { report: BackfillReport; gaps: readonly Gap[]; json: true | undefined };

async function printEnd(context: CommandContext, { report, gaps, json }: End): Promise<void> {
  const owed = gaps.filter(isOwed);
  const isComplete = report.backfill.state === "done" && owed.length === 0;
  process.exitCode = isComplete ? 0 : exitIncomplete;
  if (json) return printJson(context, { complete: isComplete, ...report, owed, not_owed: gaps.filter((gap) => !isOwed(gap)) });
  print(context, `\n${formatBackfill(report)}`);
  if (owed.length > 0)
    print(
      context,
      `\nStill missing${owed.length > maxPrintedChars ? ` (${maxPrintedChars} of ${owed.length}${owed.length === maxGaps ? " or more" : ""}; actions-archive gaps lists more)` : ""}:\n${formatTable(owed.slice(0, maxPrintedChars).map(describeGap))}`,
    );
  print(context, isComplete ? "Complete." : "Not complete.");
}

function addReaders(backfill: Command, context: CommandContext): void {
  backfill
    .command("list")
    .description("list all backfills, newest first")
    .option("--json", "one JSON document")
    .action(async (_options: unknown, command: Command) => {
      await withLedger(context, {}, async (db) => {
        const backfills = await listBackfills(db);
        if (isJson(command)) return printJson(context, { backfills });
        if (backfills.length === 0) return print(context, "There are no backfills.");
        print(
          context,
          formatTable(
            backfills.map(({ backfill_id, asked_for, ...rest }) => ({
              id: backfill_id,
              asked_for: asked_for.join(" "),
              ...rest,
            })),
          ),
        );
      });
    });
  backfill
    .command("show")
    .description("print its progress: logs, rate, time left, budget")
    .argument("<id>", "its number", parseId)
    .option("--json", "one JSON document")
    .action(async (id: number, _options: unknown, command: Command) => {
      await withLedger(context, {}, async (db) => {
        const report = await readBackfill(db, id);
        if (report === undefined) throw unknownBackfill(id);
        if (isJson(command)) printJson(context, report);
        else print(context, formatBackfill(report));
      });
    });
}

function addStep(backfill: Command, context: CommandContext, step: BackfillStep): void {
  const what = {
    pause: "send no further requests to GitHub until it is resumed",
    resume: "continue where it was paused",
    cancel: "stop listing; logs found so far are still archived",
  }[step];
  addAscription(backfill.command(step))
    .description(what)
    .argument("<id>", "its number", parseId)
    .option("--json", "one JSON document")
    .action(async (id: number, _options: unknown, command: Command) => {
      // Like --json, the parent command takes these options wherever they stand.
      const ascription = ascriptionOf(command.optsWithGlobals<AscriptionOptions>());
      await withLedger(context, { writes: true }, async (db) => {
        const state = await changeBackfillState(db, id, step, ascription);
        if (state === undefined) throw unknownBackfill(id);
        if (state !== stateAfter[step])
          throw new PermanentError("usage/invalid", `Backfill ${id} is ${state} and cannot be ${participles[step]}.`);
        if (isJson(command)) printJson(context, { backfill_id: id, state });
        else print(context, `Backfill ${id} is ${state}.`);
      });
    });
}

async function withLedger(
  context: CommandContext,
  { writes = false }: { readonly writes?: boolean },
  use: (db: Database) => Promise<void>,
): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const { db } = await attachLedger(context, { command: "backfill", resources, writes });
  await use(db);
}

/** The parent command also has --json, and takes it wherever it stands. */
function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ json?: true }>().json === true;
}

/** @throws PermanentError when no repository is named, or an entry is invalid. */
function parsePatterns(names: readonly string[]): RepositoryPatterns {
  if (names.every((name) => name.startsWith("!")))
    throw new PermanentError("usage/invalid", "Name a repository (owner/name) or an owner (owner/*); see --help");
  try {
    return parseRepositoryPatterns(names.join(","), "backfill");
  } catch (error) {
    throw new PermanentError("usage/invalid", errorMessage(error), { cause: error });
  }
}

function parseTime(text: string): Date {
  const date = parseSince(text);
  if (date === undefined) throw new InvalidArgumentError("must be a date such as 2026-01-31, or a number of days ago");
  return date;
}

function parseId(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError("must be a backfill's number; `backfill list` shows them");
  return Number(text);
}

function unknownBackfill(id: number): PermanentError {
  return new PermanentError("usage/invalid", `There is no backfill ${id}; \`actions-archive backfill list\` shows them all`);
}
