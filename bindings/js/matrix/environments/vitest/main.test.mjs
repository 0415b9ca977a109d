import * as agentassert from "agentassert";
import { test } from "vitest";

import { report } from "./report.mjs";

test("the scenario", () => report(agentassert));
