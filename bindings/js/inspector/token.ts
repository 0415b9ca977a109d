// What a JWT says of itself. Nobody verifies it here: it is for a person who wants to know
// which token this is.

export interface JWT {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
}

/** Takes a JWT apart, or returns undefined for what is none. */
export function readJWT(token: string): JWT | undefined {
  const [header, claims, signature] = token.split(".");
  if (header === undefined || claims === undefined || signature === undefined) {
    return undefined;
  }
  const [readHeader, readClaims] = [readPart(header), readPart(claims)];
  return readHeader && readClaims ? { header: readHeader, claims: readClaims } : undefined;
}

function readPart(part: string): Record<string, unknown> | undefined {
  try {
    const binary = atob(part.replace(/-/g, "+").replace(/_/g, "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Returns what a person may want to know of a token, and that is no secret. */
export function tokenFacts({ claims }: JWT): [name: string, value: string][] {
  const own = (object: unknown, name: string): unknown =>
    typeof object === "object" && object !== null && Object.hasOwn(object, name)
      ? (object as Record<string, unknown>)[name]
      : undefined;
  const auth = own(claims, "https://api.openai.com/auth");
  const facts: [string, unknown][] = [
    ["Issuer", own(claims, "iss")],
    ["Audience", own(claims, "aud")],
    ["Account", own(auth, "chatgpt_account_id") ?? own(claims, "account_id")],
    ["User", own(auth, "chatgpt_user_id") ?? own(auth, "user_id") ?? own(claims, "chatgpt_user_id")],
    ["Plan", own(auth, "chatgpt_plan_type") ?? own(claims, "plan_type")],
    ["Runtime id", own(claims, "agent_runtime_id")],
  ];
  return facts.flatMap(([name, value]) => {
    const texts = (Array.isArray(value) ? value : [value]).filter((text) => typeof text === "string");
    return texts.length > 0 ? [[name, texts.join(", ").slice(0, 200)]] : [];
  });
}

/** Returns when a token expires by its own account, in Unix seconds, or undefined. */
export function expiryOf({ claims }: JWT): number | undefined {
  const exp = Object.hasOwn(claims, "exp") ? claims["exp"] : undefined;
  return typeof exp === "number" && Math.abs(exp) < 253_402_300_800 ? Math.floor(exp) : undefined;
}
