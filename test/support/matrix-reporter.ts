// A Vitest reporter that prints the fault matrix: each test that annotates a row of docs/reliability.md, its outcome and its figures.

import Table from "cli-table3";
import type { Reporter, TestCase, TestModule } from "vitest/node";

const isRow = /^[FNA]\d+$/;

type Row = {
  readonly id: string;
  readonly test: string;
  readonly state: string;
  readonly seconds: number;
  readonly figures: string;
};

/** Vitest calls it at the end of a run. */
// oxlint-disable-next-line import/no-default-export -- vitest takes a reporter's file by its default export
export default class MatrixReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = modules.flatMap((each) => Array.from(each.children.allTests(), rowsOf)).flat();
    if (rows.length === 0) return;
    const table = new Table({
      head: ["row", "test", "ended", "seconds", "figures"],
      wordWrap: true,
      colWidths: [6, 50, 8, 9, 80],
    });
    for (const { id, test, state, seconds, figures } of rows.toSorted((left, right) => order(left) - order(right)))
      table.push([id, test, state, seconds, figures]);
    process.stdout.write(`${table.toString()}\n`);
  }
}

function rowsOf(test: TestCase): Row[] {
  const common = { test: test.name, state: test.result().state, seconds: Math.round((test.diagnostic()?.duration ?? 0) / 1_000) };
  const rowAnnotations = test.annotations().filter(({ type }) => isRow.test(type));
  // A test that failed before its first annotation has no row.
  if (rowAnnotations.length === 0) return common.state === "failed" ? [{ id: "?", figures: "", ...common }] : [];
  return rowAnnotations.map(({ type, message }) => ({ id: type, figures: message, ...common }));
}

function order({ id }: Row): number {
  return "?FNA".indexOf(id.charAt(0)) * 1_000 + Number(id.slice(1));
}
