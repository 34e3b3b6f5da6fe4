// Recognises the lines that the runner prints around a job's output, by their prefixes. The texts are those of actions/runner
// (src/Runner.Worker: JobExtension, ActionManager, ActionRunner, Handlers, ContainerOperationProvider, JobHookProvider,
// BackgroundStepCoordinator). A job's output can have the same prefixes, so a match is only a candidate.

export type LineKind =
  | "set-up"
  | "group"
  | "end-group"
  | "section"
  | "post"
  | "complete"
  | "hook"
  | "stop-containers"
  | "control"
  | "error"
  | "warning"
  | "notice"
  | "command"
  | "debug-step"
  | "debug-start"
  | "start-action"
  | "end-action"
  | "prepare"
  | "download"
  | "digest"
  | "prelude";

export type RunnerLine = {
  readonly text: Buffer;
  readonly kind: LineKind;
  /** A frame may end before such a line. Must never change, since the stored bytes depend on it. */
  readonly endsFrame: boolean;
};

const framed: readonly (readonly [string, LineKind])[] = [
  ["##[group]", "group"],
  ["##[section]", "section"],
  ["Post job cleanup.", "post"],
  ["Cleaning up orphan processes", "complete"],
  ["Current runner version:", "set-up"],
];

const others: readonly (readonly [string, LineKind])[] = [
  ["##[endgroup]", "end-group"],
  ["##[error]", "error"],
  ["##[warning]", "warning"],
  ["##[notice]", "notice"],
  ["##[command]", "command"],
  // With step debugging on, these begin each step, including skipped ones.
  ["##[debug]Evaluating condition for step: '", "debug-step"],
  ["##[debug]Starting: ", "debug-start"],
  // Around the steps of a composite action, since 2026. The runner removes them from a job's own output.
  ["##[start-action ", "start-action"],
  ["##[end-action ", "end-action"],
  ["Evaluate and set job outputs", "complete"],
  ["Evaluate and set environment url", "complete"],
  ["Uploading runner diagnostic logs", "complete"],
  ["A job started hook has been configured", "hook"],
  ["A job completed hook has been configured", "hook"],
  ["Print service container logs: ", "stop-containers"],
  ["Stop and remove container: ", "stop-containers"],
  ["Remove container network: ", "stop-containers"],
  // Steps that wait for background steps or cancel them (BackgroundStepCoordinator, since 2.335).
  ["Waiting for background step(s) to complete: ", "control"],
  ["Waiting for all background step(s) to complete: ", "control"],
  ["No background steps remaining to wait for.", "control"],
  ["Cancelling background step(s): ", "control"],
  ["Prepare all required actions", "prepare"],
  ["Getting action download info", "download"],
  ["Download action repository '", "download"],
  ["Digest: sha256:", "digest"],
  ["Node 20 is being deprecated. ", "prelude"],
];

const table: readonly RunnerLine[] = [
  ...framed.map(([text, kind]) => ({ text: Buffer.from(text), kind, endsFrame: true })),
  ...others.map(([text, kind]) => ({ text: Buffer.from(text), kind, endsFrame: false })),
];

/** The length of the longest prefix in bytes. */
export const maxPrefixLength = Math.max(...table.map(({ text }) => text.length));

const byFirstByte = Array.from({ length: 256 }, (_, byte) => table.filter(({ text }) => text[0] === byte));
const isFirstByte = Uint8Array.from(byFirstByte, (lines) => (lines.length > 0 ? 1 : 0));

/** The runner's line between `at` and `stop`, or undefined. Creates no string, since it runs for every line. */
export function runnerLineAt(bytes: Buffer, at: number, stop: number): RunnerLine | undefined {
  const first = bytes[at] ?? 0;
  if (at >= stop || isFirstByte[first] === 0) return undefined;
  for (const line of byFirstByte[first] ?? []) if (beginsWith(bytes, at, stop, line.text)) return line;
  return undefined;
}

function beginsWith(bytes: Buffer, at: number, stop: number, text: Buffer): boolean {
  if (stop - at < text.length) return false;
  for (let index = 1; index < text.length; index += 1) if (bytes[at + index] !== text[index]) return false;
  return true;
}
