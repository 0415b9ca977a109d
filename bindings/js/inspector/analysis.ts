// Why a header is not canonical, or no assertion at all, in either of the two forms.

import { analyseTask, type TaskAnalysis } from "./envelope.js";
import { analyseInstance, isInstance, type InstanceAnalysis } from "./jws.js";

export type Analysis = TaskAnalysis | InstanceAnalysis;

/** Takes a header apart, and finds everything that is unusual about it. */
export function analyse(header: string): Analysis {
  return isInstance(header) ? analyseInstance(header) : analyseTask(header);
}
