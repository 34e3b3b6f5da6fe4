// The checks of `doctor` for people: what failed first, each with its cure below it, wrapped to the terminal.

import { wrap } from "../wrap.ts";
import type { Check } from "./check.ts";

const marks = { fail: "FAIL", warn: "WARN", pass: "pass" } as const;
const order = ["fail", "warn", "pass"] as const;

/** @param stream where it is printed: its width, when it is a terminal. */
export function formatChecks(checks: readonly Check[], { columns }: { readonly columns?: number | undefined }): string {
  const nameWidth = Math.max(...checks.map(({ check }) => check.length));
  const indent = " ".repeat(nameWidth + 7);
  const lines = order.flatMap((status) =>
    checks
      .filter((one) => one.status === status)
      .flatMap(({ check, detail, cure }) => [
        `${marks[status]}  ${check.padEnd(nameWidth)} ${wrap(detail, { columns, indent })}`,
        ...(cure === null ? [] : [`${indent}${wrap(`→ ${cure}`, { columns, indent: `${indent}  ` })}`]),
      ]),
  );
  const count = (status: Check["status"]) => checks.filter((one) => one.status === status).length;
  return `${lines.join("\n")}\n\n${count("pass")} passed, ${count("warn")} to look at, ${count("fail")} failed`;
}
