// Scores how well a mark fits a step, by the text that the runner prints for the step and by the step's times. The numbers are
// weights, not probabilities: a printed name outweighs any time, a kind outweighs some seconds, and a step is left unassigned
// rather than placed far from its time.

import { isAction, type MarkKind, type StepMark } from "../text/step-marks.ts";

/** A step of the job object; null where GitHub sends no value. */
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
  /** False if GitHub does not list the step; its lines then have no step number. */
  readonly isListed: boolean;
  /** The step was skipped or never began: it prints nothing unless step debugging is on. */
  readonly isSilent: boolean;
  /**
   * Neither begun nor ended in the job object: the step never ran, or the object is older than the step. The last steps can still be
   * queued in a `completed` delivery.
   */
  readonly isPending: boolean;
  /** Begun and not ended in the job object. */
  readonly isOpen: boolean;
  /** The step failed or was cancelled: an error may be its only line. */
  readonly isBroken: boolean;
  readonly conclusion: string | null;
  /** The steps before it in the job object. */
  readonly before: readonly JobStep[];
  /** A post step's name that the workflow may have given to a main step: real post steps leave a gap in the numbers (CreatePostChild). */
  readonly mayBeMain: boolean;
  /** The step has the name and the position of a post step. */
  readonly mayBePost: boolean;
  readonly startMs: number | undefined;
  /** Also undefined if it is before the start. */
  readonly endMs: number | undefined;
};

const mayHaveRun: ReadonlySet<string | null> = new Set(["success", "failure", null]);

/** Converts one step. A callback for `map` over the steps in order, since the role also depends on the position. */
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

// A workflow can give the names of the runner's own steps to others, so position or a second name is checked where there is one.
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

/** Only post steps and the runner's own steps come after the workflow's steps. */
function isOfTheEnd(name: string): boolean {
  return name.startsWith("Post ") || lastNames.has(name);
}

/** Whether the numbers between this step and the workflow's last step have no gap. */
function isNextToMain(index: number, all: readonly JobStep[]): boolean {
  const main = all.findLastIndex(({ step_name }) => !isOfTheEnd(step_name ?? ""));
  return (all[index]?.step_number ?? 0) - (all[main]?.step_number ?? 0) === index - main;
}

const lastNames = new Set(["Stop containers", "Create custom image", "Complete runner", "Complete job"]);

const [best, good, fair, weak] = [10, 8, 6, 2];
const sameName = 6;
/** Cost of a control line that names no other step. */
const unnamed = 3;
/** Cost of a step with output but without a place. */
const unfound = 2;
/**
 * Cost of a mark inside a step that cannot contain one, which is output that resembles the runner's. It counts once per step: one such
 * line is often followed by thousands, which must not outweigh the steps.
 */
const [faked, impossible] = [3, 20];
/** Costs of a mark that the runner marks as nested in a composite action, and of a group whose first line is not the runner's. */
const [nested, oddHead] = [8, 4];

/** The cost of a step without a place in the log. */
export function unfoundCost(step: Step, endMs: number): number {
  return step.isSilent || !step.isListed || mayBeAbsent(step, endMs) ? 0 : unfound;
}

/**
 * Whether a step that has not ended in the job object may have printed nothing: it never began, or the log, whose last line has the
 * second `endMs`, was truncated before its first line. Only a background step prints between that line and the step's start.
 */
export function mayBeAbsent({ isPending, isOpen, startMs }: Step, endMs: number): boolean {
  return isPending || (isOpen && (startMs === undefined || endMs <= startMs + 1000));
}

/** The kinds of steps that a mark can be inside of. `costInside` defines which marks each can contain. */
export const owners = ["none", "set-up", "plain", "faking", "composite", "cleaning", "stopping", "completing"] as const;
export type Owner = (typeof owners)[number];

/** The owner of the marks after `mark` if a step begins there. @param holdsPosts for a post step, if its main step shows it. */
export function ownerOf({ kind, holdsMarks }: StepMark, holdsPosts: boolean | undefined): Owner {
  if (kind === "post" && holdsPosts !== undefined) return holdsPosts ? "cleaning" : "plain";
  if (kind === "set-up") return "set-up";
  // The step's own marks follow.
  if (kind === "debug") return "faking";
  if (kind === "stop-containers") return "stopping";
  if (kind === "complete") return holdsMarks ? "completing" : "plain";
  if (kind === "post") return holdsMarks ? "cleaning" : "plain";
  return holdsMarks ? "composite" : "plain";
}

const startsOfSteps: ReadonlySet<MarkKind> = new Set(["run", "post", "complete", "stop-containers", "control", "prepare"]);

/** The cost of `mark` inside the step of `owner`, and the owner afterwards. */
export function costInside({ kind, isNested }: StepMark, owner: Owner): { readonly cost: number; readonly owner: Owner } {
  if (isNested || !startsOfSteps.has(kind)) return { cost: 0, owner };
  switch (owner) {
    case "none":
      return { cost: 0, owner };
    case "set-up":
      // Only the runner prints here.
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

/** Whether `step` can begin at `mark`. */
export function canBegin(step: Step, mark: StepMark): boolean {
  if (mark.kind === "debug") return mark.title === step.name;
  if (step.isSilent) return false;
  if (mark.kind === "error") return step.isBroken && step.role !== "set-up" && step.role !== "complete";
  if (step.role === "main" && mark.kind === "post") return step.mayBePost;
  if (step.role === "post" && mark.kind === "run") return step.mayBeMain;
  return kindsOfRole[step.role][mark.kind] !== undefined;
}

/** The score of `step` at `mark`, where `canBegin` must be true. */
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

// A step without a configured name has the title of its group: `Run actions/checkout@v4`, `Run npm ci`.
function nameFit(name: string, title: string): number {
  const own = plain(name.startsWith("Pre Run ") ? name.slice("Pre ".length) : name);
  if (own === plain(title)) return sameName;
  if (!own.startsWith("Run ")) return 0;
  return isAction(own.slice("Run ".length)) ? -2 * sameName : -1;
}

// A control step has a configured name or the runner's (JobExtension.InitializeJob); its line names steps before it.
function controlFit({ name, before }: Step, title: string): number {
  const isOfAll = title.startsWith("No ") || title.startsWith("Waiting for all ");
  if (isOfAll && name === "Wait for all background steps") return sameName;
  if (name.startsWith("Run ")) return -sameName;
  if (title.startsWith("No ")) return -unnamed;
  return listsOnly(title.slice(title.indexOf(": ") + 2), before) ? 0 : -sameName;
}

/** Whether `list` consists of names of `steps`, separated by `, `. Takes the longest matching name, since a name may contain `, `. */
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

// Only the step of a local action begins by downloading actions.
function localFit(name: string): number {
  if (!name.startsWith("Run ")) return 0;
  return isAction(name.slice("Run ".length)) && name.startsWith("Run ./") ? sameName : -2 * sameName;
}

// Old runners print `/./` before a path in the repository, and print images without `docker://`.
function plain(name: string): string {
  return name
    .replace(/^Run docker:\/\//, "Run ")
    .replace(/^Run \/\.\//, "Run ./")
    .slice(0, 200)
    .trim();
}

// Steps' times are whole seconds, some rounded and some truncated, from the clock that also stamps the lines. In recorded jobs a
// step's first line came between 0.4 s before and 0.9 s after its start. It can be later (the runner evaluates `hashFiles` first), is
// rarely earlier, and is never after the end.
function timeFit({ startMs, endMs }: Step, ms: number | undefined): number {
  if (startMs === undefined) return 0;
  // Unknown, since the clock was set back: scored like a mark that is some seconds late.
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
