// Seals and keys for tests of their format.

import { generateKeyPairSync } from "node:crypto";

import { openSigner, type Signer } from "../src/seal/seal-key.ts";
import { makeSeal, noPreviousSeal, type Seal, type SealEntry } from "../src/seal/seal.ts";

export function newKeyPem(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
}

export function newSigner(): Signer {
  return openSigner(newKeyPem());
}

export function sampleEntries(size: number): SealEntry[] {
  return Array.from({ length: size }, (_, index) => ({
    key: `records/github.com/1/2/${4_294_967_296 + index}.json`,
    version_id: index % 2 === 0 ? null : `v${index}`,
    size: index,
    sha256: index.toString(16).padStart(64, "0"),
  }));
}

export function sampleSeal({ keyId }: Signer, entries: readonly SealEntry[]): Seal {
  return makeSeal({
    archive_id: "6f0c8fd4-6bd5-4f4c-9a52-0a8a3a5f1f0e",
    host: "github.com",
    sequence: 1,
    sealed_at: "2026-11-25T20:00:00.000Z",
    previous_sha256: noPreviousSeal,
    key_id: keyId,
    next_key: null,
    entries: [...entries],
    ledger: {
      windows: [],
      windows_left_out: 0,
      attempts: [],
      attempts_left_out: 0,
      full_seconds: [],
      full_seconds_left_out: 0,
      open_obligations: { pending: 1, failed: 0 },
      gaps: { log_pending: 1 },
    },
    tombstones: [],
    holds: [],
    policies: [],
    damages: [],
  });
}
