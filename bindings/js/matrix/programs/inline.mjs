import * as agentassert from "agentassert/inline";

import { report } from "./report.mjs";

report(agentassert); // nobody waits for it: a bundle of CommonJS cannot
