// Why a credential sends no requests now, for people.

import { formatTime } from "./format-table.ts";

type Pause = { readonly paused_until: Date; readonly pause_reason: string | null };

/** @returns `pauses until …` with the reason, or for GitHub's own limit only when that resets. */
export function pauseText({ paused_until, pause_reason }: Pause): string {
  const until = formatTime(paused_until);
  // The database's words for a limit that is used up, apart from the share left to other clients.
  if (/^\d+ of \d+ requests are used/.test(pause_reason ?? "")) return `the limit is used up; it resets at ${until}`;
  return `pauses until ${until}: ${pause_reason ?? "limit"}`;
}
