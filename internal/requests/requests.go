// Package requests makes as many requests of the ABI of package wire as a long test wants: those that the
// test vectors make of an engine, and what comes of them when something in them is changed.
package requests

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/testvectors"
)

// Recorded returns the requests of all test vectors, the steps of their flows among them, in their order.
// Each is answered by the core itself on the way, for a step goes on from the answer to the one before; an
// answer that is not the vector's is an error.
func Recorded() ([][]byte, error) {
	files, err := testvectors.Load()
	if err != nil {
		return nil, err
	}
	var recorded [][]byte
	guest := core.NewGuest()
	for _, f := range files {
		for _, v := range f.Vectors {
			err := v.Check(func(request []byte) ([]byte, error) {
				recorded = append(recorded, bytes.Clone(request))
				return guest.Call(request), nil
			})
			if err != nil {
				return nil, fmt.Errorf("recording requests: %w", err)
			}
		}
	}
	return recorded, nil
}

// Source is an endless sequence of requests, which depends on nothing but what it was made from. It must
// not be used by two goroutines at once.
type Source struct {
	recorded [][]byte
	texts    []string // that are in them somewhere
	random   *rand.Rand
	next     int
}

// NewSource returns a source that gives the recorded requests in their order, over and over; from the second
// time on, three of any of them with something changed follow on each. There must be at least one.
func NewSource(recorded [][]byte, seed uint64) *Source {
	s := &Source{recorded: recorded, random: rand.New(rand.NewPCG(seed, seed))}
	seen := make(map[string]bool)
	for _, r := range recorded {
		var v any
		if decMode.Unmarshal(r, &v) != nil {
			continue // one that shall not be read
		}
		walk(v, func(leaf any) any {
			if text, ok := leaf.(string); ok && !seen[text] {
				seen[text] = true
				s.texts = append(s.texts, text)
			}
			return leaf
		})
	}
	return s
}

// changesPerRequest is how many changed requests follow on a recorded one.
const changesPerRequest = 3

// Next returns the next request. It belongs to the caller.
func (s *Source) Next() []byte {
	n := s.next
	s.next++
	if n < len(s.recorded) {
		return bytes.Clone(s.recorded[n])
	}
	n -= len(s.recorded)
	if n%(1+changesPerRequest) == 0 {
		return bytes.Clone(s.recorded[n/(1+changesPerRequest)%len(s.recorded)])
	}
	request := s.recorded[s.random.IntN(len(s.recorded))]
	if changed := s.change(request); len(changed) > 0 && len(changed) <= wire.MaxMessage {
		return changed
	}
	return bytes.Clone(request) // no host sends an empty request, or one that is larger than a message can be
}

// change returns a request with something changed: mostly a parameter or two, so that it can still be read;
// now and then its method, or a few bytes of its encoding.
func (s *Source) change(request []byte) []byte {
	var v map[string]any
	if s.random.IntN(8) == 0 || decMode.Unmarshal(request, &v) != nil {
		return s.changeBytes(request)
	}
	if s.random.IntN(32) == 0 {
		v["method"] = s.changeLeaf(v["method"])
	}
	params := v["params"]
	leaves := 0
	walk(params, func(leaf any) any { leaves++; return leaf })
	if leaves == 0 {
		return s.changeBytes(request)
	}
	for range 1 + s.random.IntN(2) {
		chosen := s.random.IntN(leaves)
		at := 0
		params = walk(params, func(leaf any) any {
			at++
			if at-1 != chosen {
				return leaf
			}
			return s.changeLeaf(leaf)
		})
	}
	v["params"] = params
	changed, err := encMode.Marshal(v)
	if err != nil {
		return s.changeBytes(request)
	}
	return changed
}

func (s *Source) changeLeaf(leaf any) any {
	switch v := leaf.(type) {
	case bool:
		return !v
	case int64:
		return v + []int64{1, -1, 60, -3600, 1 << 31, -v}[s.random.IntN(6)]
	case string:
		if s.random.IntN(3) == 0 {
			return s.texts[s.random.IntN(len(s.texts))]
		}
		return string(bytes.ToValidUTF8(s.changeBytes([]byte(v)), []byte("\ufffd")))
	case []byte:
		return s.changeBytes(v)
	}
	return leaf
}

// marks are what texts of the protocol are made of.
var marks = []string{"", "\"", "\\", "{", "}", "[", "]", ",", ":", ".", "/", "%", "=", "_", " ", "\n", "\x00", "0", "9", "-", "A", "é", "\U0001f600", "\\u0000", "null"}

// changeBytes returns a copy of b in which a few bytes are replaced, removed, repeated or new.
func (s *Source) changeBytes(b []byte) []byte {
	b = bytes.Clone(b)
	at := s.random.IntN(len(b) + 1)
	end := min(len(b), at+1+s.random.IntN(4))
	switch s.random.IntN(5) {
	case 0:
		if at < len(b) {
			b[at] ^= 1 << s.random.IntN(8)
		}
		return b
	case 1:
		return slices.Delete(b, at, end)
	case 2:
		return slices.Insert(b, at, b[at:end]...)
	case 3:
		return b[:at]
	}
	return slices.Insert(b, at, []byte(marks[s.random.IntN(len(marks))])...)
}

// walk calls a function for each value of v that has no parts, in an order that depends on v alone, and
// returns v with what the function returned in their places.
func walk(v any, leaf func(any) any) any {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			v[name] = walk(v[name], leaf)
		}
		return v
	case []any:
		for i := range v {
			v[i] = walk(v[i], leaf)
		}
		return v
	}
	return leaf(v)
}

// The codec of package wire, for messages of any kind.
var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:      cbor.DupMapKeyEnforcedAPF,
		IntDec:         cbor.IntDecConvertSignedOrFail,
		DefaultMapType: reflect.TypeFor[map[string]any](),
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
