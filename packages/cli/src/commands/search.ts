// `search PATTERN`: searches archived logs.

import { openStore } from "@actions-archive/archive/open-store";
import { PermanentError } from "@actions-archive/core/errors";
import { hasRepository, measureSearch, type SearchChoice } from "@actions-archive/database/audit/search-jobs";
import { type Command, Option } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, exitIncomplete, stopOnSignal } from "../command-context.ts";
import { formatBytes } from "../demo/format-bytes.ts";
import { parseCount, parseInstant } from "../parse-option.ts";
import { openProgress } from "../progress.ts";
import { compilePattern, type LineMatcher } from "../search/line-matcher.ts";
import { listJobs, searchArchive, type SearchTotals } from "../search/search-archive.ts";
import { openJsonOutput, openTextOutput, type SearchOutput } from "../search/search-output.ts";

type SearchOptions = SearchChoice & { fixed?: true; ignoreCase?: true; maxMatches?: number; json?: true };

/** https://docs.github.com/rest/actions/workflow-jobs, "conclusion" of a job. */
const conclusions = ["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"];

const exitNothingFound = 1;

const examples = `
Examples:
  actions-archive search --fixed AKIAIOSFODNN7EXAMPLE
  actions-archive search 'npm (ERR!|error) code E[A-Z]+' --repository my-org/app --since 30 --conclusion failure
  actions-archive search --json 'tj-actions/changed-files@' --until 2025-03-16 | jq 'select(.kind == "unread")'

PATTERN is a regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax), compared with the text of one line
at a time, without the time before it and the byte order mark that the runner may put there. Its search time grows with the text alone;
look-around and back-references are refused.
A line of over 4 MiB is searched in pieces that overlap by 64 KiB; if a longer match could be missed, the line is reported.

Ends with 0 when something was found and all was read, 1 when nothing was found and all was read, 3 when something could not be
read: a log that is pending, failed, lost or damaged may hold a match.`;

export function addSearch(program: Command, context: CommandContext): void {
  program
    .command("search")
    .argument("<pattern>", "the pattern to find in each line")
    .option("--fixed", "take the pattern as literal text")
    .option("--ignore-case", "ignore case")
    .option("--repository <owner/name>", "only this repository")
    .option("--workflow <name>", "only jobs of workflows of this name")
    .option("--since <date>", "jobs that completed since: a date, or days before now", parseInstant)
    .option("--until <date>", "jobs that completed before: a date, or days before now", parseInstant)
    .addOption(new Option("--conclusion <conclusion>", "only jobs with this conclusion").choices(conclusions))
    .option("--max-matches <number>", "end after this many matches", parseCount)
    .option("--json", "one object a line: matches, logs that could not be read, and a summary at the end")
    .addHelpText("after", examples)
    .action(async (pattern: string, options: SearchOptions) => {
      // The pattern is compiled first, so that a wrong one does not start an engine.
      const matcher = compilePattern(pattern, options);
      const output = options.json ? openJsonOutput(context) : openTextOutput(context);
      const totals = await search(context, { matcher, output, options });
      await output.end(totals);
      process.exitCode = totals.unread > 0 ? exitIncomplete : totals.matches === 0 ? exitNothingFound : 0;
    });
}

type SearchRequest = { readonly matcher: LineMatcher; readonly output: SearchOutput; readonly options: SearchOptions };

async function search(context: CommandContext, { matcher, output, options }: SearchRequest): Promise<SearchTotals> {
  const { maxMatches, ...choice } = options;
  await using resources = new AsyncDisposableStack();
  const signal = stopOnSignal();
  const { db, config } = await attachLedger(context, { command: "search", resources, uses: ["DATABASE_URL", "ARCHIVE_URL"] });
  const { repository } = choice;
  if (repository !== undefined && !(await hasRepository(db, repository)))
    throw new PermanentError(
      "usage/invalid",
      `No repository ${repository} is known to this archive: actions-archive status lists them`,
    );
  const all = await measureSearch(db, choice);
  const store = resources.use(await openStore(config));
  const progress = openProgress(context.stderr, context.stderr.isTTY && !context.stdout.isTTY);
  const onProgress = ({ logs, bytes, matches }: SearchTotals) =>
    progress.show({
      done: logs,
      total: all.logs,
      unit: "logs",
      details: [`${formatBytes(bytes)} of ${formatBytes(all.bytes)}`, `${matches} matches`],
    });
  try {
    return await searchArchive(store, { jobs: listJobs(db, choice), matcher, maxMatches, signal }, { ...output, onProgress });
  } finally {
    progress[Symbol.dispose]();
  }
}
