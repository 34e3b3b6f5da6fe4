// Parses a webhook payload into a completed job or a run. Pure. Other events, unknown actions and malformed fields yield nothing.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job

import { dayMs } from "@actions-archive/core/durations";
import { GitHubId } from "@actions-archive/core/ids";
import { z } from "zod";

export type WebhookEvent = {
  readonly action: string;
  readonly repository: { readonly id: number; readonly full_name: string };
  /** The time of the described state, by GitHub's clock. */
  readonly seenAt: Date;
  /** Undefined when the event has nothing to record. */
  readonly subject:
    | { readonly kind: "job"; readonly object: unknown; readonly run_id: number; readonly attempt: number }
    | {
        readonly kind: "run";
        readonly object: unknown;
        readonly run_id: number;
        readonly attempt: number;
        readonly isOver: boolean;
      }
    | undefined;
};

/** GitHub allows 50 re-runs of a run today, and allowed more before. https://docs.github.com/actions/reference/limits */
const maxAttempts = 1_000;

const Repository = z.object({ id: GitHubId, full_name: z.string().regex(/^(?!\.\.?\/)[\w.-]{1,100}\/(?!\.\.?$)[\w.-]{1,100}$/) });
const Envelope = z.object({ action: z.string().max(100), repository: Repository });

/** A GHES of 2021 sends none: the attempt is then taken as the first. */
const attempt = z.int().positive().max(maxAttempts).nullish();
const time = z.iso.datetime({ offset: true });

const CompletedJob = z.object({
  workflow_job: z.object({
    id: GitHubId,
    run_id: GitHubId,
    run_attempt: attempt,
    status: z.literal("completed"),
    started_at: time.nullish(),
    completed_at: time.nullish(),
  }),
});

const Run = z.object({
  workflow_run: z.object({ id: GitHubId, run_attempt: attempt, status: z.string(), created_at: time, updated_at: time }),
});

/** Whether events of this kind are parsed at all. */
export function isKnownEvent(event: string): boolean {
  return event === "workflow_job" || event === "workflow_run";
}

/**
 * Parses a payload. Never throws.
 * @param body JSON, or a form with the JSON in its field `payload`, whatever the content type
 * @param now GitHub's clock; a payload dated more than a day later is rejected, since no later event could replace it
 * @returns undefined when it is not about a completed job or a run.
 */
export function readWebhookEvent(event: string, body: string, now: Date): WebhookEvent | undefined {
  const payload = tryParseJson(body) ?? tryParseJson(new URLSearchParams(body).get("payload") ?? "");
  const envelope = Envelope.safeParse(payload);
  if (!envelope.success || payload === undefined) return undefined;
  const { action, repository } = envelope.data;
  const nothing = { action, repository, seenAt: new Date(0), subject: undefined };
  if (event === "workflow_job" && action === "completed") return { ...nothing, ...readJob(payload, now) };
  if (event === "workflow_run" && isRunAction(action)) return { ...nothing, ...readRun(payload, now) };
  return undefined;
}

function isRunAction(action: string): boolean {
  return action === "requested" || action === "in_progress" || action === "completed";
}

type Content = Partial<Pick<WebhookEvent, "seenAt" | "subject">>;

function readJob(payload: Record<string, unknown>, now: Date): Content {
  const parsed = CompletedJob.safeParse(payload);
  if (!parsed.success) return {};
  const { run_id, completed_at, run_attempt } = parsed.data.workflow_job;
  const seenAt = new Date(completed_at ?? 0);
  if (isFuture(seenAt, now)) return {};
  // The object as received: the schema keeps only the fields that it names.
  return { seenAt, subject: { kind: "job", object: payload["workflow_job"], run_id, attempt: run_attempt ?? 1 } };
}

function readRun(payload: Record<string, unknown>, now: Date): Content {
  const parsed = Run.safeParse(payload);
  if (!parsed.success) return {};
  const { id, run_attempt, status, created_at, updated_at } = parsed.data.workflow_run;
  const seenAt = new Date(updated_at);
  if (isFuture(seenAt, now) || isFuture(new Date(created_at), now)) return {};
  const object = payload["workflow_run"];
  return { seenAt, subject: { kind: "run", object, run_id: id, attempt: run_attempt ?? 1, isOver: status === "completed" } };
}

function isFuture(instant: Date, now: Date): boolean {
  return instant.getTime() - now.getTime() > dayMs;
}

function tryParseJson(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // The fields are unknown until a schema has parsed them.
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
