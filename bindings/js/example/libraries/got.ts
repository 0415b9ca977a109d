// got, by its hooks: it has no slot for a fetch.
import got, { type Got } from "got";
import type { Authorization, Manager, SurfaceName, Thread } from "agentassert";

/**
 * An instance whose calls on one surface are authorized. After a 401 they are sent once more;
 * those of got.stream are not, but the next one has another task.
 */
export function instance(manager: Manager, thread: Thread, surface: SurfaceName = "responses"): Got {
  return got.extend({
    prefixUrl: manager.baseUrl,
    followRedirect: false, // where one leads is the server's choice
    hooks: {
      beforeRequest: [
        async (options) => {
          if (options.url && manager.surfaceOf(options.url) === surface) {
            const authorization = await thread.authorization(surface, { signal: options.signal });
            options.context["authorization"] = authorization;
            Object.assign(options.headers, authorization.headers());
          }
        },
      ],
      afterResponse: [
        async (response, retry) => {
          const { context, signal } = response.request.options;
          const rejected = context["authorization"] as Authorization | undefined;
          if (response.statusCode !== 401 || !rejected) {
            return response;
          }
          const { rawBody: body, statusCode: status, headers } = response;
          const answer = new Response(body, { status, headers: { date: headers.date ?? "" } });
          const other = await manager.recover(rejected, { response: answer, signal });
          return other === rejected ? response : retry({});
        },
      ],
    },
  });
}
