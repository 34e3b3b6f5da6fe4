// `gaps`: lists missing and lost data, with what to do about it.

import { GapKind } from "@actions-archive/core/states";
import { countGaps, listGaps } from "@actions-archive/database/audit/gaps";
import { type Command, Option } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { formatTable } from "../format-table.ts";
import { describeGap } from "../gaps/describe-gap.ts";

type GapsOptions = { kind?: GapKind; repository?: string; json?: true };

const maxListed = 100_000;
const maxPrinted = 100;

export function addGaps(program: Command, context: CommandContext): void {
  program
    .command("gaps")
    .addOption(new Option("--kind <kind>", "only this kind").choices(GapKind.options))
    .option("--repository <owner/name>", "only this repository")
    .option("--json", `one JSON document: all of them counted, and ${maxListed} listed at most`)
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive gaps\n  actions-archive gaps --kind log_failed --repository my-org/app\n  actions-archive gaps --json | jq .counts\n\nThe view audit.gaps has the same rows.",
    )
    .action(async ({ json, ...choice }: GapsOptions) => {
      await using resources = new AsyncDisposableStack();
      const { db } = await attachLedger(context, { command: "gaps", resources });
      const counts = await countGaps(db, choice);
      const gaps = await listGaps(db, { ...choice, limit: json ? maxListed : maxPrinted });
      if (json) return printJson(context, { counts, gaps });
      const total = counts.reduce((sum, group) => sum + group.gaps, 0);
      if (total === 0) return print(context, "No gaps.");
      const shown = total > gaps.length ? `\n${gaps.length} of ${total} gaps; --kind, --repository or --json show more.` : "";
      print(context, `${formatTable(counts)}\n\n${formatTable(gaps.map(describeGap))}${shown}`);
    });
}
