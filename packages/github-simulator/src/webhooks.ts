// Webhooks: turns events of the world into deliveries, signed like GitHub's, and lost, doubled or reordered as configured.
// https://docs.github.com/webhooks/webhook-events-and-payloads

import { createHmac } from "node:crypto";

import type { Clock } from "./clock.ts";
import type { WebhookOptions } from "./options.ts";
import { createRandom, guidOf } from "./random.ts";
import { renderJob } from "./render/job.ts";
import { type Json, renderFullRepository, renderUser } from "./render/repository.ts";
import { renderRun } from "./render/run.ts";
import type { Urls } from "./render/urls.ts";
import { latestAttempt } from "./world/builder.ts";
import type { Attempt, Job, Repository, Run } from "./world/model.ts";
import { jobStatus, shownAtMs } from "./world/timeline.ts";
import { fullNameOf, type World } from "./world/world.ts";

/** The only hook of the simulated GitHub, whether of an App, a repository or an organization. */
export const hookId = 480_001;

/** The maximum number of days that any GitHub keeps deliveries: a week on a GHES. */
const keptDays = 7;
const pruneEvery = 1_000;

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
  readonly request: { readonly headers: Record<string, string>; readonly body: string };
  response: { headers: Record<string, string>; payload: string };
  /** Called when the receiver has accepted it. */
  readonly recordShown: () => void;
};

export type SendOptions = {
  /** The signature is wrong. */
  readonly forged?: boolean;
  /** Sends the same delivery so many times, with the same guid. */
  readonly times?: number;
  /** Simulated time of the event, in milliseconds, which the payload reflects; undefined: now. */
  readonly atMs?: number;
};

type Event = {
  readonly event: "workflow_job" | "workflow_run";
  readonly action: string;
  readonly repository: Repository;
  readonly subject: Json;
  readonly recordShown: () => void;
};

export type WebhookDeps = {
  readonly world: World;
  readonly clock: Clock;
  readonly urls: Urls;
  readonly seed: number;
  readonly installationId: (repository: Repository) => number | undefined;
  /** Set on a GHES. */
  readonly enterpriseVersion: string | undefined;
};

export class Webhooks {
  /** The deliveries that GitHub still keeps. */
  deliveries: Delivery[] = [];
  readonly #deps: WebhookDeps;
  readonly #inFlight = new Set<Promise<void>>();
  #options: WebhookOptions | undefined;
  /** Ids of the repositories with the hook; undefined: all. */
  #watched: ReadonlySet<number> | undefined;
  /** Each lane sends one delivery at a time, so one lane keeps the order. */
  readonly #lanes: Promise<void>[] = [];
  #events = 0;
  #dropNext = 0;
  #held: Event[] | undefined;
  #count = 0;

  constructor(options: WebhookOptions | undefined, deps: WebhookDeps) {
    this.#deps = deps;
    this.configure(options);
  }

  get url(): string {
    return this.#options?.url ?? "";
  }

  /** Changes the target of further deliveries. */
  configure(options: WebhookOptions | undefined): void {
    this.#options = options;
    // By id, since a hook stays with its repository after a rename.
    this.#watched = options?.repositories && new Set(options.repositories.map((name) => this.#idOf(name)));
  }

  #idOf(name: string): number {
    const found = this.#deps.world.repositories.find((each) => fullNameOf(each) === name);
    if (found === undefined) throw new RangeError(`no repository ${name}`);
    return found.id;
  }

  /** @returns whether events of the repository are delivered. */
  isWatched({ id }: Repository): boolean {
    return this.#watched === undefined || this.#watched.has(id);
  }

  /** Loses the next `count` events: no delivery exists, as if GitHub had never made one. */
  drop(count: number): void {
    this.#dropNext = count;
  }

  /** Holds back events until `release`. */
  hold(): void {
    this.#held ??= [];
  }

  /** Sends the held events, in order or in reverse. */
  async release(order: "forward" | "reverse"): Promise<void> {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of order === "reverse" ? held.toReversed() : held) await this.#deliver(event, {});
  }

  jobEvent(job: Job, action: "queued" | "in_progress" | "completed", options: SendOptions = {}): Promise<void> {
    const { clock, urls, world } = this.#deps;
    const atMs = options.atMs ?? clock.nowMs();
    const subject = () => ({ workflow_job: renderJob(job, atMs, urls) });
    const isOver = action === "completed" && jobStatus(job, shownAtMs(job, atMs)) === "completed";
    const recordShown = () => void (isOver && world.shown.jobs.add(job.id));
    return this.#emit("workflow_job", job.run.repository, () => ({ action, subject: subject(), recordShown }), options);
  }

  runEvent(
    run: Run,
    action: "requested" | "in_progress" | "completed",
    options: SendOptions & { readonly attempt?: Attempt } = {},
  ): Promise<void> {
    const { clock, urls, world } = this.#deps;
    const view = { attempt: options.attempt ?? latestAttempt(run), nowMs: options.atMs ?? clock.nowMs(), asAttempt: false };
    const { workflow, repository } = run;
    const subject = () => ({
      workflow: { id: workflow.id, name: workflow.name, path: workflow.path, state: "active" },
      workflow_run: renderRun(run, view, urls),
    });
    const recordShown = () => void world.shown.runs.add(run.id);
    return this.#emit("workflow_run", repository, () => ({ action, subject: subject(), recordShown }), options);
  }

  /** Sends the same payload and guid under a new delivery id, like GitHub's redelivery. */
  redeliver(delivery: Delivery): void {
    this.#track(
      this.#post({ ...delivery, id: this.#nextId(), redelivery: true, deliveredAtMs: this.#deps.clock.nowMs() }, {}).then(
        () => {},
      ),
    );
  }

  /**
   * Sends after everything that was given before, one after the other; with several lanes some overtake others. A failed delivery is
   * recorded, not thrown.
   */
  send(emits: readonly (() => Promise<void>)[]): void {
    const lanes = this.#options?.unreliable?.lanes ?? 1;
    for (const emit of emits) {
      const lane = lanes === 1 ? 0 : createRandom(this.#deps.seed, "lane", ++this.#events).int(0, lanes - 1);
      const sent = (this.#lanes[lane] ?? Promise.resolve()).then(emit);
      this.#lanes[lane] = sent;
      this.#track(sent);
    }
  }

  /** Resolves when no delivery is in progress. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
  }

  async #emit(
    kind: Event["event"],
    repository: Repository,
    render: () => Omit<Event, "event" | "repository">,
    options: SendOptions,
  ): Promise<void> {
    if (this.#options === undefined || this.#options.events?.includes(kind) === false || !this.isWatched(repository)) return;
    const fate = this.#chooseFate(this.#options);
    if (this.#dropNext > 0) {
      this.#dropNext--;
    } else if (fate === "lost") {
      return;
    } else if (this.#held !== undefined) {
      this.#held.push({ event: kind, repository, ...render() });
    } else {
      const delivered = this.#deliver(
        { event: kind, repository, ...render() },
        fate === "doubled" ? { times: 2, ...options } : options,
      );
      this.#track(delivered);
      await delivered;
    }
  }

  #chooseFate({ unreliable }: WebhookOptions): "lost" | "doubled" | "sent" {
    if (unreliable === undefined) return "sent";
    const random = createRandom(this.#deps.seed, "fate", ++this.#events);
    return random.chance(unreliable.lost) ? "lost" : random.chance(unreliable.doubled) ? "doubled" : "sent";
  }

  async #deliver({ event, action, repository, subject, recordShown }: Event, options: SendOptions): Promise<void> {
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
    const body = JSON.stringify(payload);
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
      request: { headers: this.#headers(event, guid, body), body },
      response: { headers: {}, payload: "" },
      recordShown,
    };
    for (let sent = 0; sent < (options.times ?? 1); sent++)
      await this.#post(sent === 0 ? delivery : { ...delivery, id: this.#nextId() }, options);
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

  // GitHub gives up after ten seconds and does not retry.
  async #post(delivery: Delivery, { forged }: SendOptions): Promise<void> {
    this.deliveries.push(delivery);
    if (this.#count % pruneEvery === 0) {
      const oldestMs = this.#deps.clock.nowMs() - keptDays * 86_400_000;
      this.deliveries = this.deliveries.filter(({ deliveredAtMs }) => deliveredAtMs >= oldestMs);
    }
    const forgery = { "X-Hub-Signature-256": `sha256=${"0".repeat(64)}` };
    const began = performance.now();
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: { ...delivery.request.headers, ...(forged === true ? forgery : {}) },
        body: delivery.request.body,
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
    if (delivery.statusCode === 202 && forged !== true) delivery.recordShown();
  }

  /** The number of sent deliveries, including repetitions. */
  get sent(): number {
    return this.#count;
  }

  #nextId(): number {
    return 190_000_000_000 + ++this.#count;
  }

  #track(sending: Promise<void>): void {
    const tracked = sending.finally(() => void this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }
}
