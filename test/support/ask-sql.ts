// Queries an archive's database with the `sql` command.

import { type ProgramOptions, runCli } from "./processes.ts";

/** @returns the rows of `sql --json`. @throws with the command's stderr when it does not exit with 0. */
export async function askSql(query: string, options: ProgramOptions): Promise<unknown> {
  const { code, stdout, stderr } = await runCli(["sql", "--json", query], options);
  if (code !== 0) throw new Error(`sql ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
