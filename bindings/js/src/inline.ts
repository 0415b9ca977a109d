// The same package, with the module inside, for bundlers and servers that do not take files along.
import { inflate } from "./inflate.js";
import { moduleIsInside } from "./packaged-module.js";
import { compressed } from "./module-text.js";

export * from "./index.js";

moduleIsInside(async () => WebAssembly.compile(await inflate(compressed)));
