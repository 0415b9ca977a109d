import { codeOfSystem } from "./errors.js";

// Deno, and Node where its permission model is on, refuse what a program was given no
// leave for. What helps then is a flag, and not what helps against the system's refusal.

/** Node's flags, by what it calls the permission. */
const flags: ReadonlyMap<unknown, string> = new Map([
  ["FileSystemRead", "--allow-fs-read"],
  ["FileSystemWrite", "--allow-fs-write"],
  ["ChildProcess", "--allow-child-process"],
]);

/** Returns the flag that the program lacks, if that is why something failed; else undefined. */
export function missingFlag(error: unknown): string | undefined {
  if (!(error instanceof Error)) {
    return undefined;
  }
  if (codeOfSystem(error) === "ERR_ACCESS_DENIED") {
    return flags.get((error as { permission?: unknown }).permission) ?? "one of Node's flags --allow-…";
  }
  if (error.name === "NotCapable" || error.name === "PermissionDenied") {
    // Deno says which; of the system's refusal it says something else.
    return /--allow-[a-z-]+/.exec(error.message)?.[0];
  }
  return undefined;
}
