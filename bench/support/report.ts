// Prints the result of a measurement: a table of figures with their limits, and the exit code that follows.

import { formatTable } from "@actions-archive/cli/format-table";

export type Figure = {
  readonly what: string;
  readonly measured: number;
  /** A figure without a limit is for information. */
  readonly limit?:
    | { readonly kind: "must" | "aim"; readonly atMost: number }
    | { readonly kind: "must" | "aim"; readonly atLeast: number };
};

/** Prints the figures. Sets exit code 1 when a must is missed. */
export function report(figures: readonly Figure[]): void {
  const rows = figures.map((figure) => ({
    what: figure.what,
    measured: Number(figure.measured.toPrecision(4)),
    limit: textOf(figure),
    verdict: figure.limit === undefined ? "" : isMet(figure) ? "ok" : "MISSED",
  }));
  process.stdout.write(`${formatTable(rows)}\n`);
  if (figures.some((figure) => figure.limit?.kind === "must" && !isMet(figure))) process.exitCode = 1;
}

function isMet({ measured, limit }: Figure): boolean {
  if (limit === undefined) return true;
  return "atMost" in limit ? measured <= limit.atMost : measured >= limit.atLeast;
}

function textOf({ limit }: Figure): string {
  if (limit === undefined) return "";
  return "atMost" in limit ? `${limit.kind}: at most ${limit.atMost}` : `${limit.kind}: at least ${limit.atLeast}`;
}
