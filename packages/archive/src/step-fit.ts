// How well a mark fits a step: by what the runner prints for a step of that name, and by the step's times. The numbers are
// weights, not probabilities: a name that is printed outweighs any time, a kind outweighs some seconds, and a step is rather not
// found than found far from its time.

import { isAction, type MarkKind, type StepMark } from "./step-marks.ts";

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
  /** It failed or was stopped: an error may be all that it says. */
  readonly isBroken: boolean;
  readonly startMs: number | undefined;
  /** Undefined too when it is before the start. */
  readonly endMs: number | undefined;
};

/** For `map` over the list of steps, in order: a step is also what its place in the list shows. */
export function stepOf(step: JobStep, index: number, all: readonly JobStep[]): Step {
  const name = step.step_name ?? "";
  const [startMs, endMs] = [instant(step.started_at), instant(step.completed_at)];
  return {
    number: step.step_number,
    name,
    role: roleOf(name, index, all),
    isListed: true,
    isSilent:
      step.conclusion === "skipped" || (startMs === undefined && step.conclusion !== "success" && step.conclusion !== "failure"),
    isBroken: step.conclusion !== "success" && step.conclusion !== "skipped",
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
  if (!name.startsWith("Post ")) return "main";
  const main = name.slice("Post ".length);
  return all.slice(0, index).some(({ step_name }) => step_name === main || step_name === `Pre ${main}`) ? "post" : "main";
}

const [best, good, fair, weak] = [10, 8, 6, 2];
const sameName = 6;
/** A step that has output and no place. */
const unfound = 2;
/**
 * A mark inside a step that can hold none: output that looks like the runner's. It costs once a step: where there is one such
 * line there may be thousands, and they must not outweigh the steps.
 */
const [faked, impossible] = [3, 20];
/** A mark inside a composite action, which the runner says itself; a group whose first line is none of the runner's. */
const [nested, oddHead] = [8, 2];

/** What it costs that a step has no place in the log. */
export function unfoundCost({ isSilent, isListed }: Step): number {
  return isSilent || !isListed ? 0 : unfound;
}

/** Whose step a mark may stand inside of, without beginning one; what each holds is in `costInside`. */
export const owners = ["nobody", "set-up", "plain", "faking", "composite", "stopping", "completing"] as const;
export type Owner = (typeof owners)[number];

/** What the step that begins at `mark` is for the marks after it. */
export function ownerOf({ kind, holdsMarks }: StepMark): Owner {
  if (kind === "set-up") return "set-up";
  if (kind === "stop-containers") return "stopping";
  if (kind === "complete") return holdsMarks ? "completing" : "plain";
  return holdsMarks ? "composite" : "plain";
}

/** What it costs that `mark` stands inside the step of `owner`, and what that step is from then on. */
export function costInside({ kind, isNested }: StepMark, owner: Owner): { readonly cost: number; readonly owner: Owner } {
  if (isNested || !(kind === "run" || kind === "post" || kind === "complete" || kind === "stop-containers"))
    return { cost: 0, owner };
  switch (owner) {
    case "nobody":
      return { cost: 0, owner };
    case "set-up":
      // The runner alone speaks here.
      return { cost: impossible, owner };
    case "composite":
      if (kind === "run" || kind === "post") return { cost: 0, owner };
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
  return { cost: faked, owner: owner === "plain" ? "faking" : owner };
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
  main: { run: fair, post: fair, "hook-run": weak },
};

/** Whether `step` may begin at `mark` at all. */
export function canBegin(step: Step, mark: StepMark): boolean {
  if (mark.kind === "debug") return mark.title === step.name;
  if (step.isSilent) return false;
  if (mark.kind === "error") return step.isBroken && step.role !== "set-up" && step.role !== "complete";
  if (step.role === "main" && mark.kind === "post") return step.name.startsWith("Post ");
  return kindsOfRole[step.role][mark.kind] !== undefined;
}

/** How well it begins there; only for those that can. */
export function fit(step: Step, mark: StepMark): number {
  const time = timeFit(step, mark.ms) - (mark.isNested ? nested : 0);
  if (mark.kind === "debug") return best + sameName + time;
  if (mark.kind === "error") return weak + time;
  const kind = kindsOfRole[step.role][mark.kind] ?? 0;
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
  if (startMs === undefined || ms === undefined || Number.isNaN(ms)) return 0;
  const seconds = (ms - startMs) / 1000;
  const isAfterEnd = endMs !== undefined && ms > endMs + 1250;
  if (seconds < -1) return -Math.min(10, 1 + 2 * (-1 - seconds)) - (isAfterEnd ? 6 : 0);
  const late = seconds > 1.25 ? Math.min(6, 0.5 + 0.5 * (seconds - 1.25)) : 0;
  return -0.3 * Math.min(1, Math.abs(seconds - 0.25)) - late - (isAfterEnd ? 6 : 0);
}

function instant(time: string | null): number | undefined {
  const ms = time === null ? Number.NaN : Date.parse(time);
  return Number.isNaN(ms) ? undefined : ms;
}
