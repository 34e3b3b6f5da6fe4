// Generates jobs as actions/runner would run them: a job object, its log, and the step that printed each line. The order of steps, their
// numbers and the texts follow src/Runner.Worker of actions/runner 2.336: StepsRunner, BackgroundStepCoordinator,
// CompositeActionHandler, JobExtension. Steps' times and lines' stamps come from one clock, the runner's (ExecutionContext.Start and
// Complete, PagingLogger.Write).

import { createRandom, type Random } from "@actions-archive/github-simulator/random";

import type { JobStep } from "../src/log/steps/step-cost.ts";
import { type JobTraits, planJob, type PlannedStep } from "./generated-plan.ts";
import { iso, stamp } from "./log-lines.ts";

/** `ms`: true time. `more`: the further lines of a multi-line value, written in one piece without timestamps. */
type Printed = { readonly ms: number; readonly step: number | null; readonly text: string; readonly more: readonly string[] };
type Ran = { readonly plan: PlannedStep; conclusion: string; startMs: number; endMs: number };

export type GeneratedJob = {
  readonly steps: readonly JobStep[];
  readonly bytes: Buffer;
  /** The step of each line; null for lines before the runner's. */
  readonly owners: readonly (number | null)[];
  readonly texts: readonly string[];
};

/** Generates a job. Deterministic for `seed` and `traits`. */
export function generateJob(seed: number, traits: JobTraits): GeneratedJob {
  const random = createRandom(seed);
  const runner = new Runner(random, traits);
  runner.run();
  return runner.report();
}

class Runner {
  readonly #random: Random;
  readonly #traits: JobTraits;
  #lines: Printed[] = [];
  readonly #ran: Ran[] = [];
  readonly #posts: PlannedStep[] = [];
  readonly #background = new Map<number, Ran>();
  readonly #waited = new Set<number>();
  #now = 0;

  constructor(random: Random, traits: JobTraits) {
    this.#random = random;
    this.#traits = traits;
  }

  run(): void {
    const plan = planJob(this.#random, this.#traits);
    if (this.#random.chance(0.3)) for (const text of plan.waiting) this.#print(null, -this.#random.int(600, 9_000), text);
    this.#foreground(plan.setUp);
    for (const step of plan.main) {
      if (step.isSkipped) this.#ran.push({ plan: step, conclusion: "skipped", startMs: this.#now, endMs: this.#now });
      else if (step.control !== undefined) this.#control(step);
      else if (step.isBackground) this.#startBackground(step);
      else this.#foreground(step);
      if (step.post !== undefined && !step.isSkipped) this.#posts.unshift(step.post);
      this.#now += this.#random.int(1, 8);
    }
    for (const post of this.#posts) {
      this.#foreground(post);
      this.#now += this.#random.int(1, 8);
    }
    this.#foreground(plan.complete);
  }

  /** The job object as GitHub lists it, and the log in the order of true time. */
  report(): GeneratedJob {
    const { cutMs, late } = this.#ending();
    const lines = this.#lines
      .filter(({ ms }) => ms <= cutMs)
      .map((line, index) => ({ line, index }))
      .toSorted((a, b) => a.line.ms - b.line.ms || a.index - b.index)
      .map(({ line }) => line);
    const clock = this.#clock();
    const printed = lines.flatMap(({ ms, step, text, more }) => [
      { step, text, start: this.#bom() + stamp(clock(ms) / 1000) },
      ...more.map((rest) => ({ step, text: rest, start: "" })),
    ]);
    const steps = this.#ran
      .toSorted((a, b) => a.plan.number - b.plan.number)
      .map((ran, index) => this.#listed(ran, { clock, cutMs, lateness: index - late }));
    return {
      steps,
      bytes: Buffer.from(printed.map(({ start, text }) => `${start}${text}\n`).join("")),
      owners: printed.map(({ step }) => step),
      texts: printed.map(({ text }) => text),
    };
  }

  #ending(): { cutMs: number; late: number } {
    const cutMs = this.#traits.isCut ? this.#random.int(1_000, Math.max(1_001, this.#now)) : Infinity;
    const late = this.#traits.isLate ? Math.max(1, this.#ran.length - this.#random.int(1, 4)) : Infinity;
    return { cutMs, late };
  }

  #listed(
    { plan, conclusion, startMs, endMs }: Ran,
    { clock, cutMs, lateness }: { clock: (ms: number) => number; cutMs: number; lateness: number },
  ): JobStep {
    const round = () => (this.#random.chance(0.5) ? Math.floor : Math.round);
    const second = (ms: number) => iso(round()(clock(ms) / 1000));
    const listed = { step_number: plan.number, step_name: plan.name };
    const started_at = second(startMs);
    if (startMs > cutMs || lateness > 0)
      return {
        ...listed,
        conclusion: startMs > cutMs && this.#random.chance(0.5) ? "cancelled" : null,
        started_at: null,
        completed_at: null,
      };
    // A skipped step takes no time.
    if (endMs > cutMs || (lateness === 0 && conclusion !== "skipped"))
      return { ...listed, conclusion: null, started_at, completed_at: null };
    return { ...listed, conclusion, started_at, completed_at: second(endMs) };
  }

  /** Converts true time to the runner's clock. */
  #clock(): (ms: number) => number {
    const { clock } = this.#traits;
    if (clock === undefined) return (ms) => ms;
    const jumps = Array.from({ length: this.#random.int(1, 2) }, () => ({
      atMs: this.#random.int(0, Math.max(1, this.#now)),
      byMs: this.#random.int(2_000, 600_000) * (clock === "back" ? -1 : 1),
    }));
    return (ms) => jumps.reduce((at, { atMs, byMs }) => (ms >= atMs ? at + byMs : at), ms);
  }

  #bom(): string {
    return this.#traits.hasBoms && this.#random.chance(0.1) ? "\uFEFF" : "";
  }

  #print(step: number | null, ms: number, text: string, more: readonly string[] = []): void {
    this.#lines.push({ ms, step, text, more });
  }

  #foreground(plan: PlannedStep): void {
    const ran: Ran = { plan, conclusion: plan.conclusion, startMs: this.#now, endMs: this.#now };
    this.#ran.push(ran);
    ran.endMs = this.#body(plan, this.#now).endMs;
    this.#now = ran.endMs;
  }

  // The step's first line comes before the next step begins, unless it waits for a slot.
  #startBackground(plan: PlannedStep): void {
    const ends = [...this.#background.values()].map(({ endMs }) => endMs).filter((endMs) => endMs > this.#now);
    const slots = 10;
    const startMs = ends.length < slots ? this.#now : (ends.toSorted((a, b) => a - b)[ends.length - slots] ?? this.#now) + 1;
    const { saidMs, endMs } = this.#body(plan, startMs);
    const ran = { plan, conclusion: plan.conclusion, startMs, endMs };
    this.#ran.push(ran);
    this.#background.set(plan.number, ran);
    if (startMs === this.#now) this.#now = saidMs;
  }

  #control({ number, name, control, ...plan }: PlannedStep): void {
    const startMs = this.#now;
    const open = [...this.#background.keys()].filter((key) => !this.#waited.has(key));
    const chosen =
      control === "wait-all" || control === "group" ? open : open.slice(0, this.#random.int(1, Math.max(1, open.length)));
    const say = (text: string) => this.#print(number, this.#now, text);
    for (const key of chosen) this.#waited.add(key);
    const waited = chosen.flatMap((key) => this.#background.get(key) ?? []);
    const list = waited.map((ran) => ran.plan.name).join(", ");
    if (control === "cancel") {
      say(`Cancelling background step(s): ${list || "(none)"}`);
      for (const ran of waited) this.#cancel(ran);
      say("Finished cancelling background step(s).");
    } else {
      if (control !== "wait-all") say(`Waiting for background step(s) to complete: ${list || "(none)"}`);
      else
        say(
          chosen.length > 0
            ? `Waiting for all background step(s) to complete: ${list}`
            : "No background steps remaining to wait for.",
        );
      this.#now = Math.max(this.#now, ...waited.map(({ endMs }) => endMs)) + 1;
      say(`Finished waiting for ${control === "wait-all" ? "all " : ""}background step(s).`);
    }
    const results: Record<string, string> = { success: "Succeeded", failure: "Failed", cancelled: "Canceled" };
    for (const ran of waited) say(`  ${ran.plan.name}: ${results[ran.conclusion] ?? "Unknown"}`);
    const conclusion = control !== "cancel" && waited.some((ran) => ran.conclusion === "failure") ? "failure" : "success";
    this.#ran.push({ plan: { ...plan, number, name, control }, conclusion, startMs, endMs: this.#now });
  }

  // The runner waits 7.5 seconds; a process that does not end continues to print for some seconds.
  #cancel(ran: Ran): void {
    if (ran.endMs <= this.#now) return;
    const takes = this.#random.pick([20, 300, 2_000, 9_000]);
    const end = Math.min(ran.endMs, this.#now + takes);
    this.#lines = this.#lines.filter(({ step, ms }) => step !== ran.plan.number || ms <= end);
    ran.endMs = end;
    ran.conclusion = "cancelled";
    this.#now = Math.max(this.#now + 1, Math.min(end, this.#now + 7_500));
  }

  /** `saidMs`: when it has said what it says at once. */
  #body(plan: PlannedStep, startMs: number): { saidMs: number; endMs: number } {
    let ms = startMs + this.#random.int(0, 3) + plan.headDelayMs;
    for (const text of plan.prelude) this.#print(plan.number, ms, text);
    const preludeMs = ms;
    ms += plan.prepareMs;
    for (const text of plan.head) this.#print(plan.number, ms, text);
    const saidMs = (plan.prelude.length > 0 ? preludeMs : ms) + 1;
    for (const { text, afterMs, more } of plan.output) {
      ms += afterMs;
      this.#print(plan.number, ms, text, more);
    }
    return { saidMs, endMs: ms + this.#random.int(1, 4) };
  }
}
