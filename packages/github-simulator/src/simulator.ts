// A local GitHub Actions API, faithful to the published OpenAPI description: an API host, a log host at another origin, and a control host
// that scripts both. For tests, benchmarks and the demo.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { AppAuthority } from "./app-authority.ts";
import { type Clock, createClock } from "./clock.ts";
import { type Control, createControl } from "./control.ts";
import { Credentials } from "./credentials.ts";
import { EventPump } from "./event-pump.ts";
import { AnswerHistory } from "./http/answer-history.ts";
import { type Answer, sendAnswer } from "./http/answer.ts";
import { spoilLogAnswer, withDateOffset } from "./http/canned-answers.ts";
import { Faults, type ScriptedFault } from "./http/faults.ts";
import { Journal, type JournalEntry } from "./http/journal.ts";
import { LogLinks } from "./http/log-links.ts";
import { RateLimits } from "./http/rate-limits.ts";
import { settle, type Settings, type SimulatorOptions } from "./options.ts";
import { type ApiOrigin, createApiOrigin } from "./origins/api-origin.ts";
import { answerControlRequest } from "./origins/control-origin.ts";
import { answerLogRequest } from "./origins/log-origin.ts";
import { hexOf } from "./random.ts";
import type { Urls } from "./render/urls.ts";
import type { ApiDeps } from "./routes/context.ts";
import { Webhooks } from "./webhooks.ts";
import { Builder } from "./world/builder.ts";
import { demoLogs, generateDemo } from "./world/demo.ts";
import { generateWorld, type Generator } from "./world/generate.ts";
import { generateMonth, type Month, monthLogs } from "./world/month.ts";
import { addRecordedJob, RecordedJob } from "./world/recorded.ts";
import { loadReplay } from "./world/replay.ts";
import { World } from "./world/world.ts";

export type Simulator = AsyncDisposable & {
  /** `http://127.0.0.1:PORT`, with `/api/v3` for a GHES. */
  readonly apiUrl: string;
  readonly logOrigin: string;
  readonly controlUrl: string;
  /** A credential with access to everything. */
  readonly token: string;
  readonly world: World;
  readonly journal: Journal;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly webhooks: Webhooks;
  /** The functions of the control host. */
  readonly control: Control;
  readonly app: AppAuthority | undefined;
  /** Closes all connections. Idempotent. */
  readonly close: () => Promise<void>;
};

/** Starts the three hosts on the loopback address. @throws when a port is taken or a replay folder is unusable. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const settings = settle(options);
  const clock = createClock(options.clockStart ?? new Date(), options.clockSpeed ?? 1);
  const { world, builder, generator, month } = await createWorld(options, settings, clock);
  const closing = new AbortController();
  await using stack = new AsyncDisposableStack();
  const hosts = {
    api: stack.use(await listen(options.ports?.api)),
    log: stack.use(await listen(options.ports?.log)),
    control: stack.use(await listen(options.ports?.control)),
  };
  stack.defer(() => closing.abort());

  const prefix = settings.face === "ghes" ? "/api/v3" : "";
  const urls: Urls = { api: hosts.api.origin + prefix, web: hosts.api.origin };
  const token = options.credentials?.[0]?.token ?? `ghp_${hexOf(36, "token", settings.seed)}`;
  const credentials = new Credentials(clock, options.credentials ?? [{ token }]);
  const app = options.app && new AppAuthority(options.app, { world, clock, credentials });
  const journal = new Journal();
  const faults = new Faults(settings.seed);
  const limits = new RateLimits(clock, settings.rateLimits);
  const links = new LogLinks(settings.seed, settings.linkLifetimeMs);
  const hook = options.webhook && { ...(month && { repositories: month.watched }), ...options.webhook };
  const webhooks = new Webhooks(hook, {
    world,
    clock,
    urls,
    seed: settings.seed,
    enterpriseVersion: settings.face === "ghes" ? settings.ghesVersion : undefined,
    installationId: (repository) => app?.installationOf(repository.owner.login)?.id,
  });
  const pump = stack.use(new EventPump({ clock, webhooks, grow: () => generator.generateUntil(clock.nowMs()) }));
  for (const run of world.runs.values()) if (run.attempts.length > 0) pump.plan(run);
  for (const { atMs, happen } of month?.monthEvents ?? []) pump.planChange(atMs, happen);
  pump.pump();
  const control = createControl({ world, builder, clock, journal, faults, limits, credentials, webhooks, pump });

  const deps = { world, clock, settings, urls, logOrigin: hosts.log.origin, links, limits, webhooks, app };
  const history = new AnswerHistory(() => faults.list().some(({ lie }) => lie?.kind === "stale-page"));
  const apiOrigin = createApiOrigin(deps, { credentials, history, prefix });
  serve(hosts, { journal, faults, clock, closing: closing.signal, pump, control, apiOrigin, deps });

  const resources = stack.move();
  const close = () => resources.disposeAsync();
  return {
    apiUrl: urls.api,
    logOrigin: hosts.log.origin,
    controlUrl: hosts.control.origin,
    token,
    world,
    journal,
    faults,
    clock,
    webhooks,
    control,
    app,
    close,
    [Symbol.asyncDispose]: close,
  };
}

const scenarioLogs = { demo: demoLogs, month: monthLogs, generated: {}, empty: {} } as const;

type Hosts = { readonly api: Host; readonly log: Host; readonly control: Host };

type Service = Pick<Exchange, "journal" | "faults" | "clock" | "closing"> & {
  readonly pump: EventPump;
  readonly control: Control;
  readonly apiOrigin: ApiOrigin;
  readonly deps: ApiDeps;
};

function serve(hosts: Hosts, { journal, faults, clock, closing, pump, control, apiOrigin, deps }: Service): void {
  const exchange = { journal, faults, clock, closing };
  hosts.api.serve((request, response) =>
    handle({ ...exchange, request, response, origin: "api" }, apiOrigin.pathOf(request), async (entry, fault) => {
      if (deps.settings.live) pump.pump();
      if (fault?.status !== undefined) return { answer: apiOrigin.bareAnswer(request, entry) };
      const { lie } = fault ?? {};
      if (lie?.kind !== "wrong-date") return apiOrigin.answer(request, entry, lie);
      const { answer, done } = await apiOrigin.answer(request, entry);
      return { answer: withDateOffset(answer, lie.seconds), done };
    }),
  );
  const logDeps = { world: deps.world, clock, links: deps.links, logDelayMs: deps.settings.logDelayMs };
  hosts.log.serve((request, response) =>
    handle({ ...exchange, request, response, origin: "log" }, request.url?.split("?")[0] ?? "/", async (_entry, fault) => {
      const answer = answerLogRequest(request, logDeps, fault?.ranges);
      return { answer: fault?.lie === undefined ? answer : spoilLogAnswer(answer, fault.lie) };
    }),
  );
  hosts.control.serve((request, response) =>
    handle({ ...exchange, request, response, origin: "control" }, "/", async () => ({
      answer: await answerControlRequest(request, control),
    })),
  );
}

async function createWorld(
  options: SimulatorOptions,
  settings: Settings,
  clock: Clock,
): Promise<{ world: World; builder: Builder; generator: Generator; month: Month | undefined }> {
  const world = new World();
  const builder = new Builder(world, settings.seed, { ...settings.logs, ...scenarioLogs[settings.scenario], ...options.logs });
  const startMs = clock.start.getTime();
  let generator: Generator = { generateUntil: () => [] };
  let month: Month | undefined;
  if (settings.scenario === "demo") generateDemo(builder, settings, startMs);
  else if (settings.scenario === "month") month = generateMonth(builder, settings, startMs);
  else if (settings.scenario === "generated" && options.replayDir === undefined)
    generator = generateWorld(builder, settings, startMs);
  if (options.replayDir !== undefined) await loadReplay(builder, options.replayDir);
  for (const job of options.extraJobs ?? []) addRecordedJob(builder, { job: RecordedJob.parse(job) });
  return { world, builder, generator, month };
}

type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly origin: JournalEntry["origin"];
  readonly journal: Journal;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly closing: AbortSignal;
};

type Responder = (
  entry: JournalEntry,
  fault: ScriptedFault | undefined,
) => Promise<{ readonly answer: Answer; readonly done?: () => void; readonly miss?: string }>;

async function handle(
  { request, response, origin, journal, faults, clock, closing }: Exchange,
  path: string,
  respond: Responder,
): Promise<void> {
  const method = request.method ?? "GET";
  let fault = origin === "control" ? undefined : faults.take({ origin, method, path, query: request.url?.split("?")[1] ?? "" });
  const { authorization, ...headers } = request.headers;
  const entry = journal.add({
    receivedAt: new Date(),
    simulatedAt: clock.now(),
    origin,
    method,
    url: request.url ?? "/",
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    hasAuthorization: authorization !== undefined,
    credential: undefined,
    status: 0,
    bytesSent: 0,
    limits: {},
    finishedAt: undefined,
    fault: fault?.id,
  });
  let done: (() => void) | undefined;
  try {
    const responded = await respond(entry, fault);
    done = responded.done;
    if (fault?.lie !== undefined && responded.miss !== undefined) {
      faults.release(fault, responded.miss);
      fault = undefined;
      entry.fault = undefined;
    }
    if (origin !== "control") request.resume();
    await sendAnswer(response, { answer: responded.answer, fault, entry, closing });
  } catch (error) {
    // The client has disconnected, or the simulator is closing. Any other error is a defect of the simulator, and shows as a 500.
    if (!response.headersSent && !closing.aborted)
      response.writeHead(500, { "content-type": "text/plain" }).end(`simulator: ${String(error)}`);
    else response.destroy();
  } finally {
    done?.();
    journal.finish(entry);
  }
}

type Host = AsyncDisposable & {
  readonly origin: string;
  readonly serve: (handler: (request: IncomingMessage, response: ServerResponse) => Promise<void>) => void;
};

async function listen(port = 0): Promise<Host> {
  const server: Server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, "127.0.0.1", resolve);
  await promise;
  // The address of a TCP server is an AddressInfo.
  const address = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${address.port}`,
    serve: (handler) =>
      void server.on("request", (request: IncomingMessage, response: ServerResponse) => void handler(request, response)),
    async [Symbol.asyncDispose]() {
      const { promise: closed, resolve: close } = Promise.withResolvers<void>();
      server.close(() => close());
      server.closeAllConnections();
      await closed;
    },
  };
}
