import * as agentassert from "agentassert";

import { scenario } from "./scenario.mjs";

export default {
  async fetch(request) {
    const baseUrl = new URL(request.url).searchParams.get("baseUrl");
    return Response.json(await scenario(agentassert, { baseUrl }));
  },
};
