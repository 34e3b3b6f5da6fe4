// A store with all that an archive may hold, and an empty database.

import { fill, sealKeyPem } from "@actions-archive/loader/test-support/filled-store";
import { createTestDatabase } from "@actions-archive/testkit/test-database";

import { type LoadStage, openStage } from "./load-stage.ts";

export async function openRebuildStage(): Promise<LoadStage> {
  return openStage("rebuild", fill, {
    SEAL_KEY: sealKeyPem,
    DATABASE_URL: await createTestDatabase({ migrated: true }),
  });
}
