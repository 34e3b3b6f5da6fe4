// `demo`: runs the pipeline on the embedded engines against the simulator, then prints an audit report.

import { join } from "node:path";

import { openDatabase } from "@actions-archive/database/connection/open-database";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import type { Command } from "commander";

import { type CommandContext, createCommandLogger, exitIncomplete, print, printJson, stopOnSignal } from "../command-context.ts";
import { defaultDemoDir } from "../default-dir.ts";
import { demoDocument, formatDemoReport, makeDemoReport } from "../demo/demo-report.ts";
import { readDemoState } from "../demo/demo-state.ts";
import { runPass } from "../once/run-pass.ts";
import { openProgress } from "../progress.ts";
import { loadStartConfig } from "../start-config.ts";
import { openEngineEnvironment } from "../with-engines.ts";

/** The host's name in keys and views: fixed, since the simulator's ports change. */
const simulatedHost = "github-simulator";

export function addDemo(program: Command, context: CommandContext): void {
  program
    .command("demo")
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      `\nNeeds nothing and reaches nothing outside this machine. Data stays under ${defaultDemoDir}/, or --dir; a second run continues there.\n\nExample:\n  npx pnpm demo`,
    )
    .action(async ({ json }: { json?: true }) => {
      const started = performance.now();
      await using resources = new AsyncDisposableStack();
      const log = createCommandLogger(context, "error");
      const stopping = stopOnSignal();
      if (!json) print(context, "Starting Postgres, the archive folder and the simulated GitHub …");
      // Ignores the operator's settings, so that the demo never touches a real archive.
      const { env, engines } = resources.use(await openEngineEnvironment({}, { dir: context.dir, log, mode: "own" }));
      const state = await readDemoState(context.dir);
      const simulator = resources.use(
        await startSimulator({
          scenario: "demo",
          seed: state.seed,
          clockStart: state.clockStart,
          rateLimits: { perHour: 100_000 },
        }),
      );
      // The world is that of the first run. Its clock is set to now, since GitHub's dates are compared with the database's clock.
      simulator.clock.advance(Math.max(0, Date.now() - state.clockStart.getTime()));
      const config = loadStartConfig({
        ...env,
        GITHUB_API_URL: simulator.apiUrl,
        GITHUB_HOST: simulatedHost,
        GITHUB_TOKEN: simulator.token,
        GITHUB_LOG_HOSTS: simulator.logOrigin,
        ARCHIVE_REPOSITORIES: [...new Set(simulator.world.repositories.map(({ owner }) => `${owner.login}/*`))].join(","),
        LOG_SETTLE_SECONDS: "1",
        RUN_SETTLE_SECONDS: "1",
        SPOOL_DIR: join(context.dir, "spool"),
      });
      const pass = await runDemoPass(config, { log, stopping }, context);
      const database = resources.use(
        await openDatabase({ url: config.DATABASE_URL.href, applicationName: "actions-archive demo", maxConnections: 2 }),
      );
      const report = await makeDemoReport({
        pass,
        simulator,
        database,
        archiveUrl: config.ARCHIVE_URL,
        databaseUrl: engines.databaseUrl ?? "",
        dir: context.dir,
        seconds: (performance.now() - started) / 1000,
      });
      if (json) printJson(context, demoDocument(report));
      else print(context, formatDemoReport(report));
      process.exitCode = report.proven ? 0 : exitIncomplete;
    });
}

async function runDemoPass(
  config: ReturnType<typeof loadStartConfig>,
  service: { log: ReturnType<typeof createCommandLogger>; stopping: AbortSignal },
  { stderr }: CommandContext,
) {
  await using resources = new AsyncDisposableStack();
  using progress = openProgress(stderr);
  return await runPass(config, { ...service, resources }, { maxWaitSeconds: 120, onProgress: progress.show });
}
