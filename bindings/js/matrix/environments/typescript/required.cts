import agentassert = require("agentassert");

export const core: Promise<agentassert.AgentAssert> = agentassert.AgentAssert.load();
