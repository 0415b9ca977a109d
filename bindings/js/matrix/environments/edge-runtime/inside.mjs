import * as agentassert from "agentassert";

import { scenario } from "./scenario.mjs";

const { baseUrl, source } = globalThis;
globalThis.results = scenario(agentassert, { baseUrl, source });
