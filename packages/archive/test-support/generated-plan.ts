// Plans a generated job: its steps, the texts that the runner and the steps print, and how long they take.

import type { Random } from "@actions-archive/github-simulator/random";

export type JobTraits = {
  /** Composite actions, with the markers that the runner prints since 2026 or without them. */
  readonly composites?: "with markers" | "without markers";
  readonly background?: "steps" | "parallel group";
  readonly clock?: "back" | "forward";
  /** The last steps are still in progress or queued in the job object. */
  readonly isLate?: boolean;
  /** The runner dies: the log ends in the middle. */
  readonly isCut?: boolean;
  /** Steps print texts of the runner. */
  readonly isAdversarial?: boolean;
  readonly hasBoms?: boolean;
};

type Output = { readonly text: string; readonly afterMs: number; readonly more: readonly string[] };

export type PlannedStep = {
  readonly number: number;
  readonly name: string;
  readonly conclusion: string;
  readonly isSkipped: boolean;
  readonly isBackground: boolean;
  /** `group`: waits for all steps of a parallel group. */
  readonly control?: "wait" | "group" | "wait-all" | "cancel" | undefined;
  /** Lines that the runner prints before the head when it downloads the actions of a local composite action. */
  readonly prelude: readonly string[];
  /** Duration of the downloads. */
  readonly prepareMs: number;
  /** Expressions such as hashFiles() are evaluated between a step's start and its first line. */
  readonly headDelayMs: number;
  readonly head: readonly string[];
  readonly output: readonly Output[];
  readonly post?: PlannedStep | undefined;
};

export type JobPlan = {
  readonly waiting: readonly string[];
  readonly setUp: PlannedStep;
  readonly main: readonly PlannedStep[];
  readonly complete: PlannedStep;
};

const esc = "\u001b";
const sha = "4c7f0d1e2b3a49586776859403121f2e3d4c5b6a";
const scripts = ["make", "make test", "npm ci", "npm test", "./build.sh --all"];
const actions = ["acme/cache@v4", "acme/set-up@v2", "acme/report@v1", "acme/tools/lint@v3"];
const locals = ["./.github/actions/one", "./.github/actions/two"];
const names = ["Build", "Test", "Lint", "Report, then stop", "Set up", "Post Build"];

const nothing = { isSkipped: false, isBackground: false, prelude: [], prepareMs: 0, headDelayMs: 0, head: [], output: [] };

/** Plans a job. Steps are numbered as by the runner: post steps begin at twice the number of the steps before (CreatePostChild). */
export function planJob(random: Random, traits: JobTraits): JobPlan {
  const planner = new Planner(random, traits);
  const main = planner.main();
  const last = main.at(-1)?.number ?? 1;
  return {
    waiting: ["Requested labels: ubuntu-24.04", "Waiting for a runner to pick up this job..."],
    setUp: {
      ...nothing,
      number: 1,
      name: "Set up job",
      conclusion: "success",
      head: ["Current runner version: '2.336.0'", "##[group]Operating System", "Ubuntu", "##[endgroup]"],
      output: ["Prepare workflow directory", "Prepare all required actions", "Getting action download info"]
        .concat(`Download action repository 'acme/cache@v4' (SHA:${sha})`, "Complete job name: build")
        .map((text) => ({ text, afterMs: random.int(0, 300), more: [] })),
    },
    main: planner.numberPosts(main),
    complete: {
      ...nothing,
      number: 2 * last + main.length + 2,
      name: "Complete job",
      conclusion: "success",
      head: [...(random.chance(0.2) ? ["Evaluate and set job outputs"] : []), "Cleaning up orphan processes"],
      output: random.chance(0.2) ? [{ text: "Terminate orphan process: pid (4711) (node)", afterMs: 20, more: [] }] : [],
    },
  };
}

class Planner {
  readonly #random: Random;
  readonly #traits: JobTraits;
  /** Lines of adversarial steps, including the marks of this job's own steps. */
  readonly #titles: string[] = [];
  #ids = 0;

  constructor(random: Random, traits: JobTraits) {
    this.#random = random;
    this.#traits = traits;
  }

  main(): PlannedStep[] {
    const { background } = this.#traits;
    const kinds = Array.from({ length: this.#random.int(1, 8) }, () => this.#kind());
    const runs = kinds.map((kind) => ({
      kind,
      uses: this.#random.pick({ script: scripts, action: actions, local: locals }[kind]),
    }));
    this.#titles.push(...runs.map(({ uses }) => uses));
    let steps = runs.map(({ kind, uses }) => this.#step(kind, uses));
    if (background === "steps") steps = this.#withBackground(steps);
    if (background === "parallel group") steps = this.#withGroup(steps);
    return steps.map((step, index) => ({ ...step, number: index + 2 }));
  }

  /** Numbers post steps like CreatePostChild: down from twice the number of steps, so that the last registered one comes first. */
  numberPosts(main: readonly PlannedStep[]): PlannedStep[] {
    let next = 2 * ((main.at(-1)?.number ?? 1) + main.length);
    return main.map((step) =>
      step.post === undefined || step.isSkipped
        ? step
        : { ...step, post: { ...step.post, name: `Post ${step.name}`, number: (next -= 1) - main.length } },
    );
  }

  #kind(): "script" | "action" | "local" {
    return this.#random.pick(
      this.#traits.composites === undefined ? ["script", "script", "action"] : ["script", "action", "local", "local"],
    );
  }

  #step(kind: "script" | "action" | "local", uses: string): PlannedStep {
    const random = this.#random;
    const isFailed = random.chance(0.1);
    const isComposite = kind === "local" || (kind === "action" && this.#traits.composites !== undefined && random.chance(0.5));
    const inner = isComposite ? this.#inner(`__${(this.#ids += 1)}`, 1) : undefined;
    const posts = inner?.posts ?? [];
    const hasPost = isComposite ? posts.length > 0 : kind === "action" && random.chance(0.6);
    return {
      ...nothing,
      number: 0,
      name: random.chance(0.5) ? `Run ${uses}` : random.pick(names),
      conclusion: isFailed ? "failure" : random.chance(0.03) ? "cancelled" : "success",
      isSkipped: random.chance(0.12),
      prelude:
        kind === "local"
          ? [
              "Prepare all required actions",
              "Getting action download info",
              `Download action repository 'acme/cache@v4' (SHA:${sha})`,
            ]
          : [],
      prepareMs: kind === "local" ? random.int(5, 900) : 0,
      headDelayMs: random.chance(0.05) ? random.int(200, 4_000) : 0,
      head: kind === "script" ? scriptHead(uses) : actionHead(uses),
      output: [
        ...(inner?.output ?? this.#output(random.int(0, 6))),
        ...(isFailed ? ["##[error]it failed", "##[error]Process completed with exit code 1."].map((text) => at(text, 3)) : []),
      ],
      // A composite action's post step prints nothing itself (CompositeActionHandler).
      post: hasPost ? this.#post(isComposite ? posts : this.#output(random.int(0, 2))) : undefined,
    };
  }

  #post(output: readonly Output[]): PlannedStep {
    return { ...nothing, number: 0, name: "", conclusion: "success", head: ["Post job cleanup."], output };
  }

  /** The steps inside a composite action, and the lines that its post step prints for them. */
  #inner(scope: string, depth: number): { output: Output[]; posts: Output[] } {
    const random = this.#random;
    const [output, posts]: [Output[], Output[]] = [[], []];
    for (let index = random.int(1, 3); index > 0; index -= 1) {
      const id = `${scope}.__${(this.#ids += 1)}`;
      const isSkipped = random.chance(0.15);
      const marked = (lines: readonly Output[], conclusion = "success") =>
        this.#traits.composites === "with markers"
          ? [
              at(`##[start-action display=${random.pick(names)};id=${id}]`, random.int(0, 2)),
              ...lines,
              at(`##[end-action id=${id};outcome=${conclusion};conclusion=${conclusion};duration_ms=3]`, 1),
            ]
          : lines;
      if (isSkipped) output.push(...marked([], "skipped"));
      else if (depth < 3 && random.chance(0.2)) {
        const inside = this.#inner(id, depth + 1);
        output.push(...marked([...actionHead(random.pick(actions)).map((text) => at(text, 0)), ...inside.output]));
        if (inside.posts.length > 0) posts.unshift(...marked([at("Post job cleanup.", random.int(0, 3)), ...inside.posts]));
      } else {
        const isAction = random.chance(0.6);
        const head = isAction ? actionHead(random.pick(actions)) : scriptHead(random.pick(scripts));
        output.push(...marked([...head.map((text) => at(text, 0)), ...this.#output(random.int(0, 3))]));
        if (isAction && random.chance(0.5))
          posts.unshift(...marked([at("Post job cleanup.", random.int(0, 3)), ...this.#output(random.int(0, 2))]));
      }
    }
    return { output, posts };
  }

  #output(count: number): Output[] {
    const random = this.#random;
    // Most steps are short: many begin and end within one second.
    const scale = random.pick([3, 30, 200, 1_500, 10_000, 60_000]);
    return Array.from({ length: count }, (_, index) => {
      const text =
        this.#traits.isAdversarial && random.chance(0.3)
          ? this.#fake()
          : random.chance(0.06)
            ? "##[warning]mind this"
            : `output ${index}`;
      const more = random.chance(0.04)
        ? ["a second line", this.#traits.isAdversarial ? this.#fake() : "", "##[group]Run make"]
        : [];
      return at(text, random.int(0, scale), more);
    });
  }

  // Not generated, since log and job object do not determine it: a main step that prints "Post job cleanup." within the second in which the
  // post step of a composite action begins. A runner can print both orders, since such a post step has any number of these lines.
  #fake(): string {
    const random = this.#random;
    if (this.#traits.composites === undefined && random.chance(0.1)) return "Post job cleanup.";
    return random.pick([
      `##[group]Run ${random.pick(this.#titles)}`,
      `##[group]Run ${random.pick(scripts)}`,
      "Cleaning up orphan processes",
      "Current runner version: '2.100.0'",
      `Waiting for background step(s) to complete: ${random.pick(names)}`,
      "Waiting for all background step(s) to complete: Build, Test",
      "Finished waiting for background step(s).",
      `Cancelling background step(s): ${random.pick(names)}`,
      "No background steps remaining to wait for.",
      "##[\\start-action display=x;id=a]",
      "##[error]as if a step had failed",
    ]);
  }

  #withBackground(steps: readonly PlannedStep[]): PlannedStep[] {
    const random = this.#random;
    const all: PlannedStep[] = [];
    let open = 0;
    for (const step of steps) {
      const isBackground = !step.isSkipped && random.chance(0.45);
      all.push({ ...step, isBackground });
      if (isBackground) open += 1;
      else if (open > 0 && random.chance(0.3))
        all.push(
          controlStep(random.pick(["wait", "wait-all", "cancel"] as const), random.pick(["Join", "wait", "Stop the server"])),
        );
    }
    return open > 0 ? [...all, controlStep("wait-all", "Wait for all background steps")] : all;
  }

  #withGroup(steps: readonly PlannedStep[]): PlannedStep[] {
    const random = this.#random;
    const size = random.chance(0.1) ? random.int(10, 13) : random.int(2, 4);
    const members: PlannedStep[] = [];
    for (let index = 0; index < size; index += 1) {
      const step = this.#step("script", random.pick(scripts));
      members.push({ ...step, isSkipped: false, isBackground: true });
    }
    const before = random.int(0, steps.length);
    return [...steps.slice(0, before), ...members, controlStep("group", "Parallel group"), ...steps.slice(before)].map(
      (step) => ({ ...step }),
    );
  }
}

function controlStep(control: PlannedStep["control"], name: string): PlannedStep {
  return { ...nothing, number: 0, name, conclusion: "success", control };
}

function at(text: string, afterMs: number, more: readonly string[] = []): Output {
  return { text, afterMs, more };
}

function scriptHead(run: string): string[] {
  return [`##[group]Run ${run}`, `${esc}[36;1m${run}${esc}[0m`, "shell: /usr/bin/bash -e {0}", "##[endgroup]"];
}

function actionHead(uses: string): string[] {
  return [`##[group]Run ${uses}`, "with:", "  token: ***", "##[endgroup]"];
}
