// Whatever is done to a sealed archive is found, and the object that it was done to is named.

import { verifyArchive, type VerifyOptions, type VerifyResult } from "@actions-archive/archive/verify-archive";
import { expect, test } from "vitest";

import { openSealedArchive, type SealedArchive } from "./support/sealed-archive.ts";

function verify(archive: SealedArchive, options: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
  return verifyArchive(archive.store, { keys: [archive.publicKey], isDeep: () => true, sealIntervalSeconds: 3600, ...options });
}

test("an untouched archive is clean", async () => {
  await using archive = await openSealedArchive();
  const started = performance.now();
  const result = await verify(archive);
  console.log(performance.now() - started, result.findings, result.totals, result.sealed, result.chain.links.length);
  expect(result.findings.tampering).toEqual([]);
});
