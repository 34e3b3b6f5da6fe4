// What a check of `doctor` answers, and how a check that throws is reported.

import { errorMessage } from "@actions-archive/core/error-message";

export type Check = {
  /** A stable name, such as `store_object_lock`. */
  readonly check: string;
  readonly status: "pass" | "warn" | "fail";
  /** What was found, in one line. */
  readonly detail: string;
  /** What to do about it; null where nothing is wrong. */
  readonly cure: string | null;
};

export const pass = (check: string, detail: string): Check => ({ check, status: "pass", detail, cure: null });
export const warn = (check: string, detail: string, cure: string): Check => ({ check, status: "warn", detail, cure });
export const fail = (check: string, detail: string, cure: string): Check => ({ check, status: "fail", detail, cure });

/** An engine that answers nothing must not keep the other checks waiting. */
const maxCheckMs = 20_000;

/** Runs a group of checks; when it throws or does not end in time, the group's first check fails with the reason. */
export async function runChecks(name: string, cure: string, run: (signal: AbortSignal) => Promise<Check[]>): Promise<Check[]> {
  const signal = AbortSignal.timeout(maxCheckMs);
  const { promise: late, resolve } = Promise.withResolvers<Check[]>();
  const onAbort = () => resolve([fail(name, `no answer within ${maxCheckMs / 1_000} s`, cure)]);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([run(signal), late]);
  } catch (error) {
    return [fail(name, errorMessage(error).replaceAll(/\s+/g, " "), cure)];
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
