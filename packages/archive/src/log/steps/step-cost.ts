// How well a mark fits a step: by what the runner prints for a step of that name, and by the step's times. The numbers are
// weights, not probabilities: a name that is printed outweighs any time, a kind outweighs some seconds, and a step is rather not
// found than found far from its time.

import { isAction, type MarkKind, type StepMark } from "../text/step-marks.ts";

/** A step of the job object; what GitHub left out is null. */
export type JobStep = {
  readonly step_number: number;
  readonly step_name: string | null;
  readonly conclusion: string | null;
  readonly started_at: string | null;
  readonly completed_at: string | null;
};

type Role = "set-up" | "complete" | "hook" | "containers" | "stop-containers" | "pull" | "build" | "post" | "main";

export type Step = {
  readonly number: number;
  readonly name: string;
  readonly role: Role;
  /** False: GitHub does not list it, its lines have no number. */
  readonly isListed: boolean;
  /** Skipped, or never begun: it prints nothing unless debugging is on. */
  readonly isSilent: boolean;
  /**
   * Neither begun nor ended in the job object: it never ran, or the object is older than the step. The last steps of a `completed`
   * delivery can be queued in it still.
   */
  readonly isPending: boolean;
  /** Begun and not ended in the job object. */
  readonly isOpen: boolean;
  /** It failed or was cancelled: an error may be all that it says. */
  readonly isBroken: boolean;
  readonly conclusion: string | null;
  /** The steps before it in the job object. */
  readonly before: readonly JobStep[];
  /** The workflow may have given a post step's name to one of its own: the numbers of post steps leave a gap (CreatePostChild). */
  readonly mayBeMain: boolean;
  /** It is called a post step, and stands where they do. */
  readonly mayBePost: boolean;
  readonly startMs: number | undefined;
  /** Undefined too when it is before the start. */
  readonly endMs: number | undefined;
};

const mayHaveRun: ReadonlySet<string | null> = new Set(["success", "failure", null]);

/** For `map` over the list of steps, in order: a step is also what its place in the list shows. */
export function stepOf(step: JobStep, index: number, all: readonly JobStep[]): Step {
  const name = step.step_name ?? "";
  const [startMs, endMs] = [instant(step.started_at), instant(step.completed_at)];
  return {
    number: step.step_number,
    name,
    role: roleOf(name, index, all),
    isListed: true,
    isSilent: step.conclusion === "skipped" || (startMs === undefined && !mayHaveRun.has(step.conclusion)),
    isPending: startMs === undefined && step.conclusion === null,
    isOpen: startMs !== undefined && step.completed_at === null && step.conclusion === null,
    isBroken: step.conclusion === "failure" || step.conclusion === "cancelled",
    conclusion: step.conclusion,
    before: all.slice(0, index),
    mayBeMain: isNextToMain(index, all),
    mayBePost: isCalledPost(name, index, all),
    startMs,
    endMs: startMs !== undefined && endMs !== undefined && endMs >= startMs ? endMs : undefined,
  };
}

// The runner's own steps have names that a workflow can give to others, hence place or a second name where there is one.
function roleOf(name: string, index: number, all: readonly JobStep[]): Role {
  if (index === 0 && name === "Set up job") return "set-up";
  if (index === all.length - 1 && name === "Complete job") return "complete";
  if (name === "Set up runner" || name === "Complete runner") return "hook";
  if (name === "Initialize containers") return "containers";
  if (name === "Stop containers") return "stop-containers";
  if (name.startsWith("Pull ")) return "pull";
  if (name.startsWith("Build ")) return "build";
  if (!isCalledPost(name, index, all)) return "main";
  const main = name.slice("Post ".length);
  return all.slice(0, index).some(({ step_name }) => step_name === main || step_name === `Pre ${main}`) ? "post" : "main";
}

function isCalledPost(name: string, index: number, all: readonly JobStep[]): boolean {
  return name.startsWith("Post ") && all.slice(index + 1).every(({ step_name }) => isOfTheEnd(step_name ?? ""));
}

/** After the steps of the workflow come post steps and the runner's own, and nothing else. */
function isOfTheEnd(name: string): boolean {
  return name.startsWith("Post ") || lastNames.has(name);
}

/** Whether no number is left out between it and the last step of the workflow. */
function isNextToMain(index: number, all: readonly JobStep[]): boolean {
  const main = all.findLastIndex(({ step_name }) => !isOfTheEnd(step_name ?? ""));
  return (all[index]?.step_number ?? 0) - (all[main]?.step_number ?? 0) === index - main;
}

const lastNames = new Set(["Stop containers", "Create custom image", "Complete runner", "Complete job"]);

const [best, good, fair, weak] = [10, 8, 6, 2];
const sameName = 6;
/** A line of a step that waits and names no other step. */
const unnamed = 3;
/** A step that has output and no place. */
const unfound = 2;
/**
 * A mark inside a step that can hold none: output that looks like the runner's. It costs once a step: where there is one such
 * line there may be thousands, and they must not outweigh the steps.
 */
const [faked, impossible] = [3, 20];
/** A mark inside a composite action, which the runner says itself; a group whose first line is none of the runner's. */
const [nested, oddHead] = [8, 4];

/** What it costs that a step has no place in the log. */
export function unfoundCost(step: Step, endMs: number): number {
  return step.isSilent || !step.isListed || mayBeAbsent(step, endMs) ? 0 : unfound;
}

/**
 * Whether a step that has not ended in the job object may have printed nothing: it never began, or the log, whose last line is of the
 * second `endMs`, was cut before its first line. Only a step in the background prints between that and the step's start.
 */
export function mayBeAbsent({ isPending, isOpen, startMs }: Step, endMs: number): boolean {
  return isPending || (isOpen && (startMs === undefined || endMs <= startMs + 1000));
}

/** Whose step a mark may stand inside of, without beginning one; what each holds is in `costInside`. */
export const owners = ["none", "set-up", "plain", "faking", "composite", "cleaning", "stopping", "completing"] as const;
export type Owner = (typeof owners)[number];

/** What the step that begins at `mark` is for the marks after it. `holdsPosts`: of a post step, when its main step shows it. */
export function ownerOf({ kind, holdsMarks }: StepMark, holdsPosts: boolean | undefined): Owner {
  if (kind === "post" && holdsPosts !== undefined) return holdsPosts ? "cleaning" : "plain";
  if (kind === "set-up") return "set-up";
  // Its own marks follow.
  if (kind === "debug") return "faking";
  if (kind === "stop-containers") return "stopping";
  if (kind === "complete") return holdsMarks ? "completing" : "plain";
  if (kind === "post") return holdsMarks ? "cleaning" : "plain";
  return holdsMarks ? "composite" : "plain";
}

const startsOfSteps: ReadonlySet<MarkKind> = new Set(["run", "post", "complete", "stop-containers", "control", "prepare"]);

/** What it costs that `mark` stands inside the step of `owner`, and what that step is from then on. */
export function costInside({ kind, isNested }: StepMark, owner: Owner): { readonly cost: number; readonly owner: Owner } {
  if (isNested || !startsOfSteps.has(kind)) return { cost: 0, owner };
  switch (owner) {
    case "none":
      return { cost: 0, owner };
    case "set-up":
      // The runner alone speaks here.
      return { cost: impossible, owner };
    case "composite":
      if (kind === "run" || kind === "prepare") return { cost: 0, owner };
      break;
    case "cleaning":
      if (kind === "post") return { cost: 0, owner };
      break;
    case "stopping":
      if (kind === "stop-containers") return { cost: 0, owner };
      break;
    case "completing":
      if (kind === "complete") return { cost: 0, owner };
      break;
    case "faking":
      return { cost: 0, owner };
    case "plain":
  }
  return { cost: faked, owner: "faking" };
}

const kindsOfRole: Readonly<Record<Role, Partial<Record<MarkKind, number>>>> = {
  "set-up": { "set-up": best },
  complete: { complete: best },
  hook: { hook: good, run: weak },
  containers: { containers: good, "hook-run": good, run: weak },
  "stop-containers": { "stop-containers": good, "hook-run": good, run: weak },
  pull: { pull: good, run: fair },
  build: { build: good, run: fair },
  post: { post: good },
  main: { run: fair, post: fair, control: fair, prepare: fair, "hook-run": weak },
};

/** Whether `step` may begin at `mark` at all. */
export function canBegin(step: Step, mark: StepMark): boolean {
  if (mark.kind === "debug") return mark.title === step.name;
  if (step.isSilent) return false;
  if (mark.kind === "error") return step.isBroken && step.role !== "set-up" && step.role !== "complete";
  if (step.role === "main" && mark.kind === "post") return step.mayBePost;
  if (step.role === "post" && mark.kind === "run") return step.mayBeMain;
  return kindsOfRole[step.role][mark.kind] !== undefined;
}

/** How well it begins there; only for those that can. */
export function fit(step: Step, mark: StepMark): number {
  const time = timeFit(step, mark.ms) - (mark.isNested ? nested : 0);
  if (mark.kind === "debug") return best + sameName + time;
  if (mark.kind === "error") return weak + time;
  const kind = kindsOfRole[step.role][mark.kind] ?? (step.role === "post" ? good : 0);
  if (mark.kind === "control") return kind + time + controlFit(step, mark.title);
  if (mark.kind === "prepare") return kind + time + localFit(step.name);
  if (mark.kind !== "run") return kind + time;
  return kind + time + nameFit(step.name, mark.title) - (mark.head === "other" ? oddHead : 0);
}

// A step without a name of its own is called what its group is called: `Run actions/checkout@v4`, `Run npm ci`.
function nameFit(name: string, title: string): number {
  const own = plain(name.startsWith("Pre Run ") ? name.slice("Pre ".length) : name);
  if (own === plain(title)) return sameName;
  if (!own.startsWith("Run ")) return 0;
  return isAction(own.slice("Run ".length)) ? -2 * sameName : -1;
}

// A step that waits or cancels has a name of its own, or the runner's (JobExtension.InitializeJob); its line names steps before it.
function controlFit({ name, before }: Step, title: string): number {
  const isOfAll = title.startsWith("No ") || title.startsWith("Waiting for all ");
  if (isOfAll && name === "Wait for all background steps") return sameName;
  if (name.startsWith("Run ")) return -sameName;
  if (title.startsWith("No ")) return -unnamed;
  return listsOnly(title.slice(title.indexOf(": ") + 2), before) ? 0 : -sameName;
}

/** Whether `list` is names of `steps`, with `, ` between them. */
function listsOnly(list: string, steps: readonly JobStep[]): boolean {
  let rest = `${list}, `;
  for (;;) {
    const longest = steps.reduce((known, { step_name }) => {
      const name = step_name ?? "";
      return name.length > known.length && rest.startsWith(`${name}, `) ? name : known;
    }, "");
    if (longest === "") return rest === "" || list === "(none)";
    rest = rest.slice(longest.length + 2);
  }
}

// Only a local action's step begins by getting actions.
function localFit(name: string): number {
  if (!name.startsWith("Run ")) return 0;
  return isAction(name.slice("Run ".length)) && name.startsWith("Run ./") ? sameName : -2 * sameName;
}

// Names of old runners have `/./` for a path in the repository, and images lack `docker://`.
function plain(name: string): string {
  return name
    .replace(/^Run docker:\/\//, "Run ")
    .replace(/^Run \/\.\//, "Run ./")
    .slice(0, 200)
    .trim();
}

// Times of steps are whole seconds, some rounded and some cut, by the clock that also stamps the lines: a step's first line
// came 0.4 s before to 0.9 s after its start in recorded jobs. Later is possible (the runner evaluates `hashFiles` first),
// earlier hardly, after the end not at all.
function timeFit({ startMs, endMs }: Step, ms: number | undefined): number {
  if (startMs === undefined) return 0;
  // Not known, for the clock was set back: no better than a mark some seconds late.
  if (ms === undefined || Number.isNaN(ms)) return -1;
  const seconds = (ms - startMs) / 1000;
  const isAfterEnd = endMs !== undefined && ms > endMs + 1250;
  if (seconds < -1) return -Math.min(10, 1 + 2 * (-1 - seconds)) - (isAfterEnd ? 6 : 0);
  const late = seconds > 1.25 ? Math.min(6, 0.2 * (Math.min(seconds, 5) - 1.25) + 0.6 * Math.max(0, seconds - 5)) : 0;
  return -0.3 * Math.min(1, Math.abs(seconds - 0.25)) - late - (isAfterEnd ? 6 : 0);
}

function instant(time: string | null): number | undefined {
  const ms = time === null ? Number.NaN : Date.parse(time);
  return Number.isNaN(ms) ? undefined : ms;
}
