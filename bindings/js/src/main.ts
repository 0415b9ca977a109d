import { moduleBeside } from "#module";

import { moduleIsBeside } from "./packaged-module.js";

export * from "./index.js";

moduleIsBeside(moduleBeside);
