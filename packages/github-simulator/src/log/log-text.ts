// Generates a log of an exact length, with a nondecreasing timestamp of seven digits per line, in chunks, so that a log of gigabytes needs
// no memory. A function of the job.

import { createRandom } from "../random.ts";
import type { Job } from "../world/model.ts";
import { type LogLine, type LogSection, logSections } from "./log-sections.ts";

const chunkBytes = 65_536;
/** `2026-11-20T10:00:00.1234567Z ` */
const stampBytes = 29;
/** Shorter filler could not contain a line. */
const minFillerBytes = 96;

type LaidOutSection = LogSection & { readonly fillerBytes: number; readonly totalBytes: number };
type Layout = { readonly sections: readonly LaidOutSection[]; readonly totalBytes: number };

/** @returns the exact length of the job's log in bytes: the requested one, or that of the runner's own lines if they need more. */
export function generatedLogBytes(job: Job): number {
  return layOut(job).totalBytes;
}

/** Generates a log in chunks of about 64 KiB. */
export function* generateLog(job: Job): Generator<Buffer, void, undefined> {
  if (job.log.kind !== "generated") return;
  const { style } = job.log;
  const eol = style.crlf ? "\r\n" : "\n";
  const layout = layOut(job);
  let left = layout.totalBytes;
  let pending = style.bom ? "\uFEFF" : "";
  const flush = () => {
    const chunk = Buffer.from(pending, "utf8");
    pending = "";
    // A log without a final newline ends before that of its last line.
    const kept = chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= kept.length;
    return kept;
  };
  for (const section of layout.sections) {
    const stamp = createStamp();
    let written = 0;
    const timeOf = () =>
      section.startMs + (section.endMs - section.startMs) * (section.totalBytes === 0 ? 0 : written / section.totalBytes);
    const write = (line: LogLine) => {
      const text = line.untimed === true ? line.text + eol : stamp(timeOf()) + line.text + eol;
      written += line.untimed === true ? Buffer.byteLength(text) : stampBytes + Buffer.byteLength(line.text) + eol.length;
      pending += text;
    };
    section.head.forEach(write);
    for (const text of fillerLines(job, section, eol.length)) {
      pending += stamp(timeOf()) + text + eol;
      written += stampBytes + text.length + eol.length;
      if (pending.length >= chunkBytes) yield flush();
    }
    section.tail.forEach(write);
    if (pending.length >= chunkBytes) yield flush();
  }
  const last = flush();
  if (last.length > 0) yield last;
}

export type StepLines = { readonly step_number: number; readonly first_line: number; readonly line_count: number };

/** @returns the line numbers of each step in a generated log, counted from 1. */
export function generatedStepLines(job: Job): readonly StepLines[] {
  if (job.log.kind !== "generated") return [];
  const eol = job.log.style.crlf ? 2 : 1;
  let first_line = 1;
  return layOut(job).sections.flatMap((section) => {
    const line_count = section.head.length + [...fillerLines(job, section, eol)].length + section.tail.length;
    first_line += line_count;
    return section.step === null ? [] : [{ step_number: section.step, first_line: first_line - line_count, line_count }];
  });
}

function layOut(job: Job): Layout {
  if (job.log.kind !== "generated") return { sections: [], totalBytes: 0 };
  const { style, bytes } = job.log;
  const eol = style.crlf ? 2 : 1;
  const sections = logSections(job);
  const fixed = sections.map((section) =>
    [...section.head, ...section.tail].reduce((sum, line) => sum + lineBytes(line, eol), 0),
  );
  const overhead = (style.bom ? 3 : 0) - (style.finalNewline ? 0 : eol);
  const fixedBytes = fixed.reduce((sum, each) => sum + each, overhead);
  const filler = shareFiller(sections, Math.max(0, bytes - fixedBytes));
  const laidOut = sections.map((section, index) => {
    const fillerBytes = filler[index] ?? 0;
    return { ...section, fillerBytes, totalBytes: (fixed[index] ?? 0) + fillerBytes };
  });
  return { sections: laidOut, totalBytes: laidOut.reduce((sum, section) => sum + section.totalBytes, overhead) };
}

function lineBytes(line: LogLine, eol: number): number {
  return (line.untimed === true ? 0 : stampBytes) + Buffer.byteLength(line.text) + eol;
}

// By weight. The heaviest section gets the rounding error, so that the sum is exact.
function shareFiller(sections: readonly LogSection[], bytes: number): readonly number[] {
  const total = sections.reduce((sum, section) => sum + section.fillerWeight, 0);
  if (total === 0 || bytes < minFillerBytes) return sections.map(() => 0);
  const shares = sections
    .map((section) => Math.floor((bytes * section.fillerWeight) / total))
    .map((share) => (share < minFillerBytes ? 0 : share));
  const heaviest = sections.reduce(
    (best, section, index) => (section.fillerWeight > (sections[best]?.fillerWeight ?? 0) ? index : best),
    0,
  );
  const rest = bytes - shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share, index) => (index === heaviest ? share + rest : share));
}

const words = [
  "PASS", "ok", "compiling", "linking", "fetched", "resolved", "cache hit", "cache miss", "rendered", "uploaded", "checked",
  "GET /api/v1/items", "POST /api/v1/items", "migrating", "seeding", "warming up", "retrying", "spawned worker", "finished",
] as const; // prettier-ignore

// Created once: formatting a number in base 16 for every line took half of the time.
const tokenChance = createRandom("tokens");
const tokens = Array.from({ length: 1_024 }, () => Math.floor(tokenChance.next() * 4_294_967_296).toString(16));

// Forty templates per section, cut and numbered, which compress about like real logs (5 to 13 times with gzip).
function* fillerLines(job: Job, section: LaidOutSection, eol: number): Generator<string, void, undefined> {
  let left = section.fillerBytes;
  if (left === 0) return;
  const random = createRandom(job.seed, "filler", Math.round(section.startMs));
  const templates = Array.from({ length: 40 }, () => {
    const path = Array.from({ length: random.int(2, 4) }, () =>
      random.pick(["src", "lib", "core", "web", "test", "jobs", "store"]),
    ).join("/");
    return `${random.pick(words)} ${path}/${random.pick(["index", "client", "parser", "queue", "model"])}.${random.int(1, 99)} `;
  });
  const shortest = stampBytes + eol;
  for (let count = 0; left > 0; count++) {
    const template = templates[random.int(0, 39)] ?? "";
    const line = `${template}#${count} ${tokens[random.int(0, tokens.length - 1)]}`;
    const bytes = shortest + line.length;
    if (left - bytes < minFillerBytes) {
      yield line.padEnd(left - shortest, ".").slice(0, left - shortest);
      return;
    }
    left -= bytes;
    yield line;
  }
}

// `Date` formats a whole second once; the seven digits after it are plain arithmetic, ten times cheaper per line.
function createStamp(): (ms: number) => string {
  let second = Number.NaN;
  let prefix = "";
  return (ms) => {
    const whole = Math.floor(ms / 1000);
    if (whole !== second) {
      second = whole;
      prefix = new Date(whole * 1000).toISOString().slice(0, 20);
    }
    const ticks = Math.floor((ms - whole * 1000) * 10_000);
    return `${prefix}${String(Math.min(ticks, 9_999_999)).padStart(7, "0")}Z `;
  };
}
