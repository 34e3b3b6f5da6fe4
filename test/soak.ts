/**
 * Runs the whole system, two replicas of each worker, under a seeded schedule of faults; then waits until it is quiescent, and checks all
 * invariants. The same seed gives the same schedule.
 *
 *   npx pnpm soak [--minutes 10] [--seed 1] [--scale 0.04] [--queue redis|postgres] [--store folder|s3] [--only KIND…] [--no-faults] [--json]
 *
 * The store is the S3 server that TEST_S3_ENDPOINT names, behind a proxy that injects faults, else a folder. Takes some minutes longer
 * than --minutes. Exits with 1 when an invariant was violated, with 2 when the run could not complete.
 */

import { parseArgs } from "node:util";

import { type FaultKind, faultKinds } from "./support/chaos/schedule.ts";
import { soak, type SoakReport } from "./support/chaos/soak.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    scale: { type: "string", default: "0.04" },
    queue: { type: "string", default: "redis" },
    store: { type: "string" },
    only: { type: "string", multiple: true },
    "no-faults": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

// oxlint-disable-next-line node/no-process-env -- names a server of the machine, like in tests
const hasS3 = process.env["TEST_S3_ENDPOINT"] !== undefined;
const store = values.store ?? (hasS3 ? "s3" : "folder");
if (store === "s3" && !hasS3) throw new Error("--store s3 needs TEST_S3_ENDPOINT: npm's s3rver lists no second page");

const unknown = (values.only ?? []).filter((kind) => !(faultKinds as readonly string[]).includes(kind));
if (unknown.length > 0) throw new Error(`no such kind of fault: ${unknown.join(", ")}. There are: ${faultKinds.join(", ")}`);
const kinds = values["no-faults"] ? [] : ((values.only as FaultKind[] | undefined) ?? faultKinds);

process.exitCode = 2;
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
const report = await soak({
  seed: Number(values.seed),
  minutes: Number(values.minutes),
  scale: Number(values.scale),
  queue: values.queue === "postgres" ? "postgres" : "redis",
  store: store === "folder" ? "folder" : "s3",
  kinds,
  signal: stop.signal,
  onProgress: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(values.json ? `${JSON.stringify(report, mapsAsObjects)}\n` : textOf(report));
process.exitCode = report.verdict.violations.length === 0 && report.pass.code === 0 ? 0 : 1;

function mapsAsObjects(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}

function textOf({
  verdict,
  pass,
  faults,
  spoiled,
  crashes,
  unexpectedExits,
  quiesceSeconds,
  freshJobSeconds,
  runs,
  ...rest
}: SoakReport): string {
  const applied = [...faults].toSorted(([left], [right]) => left.localeCompare(right));
  const peak = Math.max(...rest.processes.map(({ peakKb }) => peakKb));
  const lines = [
    `${runs} runs, ${verdict.jobs} jobs; seed ${values.seed}, ${values.minutes} minutes, queue on ${values.queue}, store ${store}`,
    `faults: ${applied.reduce((sum, [, count]) => sum + count, 0)} (${applied.map(([kind, count]) => `${kind} ${count}`).join(", ")}); ${spoiled.github} requests to GitHub and ${spoiled.store} to the store spoiled, ${crashes} processes killed`,
    `ended by themselves: ${unexpectedExits.length === 0 ? "none" : unexpectedExits.join("; ")}`,
    `quiescent after ${quiesceSeconds.toFixed(1)} s; a fresh job archived in ${freshJobSeconds?.toFixed(1) ?? "never"} s; pass at the end: ${pass.code}`,
    `memory: peak ${Math.round(peak / 1024)} MB; growth a minute ${Object.entries(rest.growthKbPerMinute)
      .map(([kind, kb]) => `${kind} ${kb} kB`)
      .join(", ")}`,
    `violations: ${verdict.violations.length}`,
    ...verdict.violations.slice(0, 50).map(({ invariant, what }) => `  ${invariant}: ${what}`),
    ...(pass.code === 0 ? [] : [pass.printed]),
  ];
  return `${lines.join("\n")}\n`;
}
