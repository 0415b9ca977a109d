import * as agentassert from "agentassert";

import { scenario } from "./scenario.mjs";

postMessage(await scenario(agentassert, { baseUrl: `${location.origin}/backend-api` }));
