// The command-line program: `npx pnpm actions-archive COMMAND`. Output goes to stdout, logs go to stderr.

import { errorMessage } from "@actions-archive/core/error-message";
import { ActionsArchiveError } from "@actions-archive/core/errors";
import { loadEnvFile } from "@actions-archive/core/load-env-file";
import { Command, CommanderError, InvalidArgumentError } from "commander";

import cliPackage from "../package.json" with { type: "json" };
import { commandTable } from "./command-table.ts";
import { enableCommandCache } from "./compile-cache.ts";
import { defaultDemoDir, defaultDir } from "./default-dir.ts";
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

enableCommandCache(process.env);
// Only the command that the arguments name is loaded. The others are listed in the help, and suggested for a mistyped name.
const named = process.argv.slice(2).find((argument) => !argument.startsWith("-") && argument !== "help");
for (const { name, description, load } of commandTable) {
  if (name === named) (await load())(program, context);
  else program.command(name);
  program.commands.at(-1)?.description(description);
}
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
    const { exitCodeOfCommand } = await import("./command-context.ts");
    process.exitCode = exitCodeOfCommand(error);
    // Commander has printed its own errors, but not an InvalidArgumentError of an action. The project's errors are explained, and
    // unexpected ones shown with their stack.
    if (error instanceof InvalidArgumentError) process.stderr.write(showLines(`error: ${error.message}\n`));
    else if (!(error instanceof CommanderError)) process.stderr.write(showLines(`${explain(error)}\n`));
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
