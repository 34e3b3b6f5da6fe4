// Checks the chain of seals: consecutive numbers, each seal naming its predecessor, recorded in audit.seals, and covering every object.

import { z } from "zod";

import type { CheckContext } from "./check-context.ts";
import type { StoredSeal, StoreView } from "./read-store.ts";
import { query } from "./rows.ts";
import { parseStoredKey } from "./stored-keys.ts";
import { type Violation, violationsOf } from "./violation.ts";

const noPreviousSeal = "0".repeat(64);
/** A full seal leaves the remaining objects to the next one. */
const maxSealEntries = 50_000;

type CheckedSystem = CheckContext & { readonly store: StoreView };

/** I10: the result of `verify`, and the chain in the store. */
export async function checkChain({ evidence, store }: CheckedSystem): Promise<Violation[]> {
  const { client, verify } = evidence;
  const known = await query<{ sequence: number; sha256: string }>(client, "select sequence, sha256 from audit.seals order by 1");
  const shas = new Map(known.map(({ sequence, sha256 }) => [sequence, sha256]));
  const wrong = store.seals.flatMap((seal, index) => {
    const previous = store.seals[index - 1]?.sha256 ?? noPreviousSeal;
    if (seal.sequence !== index + 1) return [`${seal.key} is the seal number ${index + 1} in the store`];
    if (seal.payload?.sequence !== seal.sequence) return [`${seal.key} is no seal of its number`];
    if (seal.payload.previous_sha256 !== previous) return [`${seal.key} does not name the seal before it`];
    return shas.get(seal.sequence) === seal.sha256 ? [] : [`${seal.key} is not in audit.seals as it is`];
  });
  const sequences = new Set(store.seals.map(({ sequence }) => sequence));
  const lost = known
    .filter(({ sequence }) => !sequences.has(sequence))
    .map(({ sequence }) => `seal ${sequence} is not in the store`);
  return violationsOf("I10", [...wrong, ...lost, ...(verify === undefined ? [] : checkVerify(verify))]);
}

const Report = z.object({ findings: z.array(z.looseObject({ verdict: z.string(), key: z.string() })) });

function checkVerify({ code, report }: NonNullable<CheckContext["evidence"]["verify"]>): string[] {
  const { data } = Report.safeParse(report);
  if (data === undefined) return [`verify ended with ${code}, and without a report`];
  const found = data.findings.map(({ verdict, key, ...more }) => `verify: ${verdict} ${key} ${JSON.stringify(more)}`);
  return code === 0 ? found : [`verify ended with ${code}`, ...found];
}

/** I4: no seal has an entry for an object that the simulator did not issue. */
export function checkSealEntries({ store, oracle, evidence }: CheckedSystem): Violation[] {
  const { runs } = evidence.simulator.world;
  const isIssued = (key: string) => {
    const parsed = parseStoredKey(key);
    if (parsed.kind === "log" || parsed.kind === "record") return oracle.get(parsed.jobId)?.job.run.id === parsed.runId;
    return parsed.kind === "identity" || (parsed.kind === "run" && runs.has(parsed.runId));
  };
  const wrong = store.seals.flatMap(({ key: seal, payload }) =>
    (payload?.entries ?? [])
      .filter(({ key }) => !isIssued(key))
      .map(({ key }) => `${seal} holds ${key}, which the simulator did not issue`),
  );
  return violationsOf("I4", wrong);
}

/**
 * I11: every object that existed when the last seal was prepared is in exactly one seal. One recorded at that time may wait for the next.
 */
export async function checkSealed({ evidence, store }: CheckedSystem): Promise<Violation[]> {
  if (store.seals.length === 0) return [];
  const sealed = Map.groupBy(entriesOf(store.seals), (key) => key);
  const late = await query<{ key: string }>(
    evidence.client,
    `select object_key as key from archive.objects
    where sealed_in is null and (recorded_at >= (select max(sealed_at) - interval '1 minute' from audit.seals)
      or (select entries >= $1 from audit.seals order by sequence desc limit 1))`,
    [maxSealEntries],
  );
  const isLate = new Set(late.map(({ key }) => key));
  const objects = store.keys.filter(({ kind }) => /^(log|record|run|identity)$/.test(kind));
  const missing = objects.filter(({ key }) => !sealed.has(key) && !isLate.has(key)).map(({ key }) => `${key} is in no seal`);
  const twice = [...sealed].filter(([, all]) => all.length > 1).map(([key, all]) => `${key} is in ${all.length} seals`);
  return violationsOf("I11", [...missing, ...twice]);
}

function entriesOf(seals: readonly StoredSeal[]): string[] {
  return seals.flatMap(({ payload }) => payload?.entries.map(({ key }) => key) ?? []);
}
