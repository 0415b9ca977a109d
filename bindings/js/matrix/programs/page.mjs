import * as agentassert from "agentassert";

import { scenario } from "./scenario.mjs";

globalThis.results = scenario(agentassert, { baseUrl: `${location.origin}/backend-api` });
