// As Jest is by default: CommonJS.
const agentassert = require("agentassert");

const { report } = require("./report.cjs");

test("the scenario", () => report(agentassert));
