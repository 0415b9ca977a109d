import * as agentassert from "agentassert";

import { report } from "./report.mjs";

await report(agentassert);
