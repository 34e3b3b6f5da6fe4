import fc from "fast-check";
import { expect, test } from "vitest";

import {
  archiveIdentityKey,
  conflictingLogKey,
  logKey,
  probePrefix,
  recordKey,
  runRecordKey,
  sealKey,
  tryParseKey,
} from "./object-key.ts";

const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const refs = fc.record({ repository_id: id, run_id: id, job_id: id, run_attempt: fc.integer({ min: 1, max: 1_000 }) });
const hosts = fc.constantFrom("github.com", "octo.ghe.com", "ghes.example_8443");
const sha256 = "ab".repeat(32);

test("every key is parsed to the parts that it was built from", () => {
  fc.assert(
    fc.property(hosts, refs, fc.integer({ min: 1, max: 99 }), (host, { run_attempt, job_id, ...run }, version) => {
      const job = { ...run, job_id };
      expect(tryParseKey(logKey(host, job))).toEqual({ kind: "log", host, ...job });
      expect(tryParseKey(conflictingLogKey(host, job, sha256))).toEqual({ kind: "log", host, ...job, rawSha256: sha256 });
      expect(tryParseKey(recordKey(host, job, version))).toEqual({ kind: "record", host, ...job, version });
      expect(tryParseKey(runRecordKey(host, { ...run, run_attempt }))).toEqual({ kind: "run", host, ...run, run_attempt });
      expect(tryParseKey(sealKey(version))).toEqual({ kind: "seal", sequence: version });
      expect(tryParseKey(archiveIdentityKey)).toEqual({ kind: "identity" });
    }),
  );
});

test.each([
  "",
  `${probePrefix}x`,
  "logs/github.com/1/2/3.log.gz",
  "logs/github.com/1/2/03.log.zst",
  "logs/github.com/1/2/3.log.zst/4",
  "records/github.com/1/2/3.1.json",
  "records/github.com/1/2/3.x.json",
  "records/github.com/1/2/-3.json",
  "records/github.com/1/2/9007199254740993.json",
  "runs/github.com/1/2/3.4.json",
  "seals/1.json",
  "seals/000000000001.json/x",
  "constructor",
])("%j is not a key of the archive", (key) => {
  expect(tryParseKey(key)).toBeUndefined();
});
