import { createHash } from "node:crypto";

import { own } from "./own.js";

// Keyrings take small values only: 2,560 bytes on Windows, some 3,000 on macOS. So a slot
// has one item, the head, which holds the record or its beginning, and parts for the rest.
// A head that lists its parts names their generation, a or b. Names and values are those of
// the host in Go.

/**
 * How many bytes of a record an item holds. As base64 within JSON, and once more as base64
 * on macOS, it stays below every keyring's limit.
 */
const chunk = 1500;
/** The largest record, in bytes. */
export const maxRecord = 512 << 10;
/** The most parts that a record has beside its head. */
export const maxParts = Math.floor(maxRecord / chunk);

/** One of two sets of parts that a slot has. */
export type Generation = "a" | "b";

/** Returns the generation that is not in use. */
export function other(generation: Generation): Generation {
  return generation === "a" ? "b" : "a";
}

/** A slot's first item. */
export interface Head {
  generation: Generation;
  /** How many more items there are, from 1. */
  parts: number;
  /** The SHA-256 of the record. */
  sum: Uint8Array;
  /** The record's first chunk. */
  data: Uint8Array;
}

/** Returns the head of a record, as its item has it, and its parts' values. */
export function split(record: Uint8Array, generation: Generation): { head: string; parts: string[] } {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < record.length; at += chunk) {
    chunks.push(record.subarray(at, at + chunk));
  }
  const [data, ...parts] = chunks.map(base64);
  const head = { v: 1, generation, parts: parts.length, sha256: base64(sha256(record)), data };
  return { head: JSON.stringify(head), parts };
}

/** Returns the head in an item's value, or undefined if that is not one. */
export function parseHead(value: string): Head | undefined {
  let head: Record<string, unknown>;
  try {
    head = own(JSON.parse(value) as Record<string, unknown>);
  } catch {
    return undefined;
  }
  const { v, generation, parts } = head;
  const [sum, data] = [bytesOf(head["sha256"]), bytesOf(head["data"] ?? "")];
  const isKnown =
    v === 1 &&
    (generation === "a" || generation === "b") &&
    typeof parts === "number" &&
    Number.isInteger(parts) &&
    parts >= 0 &&
    parts <= maxParts;
  return isKnown && sum && data ? { generation, parts, sum, data } : undefined;
}

/** Reports whether a record is the one that a head was made for. */
export function holds({ sum }: Head, record: Uint8Array): boolean {
  return Buffer.compare(sum, sha256(record)) === 0;
}

/** Returns the bytes of a value in base64, or undefined for what is none. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (
    typeof value !== "string" ||
    !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)
  ) {
    return undefined;
  }
  return Uint8Array.from(Buffer.from(value, "base64"));
}

/** Returns the name of a slot's head. */
export function headItem(service: string, account: string, slot: string): string {
  return `${account}.${hex(`${service}\0${account}\0${slot}`)}`;
}

/** Returns the name of the n-th part, from 1. */
export function partItem(head: string, generation: Generation, n: number): string {
  return `${head}.${generation}.${n}`;
}

/** Returns the SHA-256 of text, in hexadecimal digits. */
export function hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
