// `backfill`: archives the history of repositories, and its steps `list`, `show`, `pause`, `resume`, `cancel`.

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

export function addBackfill(program: Command, context: CommandContext): void {
  const backfill = addAscription(program.command("backfill"))
    .description("archive the history of repositories, by the creation of their runs; and steer that")
    .argument("[repository...]", "owner/name, owner/*, !owner/private-*")
    .option("--since <date|days>", "runs created from here on; default: as far back as GitHub keeps logs", parseTime)
    .option("--until <date|days>", "runs created before; default: now", parseTime)
    .option("--dry-run", "tell runs, API calls and hours, and begin nothing")
    .option("--wait", "wait until it is over; where no fetcher runs, do the work here")
    .option("--max-wait <seconds>", "with --wait: for how long nothing may move, limits of GitHub's aside", parseSeconds, 600)
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive backfill my-org/app --since 2026-06-01 --dry-run\n  actions-archive backfill 'my-org/*' '!my-org/private-*' --since 30\n  actions-archive backfill my-org/app --wait\n  actions-archive backfill show 3\n\nThe workers take it up at once where they run; else the next start does. It survives their end, and goes on where it was.\nExit codes of --wait: 0 complete, 3 something failed, is pending or not covered.",
    )
    .action((names: string[], options: BackfillOptions) => beginBackfill(context, names, options));
  addReaders(backfill, context);
  for (const step of ["pause", "resume", "cancel"] as const) addStep(backfill, context, step);
}

async function beginBackfill(context: CommandContext, names: readonly string[], options: BackfillOptions): Promise<void> {
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
  if (!options.wait) return tellBegun(context, { id, prepared, fetcher, json: options.json });
  if (!options.json) print(context, `\nBackfill ${id} has begun.`);
  using progress = openProgress(context.stderr);
  const waiting = { config, fetcher, log, stopping, resources, maxWaitSeconds: options.maxWait, onProgress: progress.show };
  const report = await awaitBackfill(id, waiting);
  await tellEnd(context, { report, gaps: await listBackfillGaps(fetcher.db, id, maxGaps), json: options.json });
}

function planDocument({ since, until, plan }: PreparedBackfill) {
  return { since, until, ...plan };
}

function rowOf({ id, full_name, private: isPrivate, estimatedRuns }: PreparedBackfill["repositories"][number]) {
  return { repository_id: id, full_name, is_private: isPrivate ?? null, estimated_runs: estimatedRuns };
}

type Begun = { id: number; prepared: PreparedBackfill; fetcher: Fetcher; json: true | undefined };

async function tellBegun(context: CommandContext, { id, prepared, fetcher, json }: Begun): Promise<void> {
  const isWorked = await isFetcherConnected(fetcher.db, fetcherName);
  if (json) return printJson(context, { backfill_id: id, fetcher_connected: isWorked, plan: planDocument(prepared) });
  const next = isWorked ? "The workers carry it out" : "No fetcher runs now: `actions-archive start` carries it out";
  print(context, `\nBackfill ${id} has begun. ${next}; \`actions-archive backfill show ${id}\` tells how far it is.`);
}

type End = { report: BackfillReport; gaps: readonly Gap[]; json: true | undefined };

async function tellEnd(context: CommandContext, { report, gaps, json }: End): Promise<void> {
  const owed = gaps.filter(isOwed);
  const isComplete = report.backfill.state === "done" && owed.length === 0;
  process.exitCode = isComplete ? 0 : exitIncomplete;
  if (json) return printJson(context, { complete: isComplete, ...report, owed, not_owed: gaps.filter((gap) => !isOwed(gap)) });
  print(context, `\n${formatBackfill(report)}`);
  if (owed.length > 0)
    print(
      context,
      `\nWhat is owed${owed.length > maxPrintedChars ? ` (${maxPrintedChars} of ${owed.length}${owed.length === maxGaps ? " or more" : ""}; actions-archive gaps lists more)` : ""}:\n${formatTable(owed.slice(0, maxPrintedChars).map(describeGap))}`,
    );
  print(context, isComplete ? "Complete." : "Not complete.");
}

function addReaders(backfill: Command, context: CommandContext): void {
  backfill
    .command("list")
    .description("all backfills, the newest first")
    .option("--json", "one JSON document")
    .action(async (_options: unknown, command: Command) => {
      await withLedger(context, {}, async (db) => {
        const backfills = await listBackfills(db);
        if (isJson(command)) return printJson(context, { backfills });
        if (backfills.length === 0) return print(context, "No backfill was ever begun.");
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
    .description("how far one has come: logs, rate, time left, budget")
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
    pause: "nothing more of it is asked of GitHub, until it is resumed",
    resume: "goes on where it was paused",
    cancel: "looks for nothing more; what it has found is archived all the same",
  }[step];
  addAscription(backfill.command(step))
    .description(what)
    .argument("<id>", "its number", parseId)
    .option("--json", "one JSON document")
    .action(async (id: number, _options: unknown, command: Command) => {
      // As --json: the parent command takes them wherever they stand.
      const ascription = ascriptionOf(command.optsWithGlobals<AscriptionOptions>());
      await withLedger(context, { writes: true }, async (db) => {
        const state = await changeBackfillState(db, id, step, ascription);
        if (state === undefined) throw unknownBackfill(id);
        if (state !== stateAfter[step])
          throw new PermanentError("usage/invalid", `Backfill ${id} is ${state}: it cannot be ${stateAfter[step]} any more`);
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

/** The parent command has --json too, and takes it wherever it stands. */
function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ json?: true }>().json === true;
}

/** @throws PermanentError when no repository is named, or an entry is of another form. */
function parsePatterns(names: readonly string[]): RepositoryPatterns {
  if (names.every((name) => name.startsWith("!")))
    throw new PermanentError(
      "usage/invalid",
      "Name a repository (owner/name) or an owner (owner/*); --help shows how it is used",
    );
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
