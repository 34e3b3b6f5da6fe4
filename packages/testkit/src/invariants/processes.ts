// What the processes used and left, and how soon they were at work again.

import type { Evidence, ProcessUse } from "./evidence.ts";
import type { StoreView } from "./read-store.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** Sockets come and go: more than so many over the baseline are a leak. */
const fewDescriptors = 10;

/** I8. Of `.unfinished`, what a killed process left there stays until it is old enough to be swept. */
export function checkBounds({ processes = [], peakCapKb = Infinity, leftovers = [], hadFaults }: Evidence, { keys }: StoreView) {
  const unfinished = hadFaults ? [] : keys.filter(({ kind }) => kind === "unfinished");
  return violationsOf("I8", [
    ...processes.flatMap(({ name, peakKb, rssKb }) => {
      const peak = Math.max(peakKb, ...rssKb);
      return peak > peakCapKb ? [`${name} held ${peak} KB, over ${peakCapKb}`] : [];
    }),
    ...processes.flatMap(judgeDescriptors),
    ...[...leftovers, ...unfinished.map(({ key }) => key)].map((file) => `${file} was left behind`),
  ]);
}

// The baseline is what it held once it was at work: the most of the first half. The end is what it holds at rest: the least of the last three.
function judgeDescriptors({ name, fds }: ProcessUse): string[] {
  const baseline = Math.max(...fds.slice(0, Math.ceil(fds.length / 2)));
  const end = Math.min(...fds.slice(-3));
  return fds.length > 0 && end > baseline + fewDescriptors ? [`${name} ends with ${end} open files, after ${baseline}`] : [];
}

/** I9. */
export function checkLiveness({ seconds, limit }: NonNullable<Evidence["fresh"]>): Violation[] {
  if (seconds !== undefined && seconds <= limit) return [];
  return violationsOf("I9", [`a fresh job was archived after ${seconds ?? "no"} seconds, not within ${limit}`]);
}

/** The last line of what Node prints where an error that nobody caught ends a process. */
const lastWord = /^Node\.js v\d+/m;

/** I9. A worker may give up, and says so; it does not fall over. */
export function checkCrashes({ outputs = [] }: Evidence): Violation[] {
  const crashed = outputs.flatMap(({ name, text }) => {
    const { index } = lastWord.exec(text) ?? {};
    return index === undefined ? [] : [`${name} died of what nobody caught: ${text.slice(Math.max(0, index - 2_000), index)}`];
  });
  return violationsOf("I9", crashed);
}
