// Turns the world's plan into events at their time: webhooks for what begins or ends while the clock runs.

import type { Clock } from "./clock.ts";
import type { Webhooks } from "./webhooks.ts";
import type { Attempt, Job, Run } from "./world/model.ts";
import { shownCompletedAtMs } from "./world/timeline.ts";

/** `emit` sends an event; `happen` changes the world itself. */
type Planned = { readonly atMs: number } & ({ readonly emit: () => Promise<void> } | { readonly happen: () => void });

const maxTimerMs = 60_000;

export class EventPump implements Disposable {
  readonly #clock: Clock;
  readonly #webhooks: Webhooks;
  /** Called before due events are collected, to extend a live world. */
  readonly #grow: () => readonly Run[];
  /** Sorted by time if `#isSorted`. A month has hundreds of thousands, so they are sorted lazily. */
  #planned: Planned[] = [];
  #isSorted = true;
  #timer: NodeJS.Timeout | undefined;
  readonly #stopListening: () => void;

  constructor({ clock, webhooks, grow }: { clock: Clock; webhooks: Webhooks; grow: () => readonly Run[] }) {
    this.#clock = clock;
    this.#webhooks = webhooks;
    this.#grow = grow;
    this.#stopListening = clock.onAdvance(() => this.pump());
  }

  /** Plans the run's events after `sinceMs`. Past ones are sent at the next `pump`. */
  plan(run: Run, sinceMs = this.#clock.nowMs()): void {
    for (const attempt of run.attempts) this.planAttempt(run, attempt, sinceMs);
  }

  /** Plans the events of one attempt. */
  planAttempt(run: Run, attempt: Attempt, sinceMs = this.#clock.nowMs()): void {
    if (!this.#webhooks.isWatched(run.repository)) return;
    const own = attempt.jobs.filter((job) => job.attempt === attempt.number);
    const add = (atMs: number, emit: (atMs: number) => Promise<void>) => {
      if (atMs > sinceMs && atMs < Infinity) this.#add({ atMs, emit: () => emit(atMs) });
    };
    const runEvent = (action: "requested" | "in_progress" | "completed") => (atMs: number) =>
      this.#webhooks.runEvent(run, action, { attempt, atMs });
    const ends = own.map((job) => job.completedAtMs ?? Infinity);
    add(attempt.createdAtMs, runEvent("requested"));
    add(Math.min(...own.map((job) => job.startedAtMs ?? Infinity)), runEvent("in_progress"));
    for (const job of own) {
      const jobEvent = (action: "queued" | "in_progress" | "completed") => (atMs: number) =>
        this.#webhooks.jobEvent(job, action, { atMs });
      // GitHub sends copies as completed again in the second in which the rerun is queued.
      if (job.copyOf === undefined) add(job.createdAtMs, jobEvent("queued"));
      if (job.copyOf === undefined && job.runner !== null) add(job.startedAtMs ?? Infinity, jobEvent("in_progress"));
      const endsAtMs = job.copyOf === undefined ? shownCompletedAtMs(job) : attempt.createdAtMs;
      add(endsAtMs, jobEvent("completed"));
    }
    add(Math.max(attempt.createdAtMs, ...ends), runEvent("completed"));
    this.#arm();
  }

  /** Plans the event of a job that completes later than planned. */
  planCompleted(job: Job, atMs: number): void {
    this.#add({ atMs, emit: () => this.#webhooks.jobEvent(job, "completed", { atMs }) });
    this.#arm();
  }

  /** Plans a change of the world itself. */
  planChange(atMs: number, happen: () => void): void {
    this.#add({ atMs, happen });
    this.#arm();
  }

  /** Emits due events. */
  pump(): void {
    for (const run of this.#grow()) this.plan(run);
    const nowMs = this.#clock.nowMs();
    this.#sort();
    const next = this.#planned.findIndex((each) => each.atMs > nowMs);
    const due = this.#planned.splice(0, next === -1 ? this.#planned.length : next);
    for (const each of due) if ("happen" in each) each.happen();
    this.#webhooks.send(due.flatMap((each) => ("emit" in each ? [each.emit] : [])));
    this.#arm();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stopListening();
  }

  #add(planned: Planned): void {
    this.#planned.push(planned);
    this.#isSorted = false;
  }

  #sort(): void {
    if (!this.#isSorted) this.#planned.sort((left, right) => left.atMs - right.atMs);
    this.#isSorted = true;
  }

  // The timer is set in a later turn of the event loop, since many runs are planned at once.
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#clock.speed === 0) return;
    if (!this.#isSorted) {
      this.#timer = setTimeout(() => this.pump(), 0);
      return;
    }
    // At least every simulated hour, since a live world grows in between.
    const next = Math.min(this.#planned[0]?.atMs ?? Infinity, this.#clock.nowMs() + 3_600_000);
    const waitMs = Math.min((next - this.#clock.nowMs()) / this.#clock.speed, maxTimerMs);
    this.#timer = setTimeout(() => this.pump(), Math.max(waitMs, 1));
  }
}
