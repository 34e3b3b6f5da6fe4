// `start`: runs all workers in one process; `start --once`: runs one full pass.

import { runService } from "@actions-archive/core/service";
import type { Command } from "commander";

import {
  type CommandContext,
  createCommandLogger,
  exitIncomplete,
  parseSeconds,
  print,
  printJson,
  stopOnSignal,
} from "../command-context.ts";
import { formatPassReport, type PassReport } from "../once/pass-report.ts";
import { runPass } from "../once/run-pass.ts";
import { openProgress } from "../progress.ts";
import { loadStartConfig, type StartConfig } from "../start-config.ts";
import { startWorkers } from "../start-workers.ts";
import { openEngineEnvironment, withPlaceholders } from "../with-engines.ts";

type StartOptions = { once?: true; maxWait: number; json?: true };

export function addStart(program: Command, context: CommandContext): void {
  program
    .command("start")
    .option("--once", "one full pass: every repository from its start to now, then end")
    .option("--max-wait <seconds>", "with --once: how long to wait for back-offs and pauses", parseSeconds, 600)
    .option("--json", "with --once: one JSON document at the end")
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive start\n  actions-archive start --once --max-wait 60\n\nExit codes of --once: 0 complete, 3 something failed, is pending or not covered, 78 settings.",
    )
    .action(async (options: StartOptions) => {
      if (options.once) return startOnce(context, options);
      await runService(
        "actions-archive",
        () => loadStartConfig(withPlaceholders(context.env)),
        async (_checked, service) => {
          const { env } = service.resources.use(
            await openEngineEnvironment(context.env, { dir: context.dir, log: service.log, mode: "own" }),
          );
          await startWorkers(loadStartConfig(env), service);
        },
      );
    });
}

async function startOnce(context: CommandContext, { maxWait, json }: StartOptions): Promise<void> {
  // The settings are checked first, so that a wrong one does not start an engine.
  loadStartConfig(withPlaceholders(context.env));
  const log = createCommandLogger(context);
  const stopping = stopOnSignal();
  const report = await passOnEngines(context, { maxWait, log, stopping });
  if (json) printJson(context, report);
  else print(context, formatPassReport(report));
  process.exitCode = report.complete ? 0 : exitIncomplete;
}

type OnePass = { readonly maxWait: number; readonly log: ReturnType<typeof createCommandLogger>; readonly stopping: AbortSignal };

async function passOnEngines(context: CommandContext, { maxWait, log, stopping }: OnePass): Promise<PassReport> {
  await using resources = new AsyncDisposableStack();
  const { env } = resources.use(await openEngineEnvironment(context.env, { dir: context.dir, log, mode: "own" }));
  const config: StartConfig = loadStartConfig(env);
  using progress = openProgress(context.stderr);
  return await runPass(config, { log, resources, stopping }, { maxWaitSeconds: maxWait, onProgress: progress.show });
}
