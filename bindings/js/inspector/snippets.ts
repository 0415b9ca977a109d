// Programs that check an assertion, in each language that there is a package for, filled
// in with the header and the key. A test runs them.

export interface Example {
  header: string;
  publicKey: string;
  isInstance: boolean;
  /** The verifier's clock, or undefined for the machine's own. */
  now?: number;
  /** In seconds. */
  skew: number;
}

export interface Snippet {
  language: string;
  /** What it takes to run it. */
  needs: string;
  text: string;
}

/** What stands in the place of a key that nobody has given. */
export const placeholder = "ssh-ed25519 AAAA…";

/** Reports whether a header can stand in a program as it is: header fields are printable ASCII. */
export function canBeWritten(header: string): boolean {
  return /^[ -~]{1,4096}$/.test(header);
}

/** Returns the programs. The header has to be one that can be written. */
export function snippets({ header, publicKey, isInstance, now, skew }: Example): Snippet[] {
  const key = publicKey === "" ? placeholder : publicKey;
  // Of printable ASCII, every language here escapes the quotation mark and the backslash alike.
  const [quotedHeader, quotedKey] = [JSON.stringify(header), JSON.stringify(key)];
  const shell = (text: string) => `'${text.replace(/'/g, "'\\''")}'`;
  const at = (other: string) => (now === undefined ? other : String(now));
  const go = isInstance
    ? { verify: "VerifyInstanceAssertion", said: "said.Instance.RuntimeAgentInstance, said.Instance.ID" }
    : { verify: "VerifyAssertion", said: "said.Envelope.AgentRuntimeID, said.Envelope.TaskID" };
  const js = isInstance
    ? { verify: "verifyInstance", said: "instance", fields: "instance.runtimeAgentInstance, instance.id" }
    : { verify: "verify", said: "envelope", fields: "envelope.agentRuntimeId, envelope.taskId" };
  const python = isInstance
    ? { verify: "verify_instance", said: "seen.instance.runtime_agent_instance, seen.instance.id" }
    : { verify: "verify", said: "seen.envelope.agent_runtime_id, seen.envelope.task_id" };
  const c = isInstance
    ? { verify: "agentassert_verify_instance", said: "said->runtime_agent_instance, said->id" }
    : { verify: "agentassert_verify", said: "said->agent_runtime_id, said->task_id" };
  const once = isInstance ? "Refuse its second use, by its id." : "";
  const comment = (sign: string) => (once === "" ? "" : ` ${sign} ${once}`);
  return [
    {
      language: "Go",
      needs: "go get github.com/agentassert/agentassert/core",
      text: `package main

import (
	"fmt"
	"log"
${now === undefined ? '\t"time"\n' : ""}
	"github.com/agentassert/agentassert/core"
)

func main() {
	key, err := core.ParsePublicKey(${quotedKey})
	if err != nil {
		log.Fatal(err)
	}
	header := ${quotedHeader}
	said, err := core.${go.verify}(key, header, ${at("time.Now().Unix()")}, ${skew})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(${go.said})${comment("//")}
}
`,
    },
    {
      language: "JavaScript",
      needs: "npm install agentassert",
      text: `import { AgentAssert } from "agentassert";

const core = await AgentAssert.load();
const { ${js.said} } = core.${js.verify}({
  publicKey: ${quotedKey},
  header: ${quotedHeader},
  now: ${at("Math.floor(Date.now() / 1000)")},
  skew: ${skew},
});
console.log(${js.fields});${comment("//")}
`,
    },
    {
      language: "Python",
      needs: "pip install agentassert",
      text: `from agentassert import AgentAssert

core = AgentAssert.load()
seen = core.${python.verify}(
    public_key=${quotedKey},
    header=${quotedHeader},
${now === undefined ? "" : `    now=${now},\n`}    skew=${skew},
)
print(${python.said})${comment(" #")}
`,
    },
    {
      language: "C",
      needs: "cc verify.c $(pkg-config --cflags --libs agentassert)",
      text: `#include <agentassert.h>
#include <stdio.h>
${now === undefined ? "#include <time.h>\n" : ""}
int main(void)
{
	static const char key[] = ${quotedKey};
	static const char header[] = ${quotedHeader};
	agentassert *core;
	agentassert_error error;
	agentassert_inspection *said;
	if (agentassert_open(NULL, &core, &error) != 0 ||
	    ${c.verify}(core, key, header, ${at("time(NULL)")}, ${skew}, &said, &error) != 0) {
		fprintf(stderr, "%s: %s\\n", error.code, error.message);
		return 1;
	}
	printf("%s %s\\n", ${c.said});${once === "" ? "" : ` /* ${once} */`}
	agentassert_free(said);
	agentassert_close(core);
	return 0;
}
`,
    },
    {
      language: "Command line",
      needs: "go install github.com/agentassert/agentassert/cmd/agentassert@latest",
      text: `printf %s ${shell(header)} |
  agentassert verify --public-key ${shell(key)}${now === undefined ? "" : ` --at ${now}`} --skew ${skew}s -
`,
    },
  ];
}
