// Asks an archive's database as an operator would.

import { type ProgramOptions, runCli } from "./processes.ts";

/** The rows of `sql --json`. @throws with what the program said when it does not end with 0. */
export async function askSql(query: string, options: ProgramOptions): Promise<unknown> {
  const { code, stdout, stderr } = await runCli(["sql", "--json", query], options);
  if (code !== 0) throw new Error(`sql ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
