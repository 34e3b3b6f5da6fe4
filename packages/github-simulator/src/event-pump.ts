// Turns the plan of the world into events at their time: what begins or ends while the clock flows reaches the webhook.

import type { Clock } from "./clock.ts";
import type { Webhooks } from "./webhooks.ts";
import { latestAttempt } from "./world/builder.ts";
import type { Run } from "./world/model.ts";

type Planned = { readonly atMs: number; readonly emit: () => Promise<void> };

const longestTimerMs = 60_000;

export class EventPump implements Disposable {
  readonly #clock: Clock;
  readonly #webhooks: Webhooks;
  /** Called before events are looked for: a live world grows here. */
  readonly #grow: () => readonly Run[];
  #planned: Planned[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #stopListening: () => void;

  constructor({ clock, webhooks, grow }: { clock: Clock; webhooks: Webhooks; grow: () => readonly Run[] }) {
    this.#clock = clock;
    this.#webhooks = webhooks;
    this.#grow = grow;
    this.#stopListening = clock.onAdvance(() => this.pump());
  }

  /** Plans what happens in the run's latest attempt after `sinceMs`; what is already past is sent at the next `pump`. */
  plan(run: Run, sinceMs = this.#clock.nowMs()): void {
    const attempt = latestAttempt(run);
    const own = attempt.jobs.filter((job) => job.attempt === attempt.number);
    const add = (atMs: number, emit: Planned["emit"]) => {
      if (atMs > sinceMs && atMs < Infinity) this.#planned.push({ atMs, emit });
    };
    const ends = own.map((job) => job.completedAtMs ?? Infinity);
    add(attempt.createdAtMs, () => this.#webhooks.runEvent(run, "requested"));
    add(Math.min(...own.map((job) => job.startedAtMs ?? Infinity)), () => this.#webhooks.runEvent(run, "in_progress"));
    for (const job of own) {
      // GitHub sends copies again as completed in the second in which the re-run is queued.
      if (job.copyOf === undefined) add(job.createdAtMs, () => this.#webhooks.jobEvent(job, "queued"));
      if (job.copyOf === undefined && job.runner !== null)
        add(job.startedAtMs ?? Infinity, () => this.#webhooks.jobEvent(job, "in_progress"));
      const endsAtMs = job.copyOf === undefined ? (job.completedAtMs ?? Infinity) : attempt.createdAtMs;
      add(endsAtMs, () => this.#webhooks.jobEvent(job, "completed"));
    }
    add(Math.max(attempt.createdAtMs, ...ends), () => this.#webhooks.runEvent(run, "completed"));
    this.#planned.sort((left, right) => left.atMs - right.atMs);
    this.#arm();
  }

  /** Emits what is due. */
  pump(): void {
    for (const run of this.#grow()) this.plan(run);
    const nowMs = this.#clock.nowMs();
    const due = this.#planned.filter((each) => each.atMs <= nowMs);
    this.#planned = this.#planned.slice(due.length);
    this.#webhooks.sendInOrder(due.map((each) => each.emit));
    this.#arm();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#stopListening();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#clock.speed === 0) return;
    // At least every hour of the world, since a live one grows in between.
    const next = Math.min(this.#planned[0]?.atMs ?? Infinity, this.#clock.nowMs() + 3_600_000);
    const waitMs = Math.min((next - this.#clock.nowMs()) / this.#clock.speed, longestTimerMs);
    this.#timer = setTimeout(() => this.pump(), Math.max(waitMs, 1));
  }
}
