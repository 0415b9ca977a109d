import * as agentassert from "agentassert";

import { scenario } from "../../scenario.mjs";

export const runtime = "edge";

export async function GET(request) {
  const baseUrl = new URL(request.url).searchParams.get("baseUrl");
  return Response.json(await scenario(agentassert, { baseUrl }));
}
