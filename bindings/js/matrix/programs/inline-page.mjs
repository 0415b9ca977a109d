import * as agentassert from "agentassert/inline";

import { scenario } from "./scenario.mjs";

globalThis.results = scenario(agentassert, { baseUrl: `${location.origin}/backend-api` });
