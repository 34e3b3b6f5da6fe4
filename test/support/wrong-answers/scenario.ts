// One scenario: a new world, an empty archive, a wrong answer, and the checks after it.

import type { PassReport } from "@actions-archive/cli/once/pass-report";

import { type Archive, openArchive } from "./archive.ts";
import { describeCall, type Call, callsOf, faultPathOf, faultPathsOf, type Route } from "./calls.ts";
import { checkArchive, type CheckResult } from "./check-archive.ts";
import type { Kind } from "./kinds.ts";
import { findLimit, type Limit } from "./limits.ts";
import { startSmallWorld, type WorldName } from "./world.ts";

export type Outcome =
  /** The wrong answer does not differ from the right one, so there is nothing to check. */
  | "no-hit"
  /** Settled after the pass with the wrong answer. */
  | "healed-a"
  | "healed-b"
  /** Every state is right and no work is due; fields of a job stay as the wrong answer showed them. */
  | "fields"
  /** Lost, and named by a gap. */
  | "gap"
  /** A broken invariant that limits.ts documents. */
  | "limit"
  /** A broken invariant. */
  | "broken";

export type Result = {
  /** One line that identifies the scenario. */
  readonly scenario: string;
  readonly outcome: Outcome;
  readonly details: readonly string[];
};

/** @returns the calls of a healthy pass. @throws when that pass is incomplete. */
export async function recordCalls(name: WorldName): Promise<Call[]> {
  await using world = await startSmallWorld(name);
  await using archive = await openArchive(world);
  const report = await archive.pass();
  const calls = callsOf(world);
  const { violations, unsettled } = await checkArchive(archive, report);
  if (violations.length + unsettled.length > 0) throw new Error([...violations, ...unsettled].join("\n"));
  return calls;
}

export type OnceScenario = { readonly world: WorldName; readonly call: Call; readonly kind: Kind };

/** Gives the wrong answer once, in a first pass. Runs another pass a day later unless that healed. */
export async function runOnce({ world: name, call, kind }: OnceScenario): Promise<Result> {
  await using world = await startSmallWorld(name);
  await using archive = await openArchive(world);
  const scenario = `${name}: ${describeCall(call)}: ${kind.name}`;
  const { addFault, clearFaults } = world.simulator.control;
  const fault = addFault({ path: faultPathOf(call, world), skip: call.occurrence - 1, lie: kind.lie });
  const first = await checkPass(archive);
  const brokenOutcome = findLimit(call.route, kind.name, { isLasting: false }) === undefined ? "broken" : "limit";
  if (first.violations.length > 0) return { scenario, outcome: brokenOutcome, details: described("pass A", first) };
  if (fault.hits === 0) return { scenario, outcome: "no-hit", details: [] };
  if (first.unsettled.length === 0) return { scenario, outcome: "healed-a", details: [] };
  clearFaults({});
  await archive.passTime("26 hours");
  archive.settle();
  const second = await checkPass(archive);
  if (second.violations.length > 0) return { scenario, outcome: brokenOutcome, details: described("pass B", second) };
  return { scenario, outcome: endOf(second), details: described("pass B", second) };
}

export type LastingScenario = { readonly world: WorldName; readonly route: Route; readonly kind: Kind };

const maxLineLength = 300;
const maxLines = 6;

const lyingPasses = 3;
/** Time between the passes after the fault, until everything has healed. */
const healingSpans = ["30 minutes", "6 hours", "12 hours", "12 hours", "18 hours"];

/** Gives the wrong answer to every request of a route, in three passes half an hour apart. */
export async function runLasting({ world: name, route, kind }: LastingScenario): Promise<Result> {
  await using world = await startSmallWorld(name);
  await using archive = await openArchive(world);
  const scenario = `${name}: every ${route}, for an hour: ${kind.name}`;
  const { addFault, clearFaults, listFaults } = world.simulator.control;
  const origin = route === "log body" ? "log" : "api";
  for (const path of faultPathsOf(route, world)) addFault({ origin, path, times: "forever", lie: kind.lie });
  const broken: string[] = [];
  for (let pass = 1; pass <= lyingPasses; pass += 1) {
    if (pass > 1) await archive.passTime("30 minutes");
    broken.push(...described(`pass ${pass}`, await checkPass(archive), "violations"));
    const isHit = listFaults({}).some(({ hits }) => hits > 0);
    if (pass > 1 && !isHit && broken.length === 0) return { scenario, outcome: "no-hit", details: [] };
    if (pass === 1) await world.moveOn();
  }
  clearFaults({});
  const last = await heal(archive);
  broken.push(...described("at the end", last, "violations"));
  if (broken.length > 0) {
    const limit = findLimit(route, kind.name, { isLasting: true });
    const isLimit = limit !== undefined && (!limit.heals || isHealed(last, limit));
    return { scenario, outcome: isLimit ? "limit" : "broken", details: [...broken, ...described("at the end", last)] };
  }
  return { scenario, outcome: endOf(last), details: described("two days later", last) };
}

function isHealed({ violations, unsettled, hasOnlyOddFields }: CheckResult, { remains }: Limit): boolean {
  return hasOnlyOddFields || [...violations, ...unsettled].every((finding) => remains?.test(finding) === true);
}

function endOf({ unsettled, hasOnlyOddFields }: CheckResult): Outcome {
  if (unsettled.length === 0) return "healed-b";
  return hasOnlyOddFields ? "fields" : "gap";
}

async function heal(archive: Archive): Promise<CheckResult> {
  let verdict: CheckResult | undefined;
  archive.settle();
  for (const span of healingSpans) {
    await archive.passTime(span);
    verdict = await checkPass(archive);
    if (verdict.violations.length + verdict.unsettled.length === 0) return verdict;
  }
  if (verdict === undefined) throw new RangeError("no time passed");
  return verdict;
}

/** A pass may end incomplete. An exception breaks an invariant too: `start --once` would exit with 2. */
async function checkPass(archive: Archive): Promise<CheckResult> {
  let report: PassReport;
  try {
    report = await archive.pass();
  } catch (error) {
    return { violations: [`the pass threw ${String(error)}`], named: [], unsettled: [], hasOnlyOddFields: false };
  }
  return checkArchive(archive, report);
}

function described(when: string, { violations, named, unsettled }: CheckResult, what: "violations" | "all" = "all"): string[] {
  const lines = what === "violations" ? violations : [...violations, ...named, ...unsettled];
  const shown = [...new Set(lines)].map((line) => `${when}: ${line.slice(0, maxLineLength)}`);
  return shown.length <= maxLines ? shown : [...shown.slice(0, maxLines), `${when}: ${shown.length - maxLines} more`];
}
