import {
  context as contexts,
  isSpanContextValid,
  metrics,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type MeterProvider,
  type Span,
  type TracerProvider,
} from "@opentelemetry/api";

import type { Authorization } from "./authorization.js";
import { codes, type AgentAssertError } from "./errors.js";
import type { FailureKind } from "./messages.js";
import type { ObservedExchange, ObservedRegistration, Observer, Registration } from "./observer.js";
import { object, optionsOf } from "./options.js";
import { own } from "./own.js";

/** Both are optional, and by default those of the process. */
export interface OpenTelemetryOptions {
  meterProvider?: MeterProvider;
  tracerProvider?: TracerProvider;
}

const scope = "agentassert/opentelemetry";

/** A registration that is under way, as its context. */
interface Registering {
  context: Context;
  /** How often each request has failed since it last succeeded. */
  failed: Map<string, number>;
}

/**
 * Returns an observer that tells OpenTelemetry what a manager does. The names are those of
 * the host in Go. The spans are
 *
 * - agentassert.register, from when a flow waits for the store's lock to its end, with
 *   agentassert.surface, agentassert.recovery, for a thread's task agentassert.thread.id,
 *   and what it came to. Its parent is the span of the call that came first; the spans of
 *   calls that have waited for it are linked to it,
 * - for each request that a flow sends, a client's span inside that one, with the
 *   attributes that the semantic conventions have for HTTP. It is active while the request
 *   is sent.
 *
 * The metrics are
 *
 * - agentassert.decisions, flows that ended with an authorization, by agentassert.mode,
 *   agentassert.reason, and error.type where something failed,
 * - agentassert.header_cache.hits, calls that got the answer of their second,
 * - agentassert.registration.duration, registrations in seconds, by agentassert.recovery,
 *   and error.type for those that failed,
 * - agentassert.recoveries, those of them that were to replace a rejected task, likewise,
 * - http.client.request.duration, such requests in seconds, as the semantic conventions
 *   have it.
 *
 * Errors: invalid_manager_config.
 *
 * An error.type is the code of an AgentAssertError; of a request, the status of an answer
 * that was not what was asked for, or, if there was none, timeout, canceled or connect. No
 * attribute holds a secret, and none of the metrics' what a caller has made up.
 */
export function openTelemetryObserver(options: OpenTelemetryOptions = {}): Observer {
  const { meterProvider = metrics, tracerProvider = trace } = optionsOf(options, {
    what: "the options of the observer",
    code: codes.invalidManagerConfig,
    shape: { meterProvider: object, tracerProvider: object },
  });
  const tracer = tracerProvider.getTracer(scope);
  const meter = meterProvider.getMeter(scope);
  const decisions = meter.createCounter("agentassert.decisions", {
    unit: "{decision}",
    description: "Flows that ended with an authorization.",
  });
  const hits = meter.createCounter("agentassert.header_cache.hits", {
    unit: "{hit}",
    description: "Calls that got the answer of their second.",
  });
  const durations = meter.createHistogram("agentassert.registration.duration", {
    unit: "s",
    description: "Registrations of an identity, a task or both.",
    advice: { explicitBucketBoundaries: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] },
  });
  const recoveries = meter.createCounter("agentassert.recoveries", {
    unit: "{recovery}",
    description: "Registrations that were to replace a rejected task.",
  });
  const requests = meter.createHistogram("http.client.request.duration", {
    unit: "s",
    description: "Duration of HTTP client requests.",
    advice: {
      explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    },
  });

  const registering = ({ surface, threadId, recovery }: Registration): ObservedRegistration => {
    const start = performance.now();
    const attributes: Attributes = { "agentassert.surface": surface, "agentassert.recovery": recovery };
    if (threadId !== "") {
      attributes["agentassert.thread.id"] = threadId;
    }
    const parent = contexts.active();
    const span = tracer.startSpan("agentassert.register", { attributes }, parent);
    const context = trace.setSpan(parent, span);
    return own<ObservedRegistration>({
      context: { context, failed: new Map() } satisfies Registering,
      done: (authorization, thrown) => {
        const error = thrown ?? authorization?.cause;
        const measured = errorIn(error);
        if (error) {
          span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
        }
        span.setAttributes(outcome(authorization, error));
        // Before the span ends, for exemplars.
        if (recovery) {
          recoveries.add(1, measured, context);
        }
        durations.record(secondsSince(start), { ...measured, "agentassert.recovery": recovery }, context);
        span.end();
      },
    });
  };

  const request = ({ method, url }: { method: string; url: string }, given: unknown): ObservedExchange => {
    const { context, failed } = (given ?? { context: contexts.active(), failed: new Map() }) as Registering;
    const { name, both, full } = described(method, url);
    const key = `${method} ${url}`;
    const resends = failed.get(key) ?? 0;
    const start = performance.now();
    const span = tracer.startSpan(
      name,
      {
        kind: SpanKind.CLIENT,
        attributes: { ...both, ...full, ...(resends > 0 && { "http.request.resend_count": resends }) },
      },
      context,
    );
    const inside = trace.setSpan(context, span);
    return own<ObservedExchange>({
      within: (send) => contexts.with(inside, send),
      done: (status, failure) => {
        const ended: Attributes = {};
        if (failure) {
          ended["error.type"] = failureTypes[failure.kind] ?? "connect";
          span.setStatus({ code: SpanStatusCode.ERROR, message: failure.error.message });
        }
        if (status !== undefined) {
          ended["http.response.status_code"] = status;
        }
        const isDone = status !== undefined && status < 300; // a registration follows no redirect
        if (status !== undefined && !isDone) {
          ended["error.type"] = String(status);
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        if (isDone) {
          failed.delete(key);
        } else {
          failed.set(key, resends + 1);
        }
        span.setAttributes(ended);
        // Before the span ends, for exemplars.
        requests.record(secondsSince(start), { ...both, ...ended }, inside);
        span.end();
      },
    });
  };

  return own<Observer>({
    decided: (authorization) => {
      decisions.add(1, outcome(authorization, authorization.cause));
    },
    reused: () => {
      hits.add(1);
    },
    registering,
    waited: (given) => {
      const { context } = (given ?? {}) as Partial<Registering>;
      const registration = context && trace.getSpanContext(context);
      const span: Partial<Span> | undefined = trace.getActiveSpan();
      if (registration && isSpanContextValid(registration)) {
        span?.addLink?.({ context: registration }); // which spans of older versions have not
      }
    },
    request,
  });
}

/** Says what something came to. */
function outcome(authorization: Authorization | undefined, error: AgentAssertError | undefined): Attributes {
  return {
    ...(authorization && {
      "agentassert.mode": authorization.mode,
      "agentassert.reason": authorization.reason,
    }),
    ...errorIn(error),
  };
}

function errorIn(error: AgentAssertError | undefined): Attributes {
  return error ? { "error.type": error.code } : {};
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}

/** What is not listed is a connection that failed. */
const failureTypes: Partial<Record<FailureKind, string>> = { timeout: "timeout", canceled: "canceled" };

/**
 * Names a request as https://opentelemetry.io/docs/specs/semconv/http/http-spans/ does, for
 * clients: what span and metric have, and what the span has beside.
 */
function described(method: string, url: string): { name: string; both: Attributes; full: Attributes } {
  const both: Attributes = { "http.request.method": method };
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return { name: method, both, full: {} };
  }
  const { protocol, hostname, port, pathname, origin } = parsed;
  both["server.address"] = hostname.replace(/^\[(.*)\]$/, "$1");
  both["server.port"] = port === "" ? (protocol === "http:" ? 80 : 443) : Number(port);
  const template = templateOf(pathname);
  if (template !== undefined) {
    both["url.template"] = template;
  }
  // The protocol's URLs have no user, query or fragment; what is not known to be none stays out.
  return {
    name: [method, template].filter(Boolean).join(" "),
    both,
    full: { "url.full": origin + pathname },
  };
}

/** Returns the path of one of the requests that the protocol has. */
function templateOf(path: string): string | undefined {
  const task = "/task/register";
  const known = [
    "/authenticate_app_v2",
    "/v1/agent/register",
    task,
    "/agent/register",
    "/wham/accounts/check",
  ];
  const found = known.find((end) => path.endsWith(end));
  return found === task ? `/v1/agent/{agent_runtime_id}${task}` : found;
}
