// Checks the resources of processes, what they left behind, and how soon they resumed work.

import type { Evidence, ProcessUse } from "./evidence.ts";
import type { StoreView } from "./read-store.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** Sockets vary in number. More than this above the baseline is a leak. */
const maxExtraDescriptors = 10;

/** I8. A killed process's files in `.unfinished` stay until they are old enough to be swept. */
export function checkBounds({ processes = [], peakCapKb = Infinity, leftovers = [], hadFaults }: Evidence, { keys }: StoreView) {
  const unfinished = hadFaults ? [] : keys.filter(({ kind }) => kind === "unfinished");
  return violationsOf("I8", [
    ...processes.flatMap(({ name, peakKb, rssKb }) => {
      const peak = Math.max(peakKb, ...rssKb);
      return peak > peakCapKb ? [`${name} held ${peak} KB, over ${peakCapKb}`] : [];
    }),
    ...processes.flatMap(checkDescriptors),
    ...[...leftovers, ...unfinished.map(({ key }) => key)].map((file) => `${file} was left behind`),
  ]);
}

// The baseline is the maximum of the first half, when the process was busy. The end is the minimum of the last three samples, at rest.
function checkDescriptors({ name, fds }: ProcessUse): string[] {
  const baseline = Math.max(...fds.slice(0, Math.ceil(fds.length / 2)));
  const end = Math.min(...fds.slice(-3));
  return fds.length > 0 && end > baseline + maxExtraDescriptors ? [`${name} ends with ${end} open files, after ${baseline}`] : [];
}

/** I9. */
export function checkLiveness({ seconds, limit }: NonNullable<Evidence["fresh"]>): Violation[] {
  if (seconds !== undefined && seconds <= limit) return [];
  return violationsOf("I9", [`a fresh job was archived after ${seconds ?? "no"} seconds, not within ${limit}`]);
}

/** The last line that Node prints when an uncaught error ends a process. */
const nodeCrash = /^Node\.js v\d+/m;

/** I9. A worker may exit with a logged error, but must not crash by an uncaught one. */
export function checkCrashes({ outputs = [] }: Evidence): Violation[] {
  const crashed = outputs.flatMap(({ name, text }) => {
    const { index } = nodeCrash.exec(text) ?? {};
    return index === undefined ? [] : [`${name} crashed by an uncaught error: ${text.slice(Math.max(0, index - 2_000), index)}`];
  });
  return violationsOf("I9", crashed);
}
