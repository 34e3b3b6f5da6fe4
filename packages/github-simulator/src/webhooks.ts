// Webhooks: what happens in the world becomes deliveries, signed as GitHub signs them, lost, doubled or reordered on demand.
// https://docs.github.com/webhooks/webhook-events-and-payloads

import { createHmac } from "node:crypto";

import type { Clock } from "./clock.ts";
import type { WebhookOptions } from "./options.ts";
import { guidOf } from "./random.ts";
import { renderJob } from "./render/job.ts";
import { type Json, renderFullRepository, renderUser } from "./render/repository.ts";
import { renderRun } from "./render/run.ts";
import type { Urls } from "./render/urls.ts";
import { latestAttempt } from "./world/builder.ts";
import type { Job, Repository, Run } from "./world/model.ts";

/** The one hook of the simulated GitHub, whether it is an App's, a repository's or an organisation's. */
export const hookId = 480_001;

export type Delivery = {
  readonly id: number;
  readonly guid: string;
  readonly deliveredAtMs: number;
  readonly redelivery: boolean;
  readonly event: string;
  readonly action: string | null;
  readonly installationId: number | null;
  readonly repositoryId: number | null;
  readonly ownerLogin: string;
  durationSeconds: number;
  status: string;
  statusCode: number;
  readonly request: { readonly headers: Record<string, string>; readonly payload: Json };
  response: { headers: Record<string, string>; payload: string };
};

export type SendOptions = {
  /** The signature is wrong. */
  readonly forged?: boolean;
  /** The same delivery arrives so many times, with one guid. */
  readonly times?: number;
};

type Event = {
  readonly event: "workflow_job" | "workflow_run";
  readonly action: string;
  readonly repository: Repository;
  readonly subject: Json;
};

export type WebhookDeps = {
  readonly clock: Clock;
  readonly urls: Urls;
  readonly seed: number;
  readonly installationId: (repository: Repository) => number | undefined;
  /** On a GHES. */
  readonly enterpriseVersion: string | undefined;
};

export class Webhooks {
  readonly deliveries: Delivery[] = [];
  readonly #deps: WebhookDeps;
  readonly #inFlight = new Set<Promise<void>>();
  #options: WebhookOptions | undefined;
  #ordered: Promise<void> = Promise.resolve();
  #dropNext = 0;
  #held: Event[] | undefined;
  #count = 0;

  constructor(options: WebhookOptions | undefined, deps: WebhookDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get url(): string {
    return this.#options?.url ?? "";
  }

  /** Where deliveries go from now on. */
  configure(options: WebhookOptions | undefined): void {
    this.#options = options;
  }

  /** The next `count` events are lost: no delivery exists of them, as when GitHub never made one. */
  drop(count: number): void {
    this.#dropNext = count;
  }

  /** Events are kept back until `release`. */
  hold(): void {
    this.#held ??= [];
  }

  /** Sends what was held, in order or the last first. */
  async release(order: "forward" | "reverse"): Promise<void> {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of order === "reverse" ? held.toReversed() : held) await this.#deliver(event, {});
  }

  jobEvent(job: Job, action: "queued" | "in_progress" | "completed", options: SendOptions = {}): Promise<void> {
    const subject = { workflow_job: renderJob(job, this.#deps.clock.nowMs(), this.#deps.urls) };
    return this.#emit({ event: "workflow_job", action, repository: job.run.repository, subject }, options);
  }

  runEvent(run: Run, action: "requested" | "in_progress" | "completed", options: SendOptions = {}): Promise<void> {
    const view = { attempt: latestAttempt(run), nowMs: this.#deps.clock.nowMs(), asAttempt: false };
    const { workflow, repository } = run;
    const subject = {
      workflow: { id: workflow.id, name: workflow.name, path: workflow.path, state: "active" },
      workflow_run: renderRun(run, view, this.#deps.urls),
    };
    return this.#emit({ event: "workflow_run", action, repository, subject }, options);
  }

  /** The same payload and guid under a new delivery id, as GitHub's redelivery does. */
  redeliver(delivery: Delivery): void {
    this.#track(this.#post({ ...delivery, id: this.#nextId(), redelivery: true, deliveredAtMs: this.#deps.clock.nowMs() }, {}));
  }

  /** Sends after everything that was given here before, one after the other. A failed delivery is recorded, never thrown. */
  sendInOrder(emits: readonly (() => Promise<void>)[]): void {
    this.#ordered = emits.reduce((before, emit) => before.then(emit), this.#ordered);
    this.#track(this.#ordered);
  }

  /** Resolves when no delivery is under way. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
  }

  async #emit(event: Event, options: SendOptions): Promise<void> {
    if (this.#options === undefined || this.#options.events?.includes(event.event) === false) return;
    if (this.#dropNext > 0) {
      this.#dropNext--;
    } else if (this.#held !== undefined) {
      this.#held.push(event);
    } else {
      const delivered = this.#deliver(event, options);
      this.#track(delivered);
      await delivered;
    }
  }

  async #deliver({ event, action, repository, subject }: Event, options: SendOptions): Promise<void> {
    const { clock, urls, seed } = this.#deps;
    const installationId = this.#deps.installationId(repository);
    const id = this.#nextId();
    const guid = guidOf(seed, "delivery", id);
    const payload: Json = {
      action,
      ...subject,
      repository: renderFullRepository(repository, urls, clock.nowMs()),
      ...(repository.owner.type === "Organization"
        ? { organization: { login: repository.owner.login, id: repository.owner.id } }
        : {}),
      ...(installationId === undefined ? {} : { installation: { id: installationId, node_id: String(installationId) } }),
      sender: renderUser(repository.owner, urls),
    };
    const delivery: Delivery = {
      id,
      guid,
      deliveredAtMs: clock.nowMs(),
      redelivery: false,
      event,
      action,
      installationId: installationId ?? null,
      repositoryId: repository.id,
      ownerLogin: repository.owner.login,
      durationSeconds: 0,
      status: "",
      statusCode: 0,
      request: { headers: this.#headers(event, guid, JSON.stringify(payload)), payload },
      response: { headers: {}, payload: "" },
    };
    await this.#post(delivery, options);
    for (let more = 1; more < (options.times ?? 1); more++) await this.#post({ ...delivery, id: this.#nextId() }, options);
  }

  #headers(event: string, guid: string, body: string): Record<string, string> {
    const secret = this.#options?.secret ?? "";
    const version = this.#deps.enterpriseVersion;
    return {
      accept: "*/*",
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/3f81c2a",
      "X-GitHub-Delivery": guid,
      "X-GitHub-Event": event,
      "X-GitHub-Hook-ID": String(hookId),
      "X-GitHub-Hook-Installation-Target-ID": "1",
      "X-GitHub-Hook-Installation-Target-Type": "integration",
      "X-Hub-Signature": `sha1=${createHmac("sha1", secret).update(body).digest("hex")}`,
      "X-Hub-Signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
      ...(version === undefined ? {} : { "X-GitHub-Enterprise-Version": version, "X-GitHub-Enterprise-Host": "ghes.example" }),
    };
  }

  // GitHub gives up after ten seconds and does not try again by itself.
  async #post(delivery: Delivery, { forged }: SendOptions): Promise<void> {
    this.deliveries.push(delivery);
    const forgery = { "X-Hub-Signature-256": `sha256=${"0".repeat(64)}` };
    const began = performance.now();
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: { ...delivery.request.headers, ...(forged === true ? forgery : {}) },
        body: JSON.stringify(delivery.request.payload),
        signal: AbortSignal.timeout(10_000),
      });
      delivery.statusCode = response.status;
      delivery.status = response.ok ? "OK" : `Invalid HTTP Response: ${response.status}`;
      delivery.response = { headers: Object.fromEntries(response.headers), payload: await response.text() };
    } catch (error) {
      const hasTimedOut = error instanceof DOMException && error.name === "TimeoutError";
      delivery.statusCode = hasTimedOut ? 504 : 502;
      delivery.status = hasTimedOut ? "timed out" : "failed to connect to host";
    }
    delivery.durationSeconds = Math.round(performance.now() - began) / 1000;
  }

  #nextId(): number {
    return 190_000_000_000 + ++this.#count;
  }

  #track(sending: Promise<void>): void {
    const tracked = sending.finally(() => void this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }
}
