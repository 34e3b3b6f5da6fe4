// Counts the calls of this process to the outside, from around them, and kills the process at one of them: before it is made, or
// once it is on its way.

import diagnosticsChannel from "node:diagnostics_channel";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

import { Client } from "pg";
import { z } from "zod";

export const CrashPoint = z.object({
  call: z.int().positive(),
  moment: z
    .enum(["before", "during"])
    .describe("during: it was sent, its answer was not awaited; of a request over HTTP, the answer has begun to come"),
});
export type CrashPoint = z.output<typeof CrashPoint>;

export class CallCounter {
  readonly #dieAt: CrashPoint | undefined;
  #calls = 0;
  #isCounting = false;

  constructor(dieAt: CrashPoint | undefined) {
    this.#dieAt = dieAt;
  }

  get calls(): number {
    return this.#calls;
  }

  /** What was called until now was the opening of engines. */
  start(): void {
    this.#isCounting = true;
  }

  /** Every statement of every connection to Postgres. */
  countStatements(): void {
    this.countMethods(Client.prototype, ["query"]);
  }

  /** What changes a folder. What is only read leaves nothing behind, and a killed process loses no byte that it wrote. */
  async countFiles(): Promise<void> {
    await using handle = await fs.open(process.execPath);
    this.countMethods(Object.getPrototypeOf(handle) as typeof handle, ["write"]);
    this.countMethods(fs, ["mkdir", "link", "unlink", "rm"]);
    // Else who imported them by name has the functions of before.
    syncBuiltinESMExports();
  }

  /** Requests of undici, which asks GitHub, and of Node, which asks S3. */
  countRequests(): void {
    const last = new WeakSet<object>();
    const requestOf = (message: unknown) => (message as { readonly request: object }).request;
    const begin = (message: unknown) => void (this.#isLast() && last.add(requestOf(message)));
    const answered = (message: unknown) => void (last.has(requestOf(message)) && die());
    diagnosticsChannel.subscribe("undici:request:create", begin);
    diagnosticsChannel.subscribe("undici:request:headers", answered);
    diagnosticsChannel.subscribe("http.client.request.created", begin);
    diagnosticsChannel.subscribe("http.client.response.finish", answered);
  }

  /** @returns `object`, with calls of these methods counted. */
  countMethods<T extends object>(object: T, names: readonly (keyof T & string)[]): T {
    for (const name of names) {
      // Whatever the method is, it is called with what it was called with.
      const original = object[name] as (...args: unknown[]) => unknown;
      const isLast = () => this.#isLast();
      const counted = function counted(this: T, ...args: unknown[]): unknown {
        if (isLast()) setImmediate(die);
        return original.apply(this, args);
      };
      Object.defineProperty(object, name, { value: counted, configurable: true, writable: true });
    }
    return object;
  }

  /** Counts a call, before which the process may die. @returns whether it dies during this one. */
  #isLast(): boolean {
    if (!this.#isCounting) return false;
    this.#calls += 1;
    if (this.#dieAt?.call !== this.#calls) return false;
    if (this.#dieAt.moment === "before") die();
    return true;
  }
}

function die(): void {
  process.kill(process.pid, "SIGKILL");
}
