// `migrate`: brings the schemas of the database and the queue up to date.

import { migrateQueue } from "@actions-archive/core/queue-engine";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import type { Command } from "commander";

import { type CommandContext, createCommandLogger, print, printJson } from "../command-context.ts";
import { loadEngineConfig } from "../engine-config.ts";
import { openEngineEnvironment } from "../with-engines.ts";

export function addMigrate(program: Command, context: CommandContext): void {
  program
    .command("migrate")
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      "\nExample:\n  DATABASE_URL=postgres://owner@db/archive actions-archive migrate\n\nSafe to run again, and while workers run.",
    )
    .action(async ({ json }: { json?: true }) => {
      await using resources = new AsyncDisposableStack();
      const log = createCommandLogger(context);
      const uses = context.env["DATABASE_URL"] ? [] : (["DATABASE_URL", "QUEUE_URL"] as const);
      const { env, engines } = resources.use(
        await openEngineEnvironment(context.env, { dir: context.dir, log, mode: "attach", uses }),
      );
      const { DATABASE_URL, QUEUE_URL } = loadEngineConfig(env);
      const applied = await migrateDatabase(DATABASE_URL.href, { log });
      if (engines.queueUrl !== undefined || context.env["QUEUE_URL"]) await migrateQueue(QUEUE_URL);
      if (json) return printJson(context, { applied });
      if (engines.owner && engines.databaseUrl !== undefined) return print(context, "The embedded database is up to date.");
      print(context, applied.length > 0 ? `Applied: ${applied.join(", ")}` : "Nothing to apply: the schema is up to date.");
    });
}
