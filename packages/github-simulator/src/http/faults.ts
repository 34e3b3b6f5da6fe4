// Scripted faults: which requests they hit, how often, and how they change the answer.

import { z } from "zod";

import { createRandom } from "../random.ts";
import { appliesToLogs, Lie } from "./lies.ts";

/** A fault. With `status` the answer is replaced; without it, the true answer is sent, modified. */
export const Fault = z
  .strictObject({
    origin: z.enum(["api", "log"]).optional().describe("both when left out"),
    method: z.string().optional(),
    path: z.string().optional().describe("path without /api/v3 and query; * stands for anything. All paths when left out"),
    query: z.string().optional().describe("one parameter of the query, as per_page=100"),
    times: z.union([z.int().positive(), z.literal("forever")]).default(1),
    skip: z.int().nonnegative().default(0).describe("matching requests that pass before the first one is hit"),
    chance: z.number().min(0).max(1).default(1).describe("share of the matching requests that is hit, repeatable"),
    status: z.int().min(200).max(599).optional(),
    headers: z.record(z.string(), z.string()).default({}).describe("added, or put in place of the true ones"),
    body: z.string().optional(),
    delayMs: z.number().nonnegative().default(0).describe("real time before the first byte"),
    reset: z.boolean().default(false).describe("the connection is reset before an answer"),
    cutAfterBytes: z.int().nonnegative().optional().describe("the connection closes after so many bytes of the body"),
    endAfterBytes: z
      .int()
      .nonnegative()
      .optional()
      .describe("the body ends early, with a Content-Length that says that this is all"),
    stallAfterBytes: z.int().nonnegative().optional().describe("nothing more is sent, the connection stays open"),
    contentLength: z
      .union([z.enum(["short", "long"]), z.int().nonnegative()])
      .optional()
      .describe("Content-Length is a tenth too small, a tenth too large, or this"),
    framing: z
      .enum(["chunked", "close"])
      .optional()
      .describe("instead of Content-Length; close: the end of the connection is the end"),
    lie: Lie.optional().describe("a well-formed wrong answer in place of the true one"),
    location: z.string().optional().describe("where a redirect leads instead"),
    ranges: z
      .enum(["ignored", "shifted", "of-another"])
      .optional()
      .describe("of a request for a part: all of it is sent; a byte more than was asked for; or the part of a changed log"),
    endless: z
      .boolean()
      .default(false)
      .describe("the body is sent again and again, without a length; in chunks where framing says so"),
  })
  .refine(({ lie, status, body }) => lie === undefined || (status === undefined && body === undefined), {
    error: "give a lie, or a status and a body",
  })
  .refine(({ lie, origin }) => lie === undefined || origin !== "log" || appliesToLogs(lie), {
    error: "this lie applies to answers of the API alone",
  })
  .describe("one scripted fault");
export type Fault = z.output<typeof Fault>;
export type FaultInput = z.input<typeof Fault>;

export type ScriptedFault = Fault & {
  readonly id: string;
  hits: number;
  /** Matching requests, including those that the fault let pass. */
  seen: number;
  /** Why its lie did not apply to the last request that it matched. */
  lastMiss: string | undefined;
};

export class Faults {
  #scripted: ScriptedFault[] = [];
  #count = 0;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Adds a fault; older ones take precedence. The journal names it by its id. */
  add(input: FaultInput): ScriptedFault {
    const fault = { ...Fault.parse(input), id: `fault-${++this.#count}`, hits: 0, seen: 0, lastMiss: undefined };
    this.#scripted.push(fault);
    return fault;
  }

  list(): readonly ScriptedFault[] {
    return this.#scripted;
  }

  /** Removes one fault, or all. */
  clear(id?: string): void {
    this.#scripted = id === undefined ? [] : this.#scripted.filter((fault) => fault.id !== id);
  }

  /** @returns the fault that hits this request, after counting the hit; undefined if none. `path` has neither prefix nor query. */
  take(request: FaultRequest): ScriptedFault | undefined {
    for (const fault of this.#scripted) {
      if (!isHitBy(fault, request)) continue;
      fault.seen++;
      if (fault.seen <= fault.skip) continue;
      if (fault.times !== "forever" && fault.hits >= fault.times) continue;
      if (fault.chance < 1 && !createRandom(this.#seed, fault.id, fault.seen).chance(fault.chance)) continue;
      fault.hits++;
      return fault;
    }
    return undefined;
  }

  /** Undoes a hit: the lie does not apply to the request, which gets the true answer. */
  release(fault: ScriptedFault, reason: string): void {
    fault.hits--;
    fault.lastMiss = reason;
  }

  /** Lets a test fail for a fault without effect. @throws RangeError when a fault hit no request. */
  assertHit(): void {
    const unused = this.#scripted.filter(({ hits }) => hits === 0);
    if (unused.length === 0) return;
    const reasons = unused.map(
      ({ id, path = "*", lie, seen, lastMiss }) =>
        `${id} (${lie?.kind ?? "no lie"}, ${path}) matched ${seen} requests${lastMiss === undefined ? "" : `: ${lastMiss}`}`,
    );
    throw new RangeError(`faults without a hit: ${reasons.join("; ")}`);
  }
}

export type FaultRequest = {
  readonly origin: "api" | "log";
  readonly method: string;
  readonly path: string;
  readonly query: string;
};

function isHitBy(fault: Fault, request: FaultRequest): boolean {
  if (fault.origin !== undefined && fault.origin !== request.origin) return false;
  if (fault.lie !== undefined && request.origin === "log" && !appliesToLogs(fault.lie)) return false;
  if (fault.method !== undefined && fault.method.toUpperCase() !== request.method) return false;
  if (fault.query !== undefined && !request.query.split("&").includes(fault.query)) return false;
  if (fault.path === undefined) return true;
  const pattern = fault.path.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${pattern.join(".*")}$`, "i").test(request.path);
}
