// `npx pnpm db:types` and, with --verify, its check: the generated types against a freshly migrated database of a real Postgres.

import { createLogger } from "@actions-archive/core/logger";
import { generateTypes } from "@actions-archive/database/generate-types";

import { openRunFolder } from "./run-folder.ts";
import { openTestPostgres } from "./test-postgres.ts";

await using folder = await openRunFolder();
await using postgres = await openTestPostgres({ url: undefined, folder: folder.path, log: createLogger("db-types", "warn") });
process.exitCode = await generateTypes(postgres.url, { verify: process.argv.includes("--verify") });
