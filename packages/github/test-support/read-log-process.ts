// A separate process that reads a log from the GitHub at argv[2] and prints its number of bytes or the error, since Node.js reads
// NODE_EXTRA_CA_CERTS only when a process starts.

import { createLogger } from "@actions-archive/core/logger";

import { requestJobLog } from "../src/log/job-log.ts";
import { openGitHubFrom } from "../src/open-from-settings.ts";
import { createProcessBudget } from "../src/transport/process-budget.ts";

const settings = { GITHUB_API_URL: new URL(process.argv[2] ?? ""), GITHUB_TOKEN: "canary" };
await using github = openGitHubFrom(settings, { budget: createProcessBudget(), log: createLogger("test", "silent") });
try {
  const answer = await requestJobLog(github, { repository: "octo/app", jobId: 7 });
  let bytes = 0;
  if (answer.kind === "log") for await (const chunk of answer.body) bytes += chunk.length;
  process.stdout.write(`${answer.kind} ${bytes}`);
} catch (error) {
  process.stdout.write(String(error));
}
