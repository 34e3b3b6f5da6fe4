// Derives a record's facts from a log's text: sections, groups, action uses and annotations, each with its step.

import type { ActionUse, LogRecord, Section } from "../../record/record.ts";
import type { LogTotals } from "../log-format.ts";
import { errorsOfFailedSteps } from "../steps/failed-steps.ts";
import { splitLog } from "../steps/split-log.ts";
import type { JobStep } from "../steps/step-cost.ts";
import type { LogText } from "../text/log-text.ts";
import { splitImage } from "../text/pulled-image.ts";

type Extracted = Pick<
  LogRecord,
  "sections" | "groups" | "action_uses" | "annotations" | "runner" | "token_permissions" | "locked_actions" | "left_out"
>;
export type LogFacts = { [K in keyof Extracted]-?: NonNullable<Extracted[K]> };

const maxUses = 1_000;

/** Derives the facts of one log. Pure. @param steps the job object's steps, in any order. */
export function logFacts(totals: Pick<LogTotals, "text" | "lines" | "rawBytes">, steps: readonly JobStep[]): LogFacts {
  const { text } = totals;
  const sections = splitLog(totals, steps);
  const uses = actionUses(text, sections);
  const failed = errorsOfFailedSteps(text.annotations, steps);
  return {
    sections,
    groups: outline(text, sections),
    action_uses: uses.slice(0, maxUses),
    annotations: text.annotations.map(({ level, line_number, message }) => ({
      step_number: sectionAt(sections, line_number)?.step_number ?? failed.get(line_number) ?? null,
      level,
      line_number,
      message,
    })),
    runner: text.runner,
    token_permissions: text.tokenPermissions,
    locked_actions: text.usesLockedActions,
    left_out: { ...text.leftOut, action_uses: text.leftOut.action_uses + Math.max(0, uses.length - maxUses) },
  };
}

/** The section that contains a line, by binary search. */
function sectionAt(sections: readonly Section[], line: number): Section | undefined {
  let [low, high] = [0, sections.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sections[middle]?.first_line ?? 0) <= line) low = middle + 1;
    else high = middle;
  }
  return sections[low - 1];
}

/**
 * One row for each action and step that ran it. The runner prints the action's name again where it runs, with the path inside the
 * repository, which the download line lacks. A download without a known step is a row without a step.
 */
function actionUses({ downloads, marks }: LogText, sections: readonly Section[]): ActionUse[] {
  const runs = marks.flatMap(({ kind, title, line }) => {
    const step_number = kind === "run" ? sectionAt(sections, line)?.step_number : undefined;
    return typeof step_number === "number" ? [{ uses: title.slice("Run ".length), step_number }] : [];
  });
  return downloads.flatMap(({ action, ref, sha, line_number, time }) => {
    const found = new Map<string, ActionUse>();
    for (const { uses, step_number } of runs) {
      const name = actionOf(uses, action, ref);
      if (name === undefined) continue;
      found.set(`${step_number} ${name}`, { step_number, action: name, ref, sha, line_number, used_at: time ?? null });
    }
    const rows = [...found.values()];
    return rows.length > 0 ? rows : [{ step_number: null, action, ref, sha, line_number, used_at: time ?? null }];
  });
}

/** `action` with its path if `uses` names it at `ref`; otherwise undefined. */
function actionOf(uses: string, action: string, ref: string | null): string | undefined {
  if (action.startsWith("docker://")) {
    if (!uses.startsWith(action)) return undefined;
    const image = splitImage(uses.slice("docker://".length));
    return image.action === action && image.ref === ref ? action : undefined;
  }
  const at = uses.indexOf("@");
  if (at === -1 || uses.slice(at + 1) !== ref) return undefined;
  const name = uses.slice(0, at);
  return name === action || name.startsWith(`${action}/`) ? name : undefined;
}

/** Groups with their depth inside their section. An unclosed group ends with its section. */
function outline({ groups }: LogText, sections: readonly Section[]): LogFacts["groups"] {
  const open: { readonly section: Section | undefined; readonly end: number }[] = [];
  return groups.map(({ title, first_line, line_count }) => {
    const section = sectionAt(sections, first_line);
    const sectionEnd = section === undefined ? first_line + 1 : section.first_line + section.line_count;
    const end = Math.min(line_count === undefined ? Infinity : first_line + line_count, sectionEnd);
    while (open.length > 0 && ((open.at(-1)?.end ?? 0) <= first_line || open.at(-1)?.section !== section)) open.pop();
    const depth = open.length;
    open.push({ section, end });
    return { step_number: section?.step_number ?? null, depth, title, first_line, line_count: end - first_line };
  });
}
