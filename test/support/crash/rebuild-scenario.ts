// The scenario of a rebuild: a store with every kind of object, and an empty database.

import { fill, sealKeyPem } from "@actions-archive/loader/test-support/filled-store";
import { createTestDatabase } from "@actions-archive/testkit/test-database";

import { type LoaderScenario, openLoaderScenario } from "./load-scenario.ts";

export async function openRebuildScenario(): Promise<LoaderScenario> {
  return openLoaderScenario("rebuild", fill, {
    SEAL_KEY: sealKeyPem,
    DATABASE_URL: await createTestDatabase({ migrated: true }),
  });
}
