// Package wire defines what crosses the border between a host and the guest:
// the messages of the ABI and their one encoding.
//
// The encoding is CBOR (RFC 8949) in its core deterministic form, restricted to
// integers that fit an int64, byte strings, text strings, arrays, maps with text
// keys and booleans. A message has exactly one encoding: integers are as
// short as they can be, map keys are sorted by their encoded bytes, lengths are
// definite, and an optional member whose value is zero, empty or false is left
// out. [Decode] accepts that encoding and nothing else, so that
// Encode(Decode(b)) is b for every b it accepts.
//
// The codec uses no reflection: the guest is the package's main user, and
// reflection would double the module (RATIONALE.md has the measurement). Every
// message lists its members once, in a fields method. The struct tags name the
// same members for hosts that use a reflecting codec, and a differential fuzz
// test holds the two to the same bytes and the same refusals.
//
// encoding/json has the same names, byte strings in base64. It decodes every message,
// and encodes those that hold no secret. Of the others it writes the name of the type
// only, as logs do; who wants to store one says so, with a type of his own:
//
//	type stored wire.Envelope
//	text, err := json.Marshal(stored(envelope))
//
// The messages are described for other languages in wasm/agentassert.cddl.
package wire

// ABIVersion is the version of the messages in this package and of the
// functions that the module exports. It changes when a host written for the
// old one would break.
const ABIVersion = 2

// MaxMessage is the largest request or response, in bytes.
const MaxMessage = 1 << 20
