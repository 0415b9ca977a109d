// Runs one environment: a folder with what it installs (package.json and its lock file, if it needs more than
// this package), files that are copied beside that, and environment.mjs, which says how to run it:
//
//     export default {
//       title: "Node 22",
//       ways: [{ how: "`import`", run: (box) => box.run(box.bin("node"), ["main.mjs"]) }],
//     };
//
// The programs are copied there, too: main.mjs, main.cjs and main.ts run the scenario, and print what box.run
// reads. A way returns { version, results }. It throws where it fails, and Missing where something that nobody
// can install by npm is not on this machine. A lock file names no registry; npm writes it so by
//
//     npm install --package-lock-only --omit-lockfile-registry-resolved
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { mark } from "./programs/report.mjs";
import { steps } from "./programs/scenario.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const capture = join(here, "../../../testvectors/captures/enabled.auth.json");
/** Milliseconds for one command: an installation on a slow machine, say. */
const patience = 300_000;

/** An environment that cannot be had on this machine. */
export class Missing extends Error {}

/** Returns a row for each way. */
export async function runEnvironment(name, source, context) {
  const { default: environment } = await import(pathToFileURL(join(source, "environment.mjs")).href);
  const box = new Box(name, source, context);
  const rows = [];
  console.log(`${name}: installing`);
  const problem = await box.install().catch((error) => error);
  for (const { how, run } of environment.ways) {
    const row = { title: environment.title, how, version: "", results: {}, outcome: "ok", problem: "" };
    try {
      if (problem) {
        throw problem;
      }
      Object.assign(row, await run(box));
      const failed = steps.find((step) => row.results[step] !== "ok");
      if (failed) {
        row.outcome = "failed";
        row.problem = `${failed}: ${row.results[failed]}`;
      }
    } catch (error) {
      row.outcome = error instanceof Missing ? "missing" : "failed";
      row.problem = error.message;
    }
    console.log(`${name}: ${how}: ${row.outcome}${row.problem && `: ${row.problem}`}`);
    rows.push(row);
  }
  if (!context.keep) {
    rmSync(box.folder, { recursive: true, force: true });
  }
  return rows;
}

/** Where one environment is installed, and what runs there. */
class Box {
  #source;
  #context;

  constructor(name, source, context) {
    this.name = name;
    this.folder = join(context.build, name);
    this.#source = source;
    this.#context = context;
  }

  /** The backend: its origin, its baseUrl, and the folders that it serves. */
  get backend() {
    return this.#context.backend;
  }

  /** Puts everything into an empty folder: what the environment needs by its lock file, then this package. */
  async install() {
    mkdirSync(this.folder, { recursive: true });
    cpSync(this.#source, this.folder, { recursive: true });
    cpSync(join(here, "programs"), this.folder, { recursive: true });
    const quiet = ["--no-audit", "--no-fund", "--loglevel", "error", "--prefer-offline"];
    if (existsSync(join(this.folder, "package-lock.json"))) {
      try {
        await this.exec("npm", ["ci", ...quiet]);
      } catch (error) {
        throw new Missing(`npm cannot install it: ${error.message}`);
      }
    } else {
      writeFileSync(this.file("package.json"), '{ "private": true, "type": "module" }\n');
    }
    const { tarball } = this.#context;
    await this.exec("npm", ["install", ...quiet, "--no-save", "--no-package-lock", tarball]);
  }

  /** Returns the path of an auth.json that is signed in, and has no identity yet: another one each time. */
  #authJson() {
    const document = JSON.parse(readFileSync(capture, "utf8"));
    delete document.agent_identity;
    const folder = mkdtempSync(this.file("home-"));
    writeFileSync(join(folder, "auth.json"), JSON.stringify(document));
    return join(folder, "auth.json");
  }

  /** The path of a file in the environment's folder. */
  file(path) {
    return join(this.folder, path);
  }

  /** The path of a command that npm has installed. */
  bin(command) {
    return this.file(join("node_modules", ".bin", command));
  }

  /** Runs a command, which prints results as report.mjs does, and returns them. */
  async run(command, args, env = {}) {
    const output = await this.exec(command, args, {
      AGENTASSERT_BASE_URL: this.backend.baseUrl,
      AGENTASSERT_AUTH_JSON: this.#authJson(),
      ...env,
    });
    const line = output.split("\n").find((line) => line.includes(mark));
    if (!line) {
      throw new Error(`it printed no results, but ${JSON.stringify(output.slice(-1000))}`);
    }
    return JSON.parse(line.slice(line.indexOf(mark) + mark.length));
  }

  /** Runs a command in the folder, and returns what it has printed. */
  async exec(command, args, env = {}) {
    const child = this.start(command, args, env);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (output += text));
    }
    const timer = setTimeout(() => stop(child), patience);
    const ended = await new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, signal) => resolve(code === 0 ? "" : (signal ?? `status ${code}`)));
    });
    clearTimeout(timer);
    if (ended) {
      throw new Error(`${command} ${args.join(" ")}: ${ended}: ${output.trim().slice(-2000)}`);
    }
    return output;
  }

  /** Starts a command in the folder, with output to read. Whoever starts it has to stop it. */
  start(command, args, env = {}) {
    return spawn(command, args, {
      cwd: this.folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // a group of its own, so that nothing of it is left running
    });
  }
}

/** Ends what Box.start has started, with everything that it has started itself. */
export function stop(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // it has ended
  }
}
