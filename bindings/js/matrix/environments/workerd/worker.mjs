import * as agentassert from "agentassert";

import { scenario } from "./scenario.mjs";

export default {
  async fetch(_request, { BASE_URL: baseUrl }) {
    return Response.json(await scenario(agentassert, { baseUrl }));
  },
};
