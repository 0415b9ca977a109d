const agentassert = require("agentassert");

import("./report.mjs").then(({ report }) => report(agentassert));
