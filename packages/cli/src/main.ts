// The command-line program: `npx pnpm actions-archive COMMAND`. Output goes to stdout, logs go to stderr.

import { errorMessage } from "@actions-archive/core/error-message";
import { ActionsArchiveError } from "@actions-archive/core/errors";
import { loadEnvFile } from "@actions-archive/core/load-env-file";
import { Command, CommanderError } from "commander";

import cliPackage from "../package.json" with { type: "json" };
import { defaultDemoDir, defaultDir, exitCodeOfCommand } from "./command-context.ts";
import { addBackfill } from "./commands/backfill.ts";
import { addDemo } from "./commands/demo.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addErase } from "./commands/erase.ts";
import { addExportCase } from "./commands/export-case.ts";
import { addGaps } from "./commands/gaps.ts";
import { addHold } from "./commands/hold.ts";
import { addJobs } from "./commands/jobs.ts";
import { addLogs } from "./commands/logs.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addProof } from "./commands/proof.ts";
import { addRebuild } from "./commands/rebuild.ts";
import { addReindex } from "./commands/reindex.ts";
import { addReport } from "./commands/report.ts";
import { addRetention } from "./commands/retention.ts";
import { addRetry } from "./commands/retry.ts";
import { addSeal } from "./commands/seal.ts";
import { addSearch } from "./commands/search.ts";
import { addSql } from "./commands/sql.ts";
import { addStart } from "./commands/start.ts";
import { addStatus } from "./commands/status.ts";
import { addVerify } from "./commands/verify.ts";
import { showLines } from "./terminal-safe.ts";

const { stdin, stdout, stderr } = process;
const context = { env: process.env, stdin, stdout, stderr, dir: defaultDir };

const program = new Command("actions-archive")
  .description("The system of record for GitHub Actions logs: finds every completed job, archives its log, answers in SQL.")
  .addHelpText(
    "after",
    "\nSettings are environment variables; .env.example lists them. Without URLs the engines are embedded under .actions-archive/.",
  )
  .version(cliPackage.version, "--version", "print the version")
  .showHelpAfterError("(see --help)");

for (const add of [
  addStart,
  addDemo,
  addMigrate,
  addBackfill,
  addStatus,
  addGaps,
  addDoctor,
  addJobs,
  addRetry,
  addLogs,
  addSearch,
  addReport,
  addSql,
  addSeal,
  addVerify,
  addProof,
  addExportCase,
  addHold,
  addRetention,
  addErase,
  addRebuild,
  addReindex,
])
  add(program, context);
const commands = [...program.commands, ...program.commands.flatMap((each) => each.commands)];
for (const command of commands.filter((each) => each.commands.length === 0 || each.name() === "report"))
  command.option("--dir <dir>", `the folder of embedded engines and archive (${dirOf(command)})`);
program.hook("preAction", (_program, command) => {
  context.dir = command.opts<{ dir?: string }>().dir ?? dirOf(command);
});
// Subcommands do not inherit their parent's overrides. Commander's errors repeat the user's input, so they are made safe for a
// terminal.
for (const command of [program, ...commands])
  command.exitOverride().configureOutput({ writeErr: (text) => process.stderr.write(showLines(text)) });

// A closed pipe (`… | head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  loadEnvFile();
  await program.parseAsync();
} catch (error) {
  if (!isClosedPipe(error)) {
    process.exitCode = exitCodeOfCommand(error);
    // Commander has printed its own errors; the project's errors are explained, and unexpected ones shown with their stack.
    if (!(error instanceof CommanderError)) process.stderr.write(showLines(`${explain(error)}\n`));
  }
}

function dirOf(command: Command): string {
  return command.name() === "demo" ? defaultDemoDir : defaultDir;
}

function explain(error: unknown): string {
  const isPlain = error instanceof ActionsArchiveError || !(error instanceof Error) || error.name === "AbortError";
  return isPlain ? errorMessage(error) : (error.stack ?? error.message);
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}
