// What must not be shown, copied or linked: tokens, private keys, and the signatures with
// which somebody could still call.

/** Where secrets are in a text, and what is put in their place. */
const forms: [form: RegExp, instead: string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, "[private key]"],
  // PKCS#8 of an Ed25519 key, in its two versions, in either alphabet.
  [/\bM(?:C4CAQAwBQYDK2VwBCIEI|FECAQEwBQYDK2VwBCIEI)[\w+/=-]*/g, "[private key]"],
  // The secret member of a JWK.
  [/(["']d["']\s*:\s*["'])[\w-]{40,}/g, "$1[private key]"],
  [/\b(bearer\s+)(?!token\b)[\w\-.~+/]{8,}=*/gi, "$1[token]"],
  [/(?<![\w.-])(?<!\b1\.)eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?/g, "[token]"],
  [/\b(?:sk|at|rt)[-_][\w-]{16,}/g, "[token]"],
  [/(x-openai-authorization["'\s:=]+)[^\s"']+/gi, "$1[biscuit]"],
  [/((?:access|refresh|id)_token["'\\]*\s*[:=]\s*["'\\]*)[^\s"'\\&,}]+/gi, "$1[token]"],
  [/(agent_private_key["'\\]*\s*[:=]\s*["'\\]*)[^\s"'\\&,}]+/gi, "$1[private key]"],
];

/** Returns a text without the secrets that are in it. */
export function withoutSecrets(text: string): string {
  return forms.reduce((rest, [form, instead]) => rest.replace(form, instead), text);
}

/** Reports whether there is a secret in a text. */
export function hasSecret(text: string): boolean {
  return withoutSecrets(text) !== text;
}

/** Returns the beginning of a signature, which tells two apart and is good for nothing else. */
export function shortSignature(signature: string): string {
  return signature.length > 12 ? `${signature.slice(0, 8)}…` : signature;
}
