// The operator's program: `npx pnpm actions-archive COMMAND`. Commands print to stdout, what they log goes to stderr; exit
// codes are the contract's.
import { Command, CommanderError } from "commander";

import { ConfigError } from "@actions-archive/core/errors";

import { addDemo } from "./commands/demo.ts";
import { addLogs } from "./commands/logs.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addSql } from "./commands/sql.ts";
import { addStart } from "./commands/start.ts";
import { addStatus } from "./commands/status.ts";
import { type CommandContext, exitCodeOfCommand } from "./command-context.ts";

const context: CommandContext = { env: process.env, stdout: process.stdout, stderr: process.stderr };

const program = new Command("actions-archive")
  .description("The system of record for GitHub Actions logs: finds every completed job, archives its log, answers in SQL.")
  .addHelpText("after", "\nSettings are environment variables; .env.example lists them. Without URLs the engines are embedded under .actions-archive/.")
  .showHelpAfterError("(--help shows how it is used)")
  .exitOverride();

for (const add of [addStart, addDemo, addMigrate, addStatus, addLogs, addSql]) add(program, context);
// Subcommands do not inherit what their parent overrides.
for (const command of program.commands) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOfCommand(error);
  // Commander has printed its own; a crash shows where.
  if (!(error instanceof CommanderError)) {
    const isOurs = error instanceof Error && "code" in error && !(error instanceof TypeError);
    process.stderr.write(`${error instanceof ConfigError || isOurs ? (error as Error).message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
}
