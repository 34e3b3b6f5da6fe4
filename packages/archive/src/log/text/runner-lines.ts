// What the runner itself prints around a job's output, by how each line begins. The texts are those of actions/runner
// (src/Runner.Worker: JobExtension, ActionManager, ActionRunner, Handlers, ContainerOperationProvider, JobHookProvider,
// BackgroundStepCoordinator).
// A job's own output can begin the same way: a line here is a candidate, never a proof.

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
  /** A frame may end before such a line. The stored bytes depend on this: it never changes. */
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
  // With step debugging on, these are the first words of a step, a skipped one included.
  ["##[debug]Evaluating condition for step: '", "debug-step"],
  ["##[debug]Starting: ", "debug-start"],
  // Around the steps of a composite action, since 2026. The runner takes them out of a job's own output.
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
  // The steps that wait for steps in the background, or cancel them (BackgroundStepCoordinator, since 2.335).
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

/** The length of the longest beginning: so many bytes of a text decide. */
export const maxPrefixLength = Math.max(...table.map(({ text }) => text.length));

const byFirstByte = Array.from({ length: 256 }, (_, byte) => table.filter(({ text }) => text[0] === byte));
const isFirstByte = Uint8Array.from(byFirstByte, (lines) => (lines.length > 0 ? 1 : 0));

/** The line of the runner that begins at `at` and ends before `stop`, or undefined. Makes no string: it runs for every line. */
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
