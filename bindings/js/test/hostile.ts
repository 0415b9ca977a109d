// A module that is anybody's, of ../../../wasm/guest/testdata/hostile: it answers what it is
// told to, and leaves the rest to the core.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { AgentAssert } from "agentassert";

import { encodeMessage } from "../dist/internals.js";
import { fromJSON } from "./runner.js";

/** An answer to the next call of a method. */
export interface Order {
  method: string;
  response: Uint8Array;
}

/** Builds the module. It needs Go. */
export function buildHostile(): Uint8Array<ArrayBuffer> {
  const path = fileURLToPath(new URL("../build/hostile.wasm", import.meta.url));
  mkdirSync(fileURLToPath(new URL("../build", import.meta.url)), { recursive: true });
  execFileSync("go", ["run", "./wasmbuild", "-guest", "../wasm/guest/testdata/hostile", "-o", path], {
    cwd: fileURLToPath(new URL("../../../cmd", import.meta.url)),
    stdio: "inherit",
  });
  return new Uint8Array(readFileSync(path));
}

/** Has a hostile module give these answers. */
export function obey(core: AgentAssert, ...orders: Order[]): void {
  const parts = orders.flatMap(({ method, response }) => [new TextEncoder().encode(method), response]);
  const request = parts.flatMap((part) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, part.length, true);
    return [length, part];
  });
  core.exchange(Buffer.concat([Buffer.from("o"), ...request]));
}

/** All that a hostile module was sent since it was told what to answer. */
export function heard(core: AgentAssert): string {
  return Buffer.from(core.exchange(Buffer.from("h"))).toString("latin1");
}

/** The order to answer something, in the JSON form of the vectors. */
export function answers(method: string, response: unknown): Order {
  return { method, response: encodeMessage(fromJSON(response)) };
}

/** The order to ask for an effect, in the same form. */
export function wants(method: "flow.step" | "file.step", effect: unknown): Order {
  const isDone = (effect as { type?: unknown }).type === "done";
  return answers(method, { ok: { effect, ...(!isDone && { state: { hex: "01" } }) } });
}
