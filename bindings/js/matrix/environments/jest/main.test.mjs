import * as agentassert from "agentassert";

import { report } from "./report.mjs";

test("the scenario", () => report(agentassert));
