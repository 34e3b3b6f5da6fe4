// The result of `verify`, as text and as a document.

import type { KeyObject } from "node:crypto";

import { keyIdOf } from "@actions-archive/archive/seal/seal-key";
import type { Finding } from "@actions-archive/archive/verify/findings";
import type { VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import { listNotCovered, rowCoverage } from "@actions-archive/database/verify/row-coverage";

import { countText } from "../count-text.ts";
import { formatBytes } from "../demo/format-bytes.ts";

export type Verified = {
  readonly result: VerifyResult;
  readonly url: string;
  readonly keys: readonly KeyObject[];
  /** The percentage of logs read from end to end. */
  readonly depth: number;
  readonly hasExpectedHead: boolean;
  readonly hasSpan: boolean;
  /** Jobs whose rows were compared; undefined without a database. */
  readonly rows: number | undefined;
};

/** Findings printed per verdict; --json has all. */
const maxShown = 20;

export function verifyDocument({ result, url, keys, depth, rows }: Verified) {
  const { chain, findings, totals, sealed, hasVersions } = result;
  return {
    verdict: findings.tamperCount > 0 ? ("tampered" as const) : ("clean" as const),
    archive_url: url,
    archive_id: chain.head?.archive_id ?? null,
    host: chain.head?.host ?? null,
    head: chain.head === undefined ? null : headOf(result),
    seals: chain.links.length,
    seals_signed: chain.links.filter(({ isSigned }) => isSigned).length,
    seals_by_hash: chain.links.filter(({ isSigned }) => !isSigned).length,
    first_sealed_at: chain.links[0]?.sealed_at ?? null,
    last_sealed_at: chain.head?.sealed_at ?? null,
    given_keys: keys.map(keyIdOf),
    checked_seals: sealed.seals,
    checked_entries: sealed.entries,
    checked_bytes: sealed.bytes,
    objects_listed: totals.listed,
    versions_listed: hasVersions,
    records_read: totals.records,
    run_records_read: totals.runRecords,
    logs_checked: totals.logs,
    logs_read: totals.logsRead,
    logs_read_percent: depth,
    stored_bytes_read: totals.storedBytesRead,
    raw_bytes_read: totals.rawBytesRead,
    logs_removed: totals.removed,
    logs_without_metadata: totals.withoutMetadata,
    rows_compared: rows ?? null,
    not_covered:
      rows === undefined
        ? null
        : rowCoverage.flatMap(({ table, not_covered }) => not_covered.map((each) => ({ table: `archive.${table}`, ...each }))),
    counts: Object.fromEntries(findings.counts),
    findings: findings.tampering,
    notices: findings.notices,
    findings_left_out: findings.leftOut,
  };
}

export function verifyText(verified: Verified): string {
  const { findings } = verified.result;
  const lines = [
    ...summary(verified),
    "",
    ...(findings.tampering.length > 0 ? groups(findings.tampering) : []),
    ...(findings.notices.length > 0 ? ["For information:", ...groups(findings.notices).map((line) => `  ${line}`)] : []),
    ...(findings.leftOut > 0 ? [`${findings.leftOut} more are not listed.`] : []),
    "",
    ...conclusion(verified),
  ];
  return lines.join("\n");
}

function summary({ result, url, keys, depth, hasSpan, rows }: Verified): string[] {
  const { chain, totals, sealed, hasVersions } = result;
  const [first] = chain.links;
  if (!first || !chain.head) return [`${url}: no seal that can be trusted.`];
  const byHash = chain.links.filter(({ isSigned }) => !isSigned).length;
  const lines = [
    `${url}: archive ${chain.head.archive_id} of ${chain.head.host}`,
    `Seals: ${chain.links.length}, from ${first.sealed_at} to ${chain.head.sealed_at}, every link followed.`,
    `Keys: ${keys.map(keyIdOf).join(", ")} given; ${countText(chain.links.length - byHash, "seal is", "seals are")} signed by them or by keys that they announced${byHash > 0 ? `, ${countText(byHash, "earlier seal is", "earlier seals are")} verified only by hash` : ""}.`,
    `Objects: ${totals.listed} listed${hasVersions ? " with their versions" : "; this store lists no versions, so none were checked"}; ${sealed.entries} sealed entries of ${formatBytes(sealed.bytes)} checked${hasSpan ? `, those of the ${sealed.seals} seals in the span alone` : ""}.`,
    `Read: ${countText(totals.records, "record")}, ${countText(totals.runRecords, "run record")}, and the size and metadata of ${countText(totals.logs, "log")}; ${depthText(depth, result)}.`,
  ];
  if (totals.removed > 0) lines.push(`Removed by decision, with a tombstone: ${countText(totals.removed, "log")}.`);
  if (totals.withoutMetadata > 0) lines.push(`Without metadata, as in a copy: ${countText(totals.withoutMetadata, "log")}.`);
  if (rows !== undefined)
    lines.push(
      `Rows: ${countText(rows, "job")} compared with their records in both directions; also the ledger, seals, views and functions.`,
      "Not covered, of schema archive:",
      ...listNotCovered().map(({ reason, columns }) => `  ${columns}: ${reason}`),
    );
  return lines;
}

function depthText(depth: number, { totals }: VerifyResult): string {
  if (depth === 0) return "no log was read from end to end (--deep, --sample)";
  return `${totals.logsRead} logs (${depth} %) of ${formatBytes(totals.rawBytesRead)} of text were read from end to end`;
}

function groups(findings: readonly Finding<string>[]): string[] {
  return [...Map.groupBy(findings, ({ verdict }) => verdict)].flatMap(([verdict, found]) => [
    `${verdict}: ${found.length}`,
    ...found.slice(0, maxShown).map(({ key, detail }) => `  ${key}: ${detail}`),
    ...(found.length > maxShown ? [`  and ${found.length - maxShown} more (--json lists them)`] : []),
  ]);
}

function conclusion({ result, hasExpectedHead }: Verified): string[] {
  const { chain, findings } = result;
  const verdict =
    findings.tamperCount > 0
      ? [`TAMPERED: ${countText(findings.tamperCount, "finding")}. Keep the archive as it is, and compare it with a copy.`]
      : ["CLEAN: what is sealed is there, unchanged, and nothing was added."];
  if (!chain.head) return verdict;
  const { sequence, sha256 } = headOf(result);
  const anchor = hasExpectedHead
    ? []
    : [
        "The chain's end is not anchored: someone who deletes the newest seals and objects leaves no trace. Record this head elsewhere, and give it with --expect-head the next time.",
      ];
  return [...verdict, `Head: ${sequence}:${sha256}`, ...anchor];
}

function headOf({ chain }: VerifyResult) {
  return { sequence: chain.head?.sequence ?? 0, sha256: chain.head?.sha256 ?? "", sealed_at: chain.head?.sealed_at ?? "" };
}
