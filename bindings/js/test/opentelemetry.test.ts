import assert from "node:assert/strict";
import { after, test } from "node:test";

import { context as contexts, SpanKind, SpanStatusCode, trace, type Attributes } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { AgentAssert, codeOf, Manager, memoryStore } from "agentassert";
import { openTelemetryObserver } from "agentassert/opentelemetry";

import { Backend, base, Clock, credentials, token } from "./backend.js";

const core = await AgentAssert.load();

contexts.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
after(() => {
  contexts.disable();
});

/** A manager that is observed, and what OpenTelemetry hears of it. */
class World {
  readonly clock = new Clock();
  readonly backend = new Backend(core, this.clock.now);
  readonly store = memoryStore();
  readonly spans = new InMemorySpanExporter();
  readonly tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(this.spans)] });
  readonly #metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  readonly #reader = new PeriodicExportingMetricReader({ exporter: this.#metrics });
  readonly #meters = new MeterProvider({ readers: [this.#reader] });
  readonly manager = new Manager({
    ...{ core, baseUrl: base, store: this.store, credentials, agentIdentity: true, allowHttp: true },
    ...{ fetch: this.backend.fetch, now: this.clock.now },
    observer: openTelemetryObserver({ tracerProvider: this.tracers, meterProvider: this.#meters }),
  });

  async close(): Promise<void> {
    await this.manager.close();
    await this.#meters.shutdown();
    await this.tracers.shutdown();
  }

  /** The metrics' values, by name and attributes; of a histogram, its count. */
  async points(): Promise<Record<string, number>> {
    this.#metrics.reset();
    await this.#reader.forceFlush();
    const points: Record<string, number> = {};
    for (const { scopeMetrics } of this.#metrics.getMetrics()) {
      for (const { descriptor, ...metric } of scopeMetrics.flatMap(({ metrics }) => metrics)) {
        for (const point of metric.dataPoints) {
          const { value } = point;
          points[`${descriptor.name} ${rendered(point.attributes)}`.trim()] =
            typeof value === "number" ? value : "count" in value ? value.count : NaN;
        }
      }
    }
    this.checkNoSecrets(points);
    return points;
  }

  /** Returns the spans that have ended since it was called last, in their order. */
  ended(): ReadableSpan[] {
    const spans = this.spans.getFinishedSpans();
    this.spans.reset();
    this.checkNoSecrets(
      spans.map(({ name, attributes, status, events }) => [name, attributes, status, events]),
    );
    return spans;
  }

  checkNoSecrets(exported: unknown): void {
    const text = JSON.stringify(exported);
    for (const secret of [token, "AgentAssertion ", "agent_private_key", "biscuit-"]) {
      assert.ok(!text.includes(secret), `what is exported holds ${secret}`);
    }
  }
}

/** Writes attributes as "key=value key=value", sorted by key. */
function rendered(attributes: Attributes): string {
  const names = Object.keys(attributes).sort();
  return names.map((name) => `${name}=${String(attributes[name])}`).join(" ");
}

const described = ({ name, attributes, status }: ReadableSpan) => ({
  name,
  attributes: rendered(attributes),
  ...(status.code !== SpanStatusCode.UNSET && { failed: status.message ?? "" }),
});

async function withWorld(work: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  try {
    await work(world);
  } finally {
    await world.close();
  }
}

const server = "server.address=agent.chatgpt.com server.port=80";
const [biscuit, identity] = ["/authenticate_app_v2", "/v1/agent/register"];
const task = "/v1/agent/{agent_runtime_id}/task/register";

test("metrics, with the names that the host in Go has", () =>
  withWorld(async (world) => {
    const { manager, backend, clock } = world;
    const first = await manager.authorization("models");
    await manager.authorization("models");
    await manager.authorization("apps");
    await manager.bearer();
    const decided = "agentassert.decisions agentassert.mode=";
    const asserted = `${decided}agent-assertion agentassert.reason=background-task`;
    const request = (method: string, template: string, status = 200) =>
      `http.client.request.duration ${status === 200 ? "" : `error.type=${status} `}http.request.method=${method} ` +
      `http.response.status_code=${status} ${server} url.template=${template}`;
    const want: Record<string, number> = {
      [asserted]: 1,
      [`${decided}bearer agentassert.reason=bearer-only-surface`]: 1,
      "agentassert.header_cache.hits": 2,
      "agentassert.registration.duration agentassert.recovery=false": 1,
      [request("GET", biscuit)]: 2,
      [request("POST", identity)]: 1,
      [request("POST", task)]: 1,
    };
    assert.deepEqual(await world.points(), want);

    const second = await manager.recover(first);
    Object.assign(want, {
      [asserted]: 2,
      "agentassert.recoveries": 1,
      "agentassert.registration.duration agentassert.recovery=true": 1,
      [request("GET", biscuit)]: 3,
      [request("POST", task)]: 2,
    });
    assert.deepEqual(await world.points(), want);

    backend.intercept = () => new Response("{}", { status: 403 });
    clock.milliseconds += 60_000; // a task that has replaced another is not replaced at once
    await manager.recover(second);
    clock.milliseconds += 1000;
    await manager.authorization("models");
    await assert.rejects(manager.thread("thread-1").authorization());
    const failed = (mode: string, code: string) =>
      `${decided}${mode} agentassert.reason=registration-failed error.type=${code}`;
    Object.assign(want, {
      "agentassert.recoveries error.type=http_status": 1,
      "agentassert.registration.duration agentassert.recovery=true error.type=http_status": 1,
      "agentassert.registration.duration agentassert.recovery=false error.type=http_status": 1,
      [request("GET", biscuit, 403)]: 2,
      [failed("bearer", "http_status")]: 1,
      [failed("bearer", "backing_off")]: 1,
      [failed("none", "http_status")]: 1,
    });
    assert.deepEqual(await world.points(), want);
  }));

test("traces: a registration in the call's span, and its requests in it", () =>
  withWorld(async (world) => {
    const { manager, clock, tracers } = world;
    const tracer = tracers.getTracer("test");
    /** Makes a call in a span of its own. */
    const called = (name: string) =>
      tracer.startActiveSpan(name, async (span) => {
        const { agentRuntimeId } = await manager.authorization("models");
        span.end();
        return agentRuntimeId;
      });
    const [agent] = await Promise.all([called("first"), called("second")]);
    clock.milliseconds += 1000;
    await called("third"); // a flow that registers nothing has no span
    const spans = world.ended();
    const request = (method: string, template: string) => ({
      name: `${method} ${template}`,
      attributes:
        `http.request.method=${method} http.response.status_code=200 ${server} ` +
        `url.full=${base}${template.replace("{agent_runtime_id}", agent)} url.template=${template}`,
    });
    const named = (name: string) => {
      const span = spans.find((span) => span.name === name);
      assert.ok(span, `there is no span ${name}`);
      return span;
    };
    assert.deepEqual(spans.slice(0, 5).map(described), [
      request("GET", biscuit),
      request("POST", identity),
      request("GET", biscuit),
      request("POST", task),
      {
        name: "agentassert.register",
        attributes:
          "agentassert.mode=agent-assertion agentassert.reason=background-task " +
          "agentassert.recovery=false agentassert.surface=models",
      },
    ]);
    const registration = named("agentassert.register");
    for (const span of spans.slice(0, 4)) {
      assert.equal(span.parentSpanContext?.spanId, registration.spanContext().spanId);
      assert.equal(span.kind, SpanKind.CLIENT);
    }
    assert.equal(registration.parentSpanContext?.spanId, named("first").spanContext().spanId);
    const links = named("second").links.map(({ context }) => context.spanId);
    assert.deepEqual(links, [registration.spanContext().spanId]);
    assert.deepEqual([named("first").links, named("third").links], [[], []]);
  }));

test("a request is sent within its span, for whoever instruments fetch", () =>
  withWorld(async (world) => {
    const { manager, backend } = world;
    const active: (string | undefined)[] = [];
    backend.intercept = () => {
      active.push(trace.getActiveSpan()?.spanContext().spanId);
      return undefined;
    };
    await manager.authorization("models");
    const spans = world.ended().filter(({ kind }) => kind === SpanKind.CLIENT);
    assert.deepEqual(
      active,
      spans.map((span) => span.spanContext().spanId),
    );
  }));

test("traces of failures", async (t) => {
  const request = (attributes: string, failed: string) => ({
    name: `GET ${biscuit}`,
    attributes: `${attributes} ${server} url.full=${base}${biscuit} url.template=${biscuit}`,
    failed,
  });
  const minting = "minting a biscuit for the identity registration: ";
  const refused = (status: number) => ({
    answer: () => new Response(null, { status }),
    request: request(`error.type=${status} http.request.method=GET http.response.status_code=${status}`, ""),
    code: "http_status",
    failed: `${minting}the backend answered ${status}`,
  });
  const hidden = "the request failed; its error is not shown, because it may quote the request or the answer";
  const cases = {
    refused: refused(403),
    redirected: refused(302),
    "no connection": {
      answer: () => Promise.reject(new TypeError(`quotes ${token}`)),
      request: request("error.type=connect http.request.method=GET", hidden),
      code: "request_failed",
      failed: `${minting}no response (connect)`,
    },
  };
  for (const [name, { answer, request, code, failed }] of Object.entries(cases)) {
    await t.test(name, () =>
      withWorld(async (world) => {
        world.backend.intercept = answer;
        await assert.rejects(world.manager.thread("thread-1").authorization());
        assert.deepEqual(world.ended().map(described), [
          request,
          {
            name: "agentassert.register",
            attributes:
              "agentassert.mode=none agentassert.reason=registration-failed agentassert.recovery=false " +
              `agentassert.surface=responses agentassert.thread.id=thread-1 error.type=${code}`,
            failed,
          },
        ]);
      }),
    );
  }
});

test("a request that is sent again says how often", () =>
  withWorld(async (world) => {
    let failures = 0;
    const fetch = world.backend.fetch;
    const manager = new Manager({
      ...{ core, baseUrl: base, store: memoryStore(), agentIdentity: true, allowHttp: true },
      ...{ profile: "auth-api", authApiUrl: "http://localhost:1", credentials, fetch, now: world.clock.now },
      observer: openTelemetryObserver({ tracerProvider: world.tracers }),
    });
    world.backend.intercept = () => new Response("{}", { status: failures++ < 9 ? 503 : 403 });
    const asked = manager
      .thread("thread-1")
      .authorization()
      .catch(() => undefined);
    await asked;
    await manager.close();
    const counts = world.ended().map(({ attributes }) => attributes["http.request.resend_count"]);
    assert.deepEqual(counts.slice(0, 2), [undefined, 1]);
  }));

test("options that are none", () => {
  for (const options of [{ meterprovider: undefined }, { tracerProvider: "global" }, null]) {
    assert.throws(
      () => openTelemetryObserver(options as never),
      (error) => codeOf(error) === "invalid_manager_config",
    );
  }
});
