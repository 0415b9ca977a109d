// What people paste in an assertion's place: the user's token, a whole auth.json, a key. It
// is said what that is, and what it means for a call, and none of it is shown again.

import { byId, explanation, h, sentence, setText, type Tone } from "./dom.js";
import { core } from "./engine.js";
import type { Pasted, PastedToken } from "./pasted.js";
import { reasons } from "./reasons.js";
import { coded } from "./dom.js";
import { duration, formatTime } from "./text.js";
import { expiryOf, tokenFacts } from "./token.js";

/** What is said of something that is no assertion. */
export interface Other {
  tone: Tone;
  title: string;
  text: string;
  /** What stands below it. */
  cards: HTMLElement[];
}

/** What the cards can do, beside being read. */
export interface Actions {
  usePublicKey: (key: string) => void;
  movePrivateKey: () => void;
  movePublicKey: () => void;
}

const secret =
  "Whoever has it is the user: put it into no ticket and no chat. It is masked here, and kept nowhere.";

/** Says what was pasted in an assertion's place. */
export function describeOther(
  pasted: Exclude<Pasted, { kind: "assertion" | "nothing" }>,
  now: number,
  actions: Actions,
): Other {
  switch (pasted.kind) {
    case "token":
      return ofToken(pasted, now);
    case "auth-json":
      return ofAuthJSON(pasted.document, actions);
    case "biscuit":
      return {
        tone: "odd",
        title: "A biscuit: it authorizes one registration",
        text: `X-OpenAI-Authorization belongs to a registration, and to no other call: it was made of the user’s token, for one method and one URL, and is short-lived. ${secret}`,
        cards: [],
      };
    case "private-key":
      return {
        tone: "odd",
        title: "A private key, and not an assertion",
        text: "Whoever has it is the agent. It is masked here, and kept nowhere.",
        cards: [
          card(
            "Where it belongs",
            h("p", {}, "Under Key pair: that shows its public half, with which signatures are checked."),
            button("move-private-key", "Move it to Key pair", actions.movePrivateKey),
          ),
        ],
      };
    case "public-key":
      return {
        tone: "none",
        title: "A public key, and not an assertion",
        text: "It is no secret. It belongs in the field for it, and an assertion here.",
        cards: [
          card("Where it belongs", button("move-public-key", "Move it to Public key", actions.movePublicKey)),
        ],
      };
  }
}

function ofToken({ token, jwt }: PastedToken, now: number): Other {
  const exp = jwt && expiryOf(jwt);
  const expired = exp !== undefined && exp <= now;
  const age = exp === undefined ? "" : duration(exp - now);
  const expiry = expired
    ? ` By its own account it expired ${age} ago, which alone explains a 401: sign in again, or start the client that refreshes it.`
    : exp === undefined
      ? ""
      : ` By its own account it is good for ${age} more.`;
  const facts = jwt ? tokenFacts(jwt) : [];
  if (exp !== undefined) {
    facts.push(["Expires", formatTime(exp)]);
  }
  const about =
    facts.length === 0
      ? []
      : [
          card(
            "What the token says",
            h(
              "dl",
              { class: "members" },
              ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
            ),
            h("p", { class: "hint" }, "Nobody has verified it here. Its signature is not shown."),
          ),
        ];
  switch (token) {
    case "identity-jwt":
      return {
        tone: "odd",
        title: "An identity JWT, with an agent’s private key in it",
        text: `It is no header: a client takes it as its identity, and signs with the key. Whoever has it is the agent. It is masked here, and kept nowhere.${expiry}`,
        cards: [card("What to do", ...explanation("identity_jwt_sign_in")), ...about],
      };
    case "api-key":
      return {
        tone: "odd",
        title: "An API key: no assertion was sent",
        text: `Only the profile instances gives an API key an agent; in the others such a call carries none. ${secret}`,
        cards: [reasonsCard()],
      };
    default:
      return {
        tone: "odd",
        title: "The user’s bearer token: the agent fell back",
        text: `${token === "personal-access-token" ? "It is a personal access token. " : ""}The call carried it in place of an assertion, so there is nothing damaged, and no signature to check. ${secret}${expiry}`,
        cards: [reasonsCard(), ...about],
      };
  }
}

/** Lists why a call carries no assertion. */
export function reasonsCard(): HTMLElement {
  const list = (carries: "bearer" | "none") =>
    h(
      "dl",
      { class: "reasons" },
      ...Object.entries(reasons)
        .filter(([, reason]) => reason.carries === carries)
        .flatMap(([name, { means, todo }]) => [
          h("dt", {}, h("code", {}, name)),
          h("dd", {}, means, " ", h("span", { class: "todo" }, todo)),
        ]),
    );
  return card(
    "Why it was no assertion",
    h(
      "p",
      {},
      "One of these, in the order in which the rules are tried. The authorization’s ",
      h("code", {}, "reason"),
      " says which; ",
      h("code", {}, "agentassert status"),
      " and ",
      h("code", {}, "agentassert doctor"),
      " do, too. A strict manager has the call fail instead.",
    ),
    list("bearer"),
    h("h4", {}, "Where a call carries nothing at all"),
    list("none"),
  );
}

const kinds: Record<string, [title: string, text: string]> = {
  chatgpt: ["An auth.json: signed in with a ChatGPT account", "Its calls can carry assertions."],
  "agent-identity": [
    "An auth.json: an agent’s identity, and no user’s token",
    "All of its calls carry assertions.",
  ],
  "api-key": ["An auth.json: signed in with an API key", ""],
  none: ["An auth.json: nobody is signed in", ""],
  other: ["An auth.json: signed in another way", ""],
};

function ofAuthJSON(document: string, actions: Actions): Other {
  const warning =
    "The file is as secret as a password: there are tokens in it, and an agent’s private key. It is masked here, and kept nowhere.";
  const engine = core();
  try {
    const read = engine?.call("credentials.read", { document: new TextEncoder().encode(document) });
    const [title, text] = kinds[read?.kind ?? "none"] ?? ["An auth.json", ""];
    const { problem } = read ?? {};
    return {
      tone: problem ? "odd" : "none",
      title,
      text: `${text} ${warning}`.trim(),
      cards: [
        ...(problem ? [card("What that means", ...explanation(problem.code))] : []),
        card(
          "Who is signed in",
          members([
            ["Account", read?.accountId],
            ["User", read?.userId],
            ["Plan", read?.planType],
            ["FedRAMP", read?.fedramp === true ? "yes" : undefined],
          ]),
        ),
        agentCard(document, actions),
      ],
    };
  } catch (error) {
    const { code, message } = coded(error);
    return {
      tone: "bad",
      title: "An auth.json that no client reads",
      text: warning,
      cards: [card("What is wrong with it", ...explanation(code, message))],
    };
  }
}

/** Shows the agent of an auth.json: what is no secret about it. */
function agentCard(document: string, actions: Actions): HTMLElement {
  const { agent_identity: record } = JSON.parse(document) as { agent_identity?: unknown };
  if (typeof record === "string") {
    return card(
      "Its agent",
      h("p", {}, "The identity arrived as a JWT."),
      ...explanation("identity_jwt_sign_in"),
    );
  }
  if (typeof record !== "object" || record === null) {
    return card("Its agent", h("p", {}, "There is none yet: the first call that asserts registers one."));
  }
  const text = (name: string): string | undefined => {
    const value: unknown = Object.hasOwn(record, name)
      ? (record as Record<string, unknown>)[name]
      : undefined;
    return typeof value === "string" ? value : undefined;
  };
  const facts = members([
    ["Runtime id", text("agent_runtime_id")],
    ["Task", text("background_task_id") ?? text("task_id")],
    ["Account", text("workspace_id") ?? text("account_id")],
  ]);
  try {
    const key = core()?.parseKey(text("agent_private_key") ?? "").publicKey ?? "";
    facts.append(h("dt", {}, "Public key"), h("dd", { class: "mono" }, key));
    return card(
      "Its agent",
      facts,
      button("use-public-key", "Check signatures with its key", () => {
        actions.usePublicKey(key);
      }),
    );
  } catch (error) {
    const { code, message } = coded(error);
    return card("Its agent", facts, ...explanation(code, sentence(message)));
  }
}

function members(facts: [string, string | undefined][]): HTMLElement {
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
  return h(
    "dl",
    { class: "members" },
    ...(known.length === 0 ? [["Nothing", "is said about that"] as const] : known).flatMap(
      ([name, value]) => [h("dt", {}, name), h("dd", {}, value.slice(0, 400))],
    ),
  );
}

function button(id: string, label: string, act: () => void): HTMLElement {
  const element = h("button", { type: "button", id }, label);
  element.addEventListener("click", act);
  return h("div", { class: "actions" }, element);
}

function card(title: string, ...content: Node[]): HTMLElement {
  return h("section", { class: "card" }, h("h3", {}, title), ...content);
}

/** Shows what was pasted in an assertion's place, or nothing. */
export function showOther(other: Other | undefined): void {
  const box = byId("other-answer");
  box.hidden = other === undefined;
  box.replaceChildren(...(other?.cards ?? []));
  if (other) {
    setText(byId("inspect-status"), `${other.title}. ${other.text}`);
  }
}
