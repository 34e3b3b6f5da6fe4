// Runs all scenarios of a kind, a few at a time, and summarizes the results.

import { describeCall, routes } from "./calls.ts";
import { kindsOf } from "./kinds.ts";
import {
  type LastingScenario,
  type OnceScenario,
  type Outcome,
  recordCalls,
  type Result,
  runLasting,
  runOnce,
} from "./scenario.ts";
import { worldNames } from "./world.ts";

/** For two cores: a pass with one wrong answer is busy most of the time, and a pass of an hour of them mostly waits. */
const onceAtOnce = 4;
const lastingAtOnce = 8;

const progressEvery = 50;

/** Part of a scenario's line. If set, only matching scenarios run. */
// oxlint-disable-next-line node/no-process-env -- chosen by the tester, to reproduce a scenario
const only = process.env["WRONG_ANSWERS_ONLY"] ?? "";

/** @returns every call of a healthy pass with every kind that fits. One run of the burst represents all three. */
export async function listOnceScenarios(): Promise<OnceScenario[]> {
  const scenarios: OnceScenario[] = [];
  for (const world of worldNames) {
    const calls = (await recordCalls(world)).filter(({ route, path }) =>
      world === "pages" ? route === "run list" : !/\{burst-[23]/.test(path),
    );
    for (const call of calls)
      for (const kind of kindsOf(call.route, { isPaged: world === "pages", isLasting: false, items: call.items }))
        scenarios.push({ world, call, kind });
  }
  return scenarios.filter(({ world, call, kind }) => `${world}: ${describeCall(call)}: ${kind.name}`.includes(only));
}

/** @returns every route with every kind that fits, applied to every request. */
export function listLastingScenarios(): LastingScenario[] {
  const scenarios = worldNames.flatMap((world) =>
    (world === "pages" ? (["run list"] as const) : routes).flatMap((route) =>
      kindsOf(route, { isPaged: world === "pages", isLasting: true }).map((kind) => ({ world, route, kind })),
    ),
  );
  return scenarios.filter(({ world, route, kind }) => `${world}: every ${route}, for an hour: ${kind.name}`.includes(only));
}

export const runOnceScenarios = (scenarios: readonly OnceScenario[]) => runAll(scenarios, runOnce, onceAtOnce);
export const runLastingScenarios = (scenarios: readonly LastingScenario[]) => runAll(scenarios, runLasting, lastingAtOnce);

async function runAll<Scenario>(
  scenarios: readonly Scenario[],
  run: (scenario: Scenario) => Promise<Result>,
  atOnce: number,
): Promise<Result[]> {
  const left = scenarios.values();
  const results: Result[] = [];
  const lane = async () => {
    for (const scenario of left) {
      const result = await run(scenario);
      results.push(result);
      if (result.outcome === "broken" || result.outcome === "gap") process.stderr.write(`${describeResult(result)}\n`);
      if (results.length % progressEvery === 0) process.stderr.write(`${results.length} of ${scenarios.length} scenarios\n`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return results;
}

export function describeResult({ scenario, outcome, details }: Result): string {
  return [`${outcome}: ${scenario}`, ...details].join("\n    ");
}

export function countOutcomes(results: readonly Result[]): Readonly<Record<Outcome, number>> {
  const count = (outcome: Outcome) => results.filter((result) => result.outcome === outcome).length;
  return {
    "no-hit": count("no-hit"),
    "healed-a": count("healed-a"),
    "healed-b": count("healed-b"),
    fields: count("fields"),
    gap: count("gap"),
    limit: count("limit"),
    broken: count("broken"),
  };
}
