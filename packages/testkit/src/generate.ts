// `npx pnpm db:types`: generates files from a freshly migrated database; with --verify, checks them.

import { createLogger } from "@actions-archive/core/logger";
import { generateFiles } from "@actions-archive/database/generate/generate";

import { openRunFolder } from "./run-folder.ts";
import { openTestPostgres } from "./test-postgres.ts";

await using folder = await openRunFolder();
await using postgres = await openTestPostgres({ url: undefined, folder: folder.path, log: createLogger("db-types", "warn") });
const stale = await generateFiles(postgres.url, { verify: process.argv.includes("--verify") });
for (const file of stale) process.stderr.write(`${file} is out of date: run npx pnpm db:types\n`);
process.exitCode = stale.length > 0 ? 1 : 0;
