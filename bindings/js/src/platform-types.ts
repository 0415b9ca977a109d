// The platform's types, for the declarations of this package: from whichever of them a program has, the
// browsers' (lib dom), Node's, Bun's, Deno's or Cloudflare's, with what little is needed of each where there
// are none. fetch says most of them, for that is a global value everywhere: of a global class TypeScript does
// not always say whether there is one. The build imports them into each declaration that uses one.

type Fetch = typeof globalThis extends { fetch: infer F extends (input: never, init?: never) => unknown }
  ? F
  : BareFetch;
type Input = Parameters<Fetch>[0];
type Or<T, Otherwise> = [T] extends [never] ? Otherwise : unknown extends T ? Otherwise : T;

/** The platform's Response. */
export type Response = Or<Awaited<ReturnType<Fetch>>, BareResponse>;
/** The platform's Request. */
export type Request = Or<Extract<Input, { readonly url: string }>, BareRequest>;
/** The platform's URL. */
export type URL = Or<Extract<Input, { readonly href: string }>, BareURL>;
/** What the platform's fetch takes beside a URL. */
export type RequestInit = Or<NonNullable<Parameters<Fetch>[1]>, BareRequestInit>;
/** The platform's Headers. */
export type Headers = Response extends { readonly headers: infer T } ? T : BareHeaders;
/** The platform's AbortSignal. */
export type AbortSignal = RequestInit extends { signal?: infer T }
  ? Or<NonNullable<T>, BareAbortSignal>
  : BareAbortSignal;
/** The platform's WebAssembly, as far as it is needed. */
// eslint-disable-next-line @typescript-eslint/no-namespace -- it is called so
export declare namespace WebAssembly {
  /** A compiled module. */
  export type Module = typeof globalThis extends { WebAssembly: { Module: { prototype: infer T } } }
    ? T
    : object;
}
/** What a new array of bytes is, in the versions of TypeScript where that has a parameter and in those before. */
export type Bytes = ReturnType<Uint8ArrayConstructor["of"]>;

type BareFetch = (input: string | BareURL | BareRequest, init?: BareRequestInit) => Promise<BareResponse>;

interface BareURL {
  readonly href: string;
}

interface BareHeaders {
  get(name: string): string | null;
  has(name: string): boolean;
  set(name: string, value: string): void;
  append(name: string, value: string): void;
  delete(name: string): void;
  forEach(callback: (value: string, name: string) => void): void;
}

interface BareMessage {
  readonly headers: BareHeaders;
  readonly body: unknown;
  readonly bodyUsed: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
  json(): Promise<unknown>;
  text(): Promise<string>;
}

interface BareRequest extends BareMessage {
  readonly url: string;
  readonly method: string;
  readonly signal: BareAbortSignal;
  clone(): BareRequest;
}

interface BareResponse extends BareMessage {
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly redirected: boolean;
  readonly type: string;
  clone(): BareResponse;
}

interface BareRequestInit {
  method?: string;
  headers?: Record<string, string> | [string, string][] | BareHeaders;
  body?: unknown;
  redirect?: "error" | "follow" | "manual";
  signal?: BareAbortSignal | null;
}

interface BareAbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}
