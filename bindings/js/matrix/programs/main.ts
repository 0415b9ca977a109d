import * as agentassert from "agentassert";
import type { AgentAssert } from "agentassert";

// @ts-expect-error -- it has no types
import { report } from "./report.mjs";

const load: () => Promise<AgentAssert> = () => agentassert.AgentAssert.load();
await load();
await report(agentassert);
