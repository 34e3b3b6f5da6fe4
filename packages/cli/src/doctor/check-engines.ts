// Checks of `doctor` for Postgres, the queue and the store.

import { openStore, probeStore, type StoreSettings } from "@actions-archive/archive/open-store";
import { type BucketAnswer, type BucketSettings, inspectBucket } from "@actions-archive/archive/store/s3/inspect";
import type { StoreCapabilities } from "@actions-archive/archive/store/store";
import { errorMessage } from "@actions-archive/core/error-message";
import { inspectRedis } from "@actions-archive/core/inspect-queue";
import { checkQueueEngine } from "@actions-archive/core/queue-engine";
import { type DatabaseFacts, inspectDatabase } from "@actions-archive/database/audit/inspect-database";
import type { Database } from "@actions-archive/database/connection/open-database";
import { checkSchema } from "@actions-archive/database/migration/migrate";

import { formatBytes } from "../demo/format-bytes.ts";
import { type Check, fail, pass, warn } from "./check.ts";

/** BullMQ needs Redis 6.2 or newer. https://docs.bullmq.io/guide/redis-tm-compatibility */
const minRedis = [6, 2] as const;

export async function checkDatabase(db: Database): Promise<Check[]> {
  const facts = await inspectDatabase(db);
  return [
    pass("database", `PostgreSQL ${facts.version}, ${formatBytes(facts.sizeBytes)}`),
    await checkVersionOfSchema(db),
    checkRoles(facts),
    facts.isDurable
      ? pass("database_durability", "fsync and full_page_writes are on")
      : warn(
          "database_durability",
          "fsync or full_page_writes is off",
          "Turn both on: a crash of the server loses committed rows.",
        ),
    ...(facts.isReadOnly
      ? [fail("database_writable", "the server is a standby, or read-only", "Point DATABASE_URL to the primary.")]
      : []),
  ];
}

async function checkVersionOfSchema(db: Database): Promise<Check> {
  try {
    await checkSchema(db);
    return pass("database_schema", "the schema is this version's");
  } catch (error) {
    return fail("database_schema", errorMessage(error), "Run: actions-archive migrate");
  }
}

function checkRoles({ missingRoles }: DatabaseFacts): Check {
  if (missingRoles.length === 0) return pass("database_roles", "the roles of docs/access.md exist");
  return warn(
    "database_roles",
    `missing: ${missingRoles.join(", ")}`,
    "Run `actions-archive migrate` as a user who may create roles; until then only the owner reads the views.",
  );
}

export async function checkQueue(url: URL): Promise<Check[]> {
  if (!url.protocol.startsWith("redis")) {
    await checkQueueEngine(url);
    return [pass("queue", `Postgres at ${url.host}, schema of this version`)];
  }
  const facts = await inspectRedis(url);
  const [major = 0, minor = 0] = facts.version.split(".").map(Number);
  const isOld = facts.version !== "unknown" && (major < minRedis[0] || (major === minRedis[0] && minor < minRedis[1]));
  const memory = facts.maxMemoryBytes === 0 ? "" : ` of ${formatBytes(facts.maxMemoryBytes)}`;
  return [
    isOld
      ? fail("queue", `Redis ${facts.version} at ${url.host}`, `Update it to ${minRedis.join(".")} or newer.`)
      : pass("queue", `Redis ${facts.version} at ${url.host}, ${formatBytes(facts.usedMemoryBytes)}${memory} used`),
    facts.evictionPolicy === undefined || facts.evictionPolicy === "noeviction"
      ? pass("queue_eviction", `maxmemory-policy ${facts.evictionPolicy ?? "is not shown"}`)
      : fail(
          "queue_eviction",
          `maxmemory-policy ${facts.evictionPolicy}: queued work is dropped under memory pressure`,
          "Set: maxmemory-policy noeviction",
        ),
    checkPersistence(facts),
  ];
}

function checkPersistence({ persists, persistenceFails }: { persists: boolean; persistenceFails: boolean }): Check {
  if (persistenceFails)
    return fail(
      "queue_persistence",
      "the last snapshot or append-only write failed",
      "See Redis's log: usually its disk is full.",
    );
  if (persists) return pass("queue_persistence", "an append-only file or snapshots are kept");
  return warn(
    "queue_persistence",
    "neither an append-only file nor snapshots: a restart forgets the queue, and the feeder fills it again",
    "Set: appendonly yes",
  );
}

/** Writes a few bytes under `probe/`. */
export async function checkStore(settings: StoreSettings): Promise<Check[]> {
  await using store = await openStore(settings);
  const capabilities = await probeStore(store);
  const isBucket = settings.ARCHIVE_URL.protocol === "s3:";
  return [
    pass("store", `${store.url} can be written and read`),
    ...checkCapabilities(capabilities),
    ...(isBucket ? checkBucket(settings, capabilities, await inspectBucket(settings)) : []),
  ];
}

function checkCapabilities({ conditionalPut, sha256, contentMd5 }: StoreCapabilities): Check[] {
  return [
    conditionalPut
      ? pass("store_conditions", "a conditional put is refused where the key is taken")
      : warn(
          "store_conditions",
          "If-None-Match is ignored: two writers of one key at the same moment may replace each other",
          "Update the store, or run one log-worker; docs/decisions/0017-stores-that-lie.md describes the risk.",
        ),
    sha256 || contentMd5
      ? pass("store_checksum", `a body that does not match its ${sha256 ? "SHA-256" : "MD5"} is refused`)
      : warn("store_checksum", "bodies are not checked: each put is read back", "Update the store to spare that read."),
  ];
}

function checkBucket(settings: StoreSettings, { objectLock, versioned }: StoreCapabilities, bucket: BucketSettings): Check[] {
  return [
    objectLock
      ? pass("store_object_lock", `objects are locked${settings.S3_OBJECT_LOCK_MODE ? ` (${settings.S3_OBJECT_LOCK_MODE})` : ""}`)
      : warn(
          "store_object_lock",
          valueOf(bucket.objectLock) === true
            ? "the bucket has Object Lock, and what is written is not locked"
            : "no Object Lock: whoever holds the bucket's credentials can delete evidence",
          "Use a bucket made with Object Lock; set S3_OBJECT_LOCK_MODE and S3_OBJECT_LOCK_DAYS.",
        ),
    versioned || valueOf(bucket.versioning) === "Enabled"
      ? pass("store_versioning", "versioning is on")
      : warn(
          "store_versioning",
          `versioning is ${describe(bucket.versioning)}`,
          "Turn on versioning, so that an overwrite hides nothing.",
        ),
    valueOf(bucket.encryption) !== undefined || settings.S3_KMS_KEY_ID !== undefined
      ? pass("store_encryption", `encrypted with ${valueOf(bucket.encryption) ?? "S3_KMS_KEY_ID"}`)
      : warn(
          "store_encryption",
          `encryption at rest: ${describe(bucket.encryption)}`,
          "Set a default encryption of the bucket, or S3_KMS_KEY_ID.",
        ),
    valueOf(bucket.blocksPublicAccess) === true
      ? pass("store_public_access", "public access is blocked")
      : warn(
          "store_public_access",
          bucket.blocksPublicAccess.known ? "public access is not blocked" : describe(bucket.blocksPublicAccess),
          "Block all public access of the bucket.",
        ),
  ];
}

function valueOf<T>(answer: BucketAnswer<T>): T | undefined {
  return answer.known ? answer.value : undefined;
}

function describe(answer: BucketAnswer<string | undefined> | BucketAnswer<boolean>): string {
  return answer.known ? String(answer.value ?? "none") : `not known (the store answered ${answer.reason})`;
}
