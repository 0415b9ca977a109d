package messages_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/agentassert/agentassert/core/wire"
)

// messages returns one message of each type, empty and filled with something in
// every member.
func messages() map[string]wire.Message {
	m := map[string]wire.Message{}
	for _, zero := range []wire.Message{
		&wire.Request{}, &wire.Response{}, &wire.Error{}, &wire.Empty{}, &wire.KeyGenerateParams{},
		&wire.KeyParseParams{}, &wire.KeyPair{}, &wire.EncodedKey{}, &wire.KeyExportParams{}, &wire.ImportedPublicKey{}, &wire.AssertionBuildParams{}, &wire.Assertion{},
		&wire.AssertionInspectParams{}, &wire.Envelope{}, &wire.Inspection{}, &wire.AssertionVerifyParams{},
		&wire.RegistrationSignParams{}, &wire.RegistrationProof{}, &wire.RegistrationVerifyParams{},
		&wire.TaskIDSealParams{}, &wire.SealedTaskID{}, &wire.TaskIDOpenParams{}, &wire.TaskID{},
		&wire.BaseURLNormalizeParams{}, &wire.BaseURL{}, &wire.Config{}, &wire.ABOM{}, &wire.Pauses{}, &wire.Credentials{},
		&wire.DecideParams{}, &wire.Decision{}, &wire.CredentialsReadParams{}, &wire.AuthJSONGetParams{},
		&wire.Record{}, &wire.AuthJSONSetParams{}, &wire.AuthJSON{}, &wire.FlowStepParams{}, &wire.FlowStep{},
		&wire.Event{}, &wire.Header{}, &wire.Effect{}, &wire.Authorization{}, &wire.FlowState{}, &wire.SignedState{},
		&wire.IdentityJWTReadParams{}, &wire.JWTIdentity{}, &wire.SurfaceMatchParams{}, &wire.Surface{}, &wire.Rejection{},
		&wire.SurfaceLookupParams{}, &wire.SurfaceDetails{}, &wire.SurfaceLocateParams{}, &wire.SurfaceLocation{},
		&wire.FileStepParams{}, &wire.FileStep{}, &wire.FileEvent{}, &wire.FileStat{}, &wire.FileEffect{}, &wire.FileResult{},
		&wire.FileState{}, &wire.InstanceBuildParams{}, &wire.InstanceAssertion{}, &wire.InstanceClaims{}, &wire.InstanceConfig{},
		&wire.RegistrationRequestParams{}, &wire.HTTPRequest{}, &wire.RegistrationReadParams{}, &wire.RegistrationAnswer{},
		&wire.JWKSLocateParams{}, &wire.JWKSLocation{}, &wire.ThreadFileParams{}, &wire.ThreadFile{},
	} {
		name := reflect.TypeOf(zero).Elem().Name()
		if name != "Request" { // has a raw item, which cannot be empty
			m[name+"/empty"] = zero
		}
		full := reflect.New(reflect.TypeOf(zero).Elem())
		fill(full.Elem())
		m[name+"/full"] = full.Interface().(wire.Message)
	}
	return m
}

// fill puts something into every member.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString(`a "text" with <é> in it`)
	case reflect.Int64:
		v.SetInt(-62167219200)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[wire.Raw]() {
			v.SetBytes([]byte{0xa1, 0x61, 'k', 0x82, 0x01, 0x41, 0xff})
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 30, 30))
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.Uint8 {
				e.SetUint(uint64(i))
			} else {
				fill(e)
			}
		}
	default:
		panic("no filling for " + v.Type().String())
	}
}

// The peer: fxamacker's codec, as hosts use it.
var (
	encMode, _ = cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, NilContainers: cbor.NilContainerAsEmpty,
	}.EncMode()
	decMode, _ = cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, UTF8: cbor.UTF8RejectInvalid, MaxNestedLevels: 16,
	}.DecMode()
)

// peerDecode is what wire.Decode must agree with: data is the encoding of one
// message, and encoding the message again gives data.
func peerDecode(data []byte, m any) bool {
	if len(data) > wire.MaxMessage || decMode.Unmarshal(data, m) != nil {
		return false
	}
	again, err := encMode.Marshal(m)
	return err == nil && bytes.Equal(again, data) && canonicalRaw(m)
}

// canonicalRaw checks what the peer passes through unread.
func canonicalRaw(m any) bool {
	var raw wire.Raw
	switch m := m.(type) {
	case *wire.Request:
		raw = m.Params
	case *wire.Response:
		raw = m.OK
	}
	if raw == nil {
		return true
	}
	var v any
	if decMode.Unmarshal(raw, &v) != nil || !plain(v) {
		return false
	}
	again, err := encMode.Marshal(v)
	return err == nil && bytes.Equal(again, raw)
}

// plain reports whether v has only the types that messages have.
func plain(v any) bool {
	switch v := v.(type) {
	case map[any]any:
		for k, e := range v {
			if _, ok := k.(string); !ok || !plain(e) {
				return false
			}
		}
		return true
	case []any:
		for _, e := range v {
			if !plain(e) {
				return false
			}
		}
		return true
	case uint64:
		return v < 1<<63
	case int64, string, []byte, bool:
		return true
	}
	return false
}

func TestBothCodecsWriteTheSameBytes(t *testing.T) {
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			got := wire.Encode(m)
			want, err := encMode.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("wire %x\npeer %x", got, want)
			}
			back := reflect.New(reflect.TypeOf(m).Elem()).Interface().(wire.Message)
			data := bytes.Clone(got)
			if err := wire.Decode(data, back); err != nil {
				t.Fatal(err)
			}
			clear(data) // of which nothing may be kept
			if again := wire.Encode(back); !bytes.Equal(again, got) {
				t.Fatalf("decoded and encoded again: %x, want %x", again, got)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range []struct{ name, hex, want string }{
		{"nothing", "", "ends too early"},
		{"truncated", "a1677461736b5f", "ends too early"},
		{"not a map", "80", "want a map"},
		{"a number not in its shortest form", "b801677461736b5f69646161", "shortest"},
		{"a length not in its shortest form", "a1677461736b5f6964780161", "shortest"},
		{"an indefinite map", "bf677461736b5f69646161ff", "indefinite"},
		{"an indefinite string", "a1677461736b5f69647f6161ff", "indefinite"},
		{"bytes behind the end", "a1677461736b5f6964616100", "after the end"},
		{"a name twice", "a2677461736b5f69646161677461736b5f69646161", "not unique"},
		{"an unknown member", "a2617801677461736b5f69646161", `unknown member "x"`},
		{"a missing member", "a0", `member "task_id" is missing`},
		{"a byte string for a text", "a1677461736b5f69644161", "offset 9, member task_id: want a text string"},
		{"invalid UTF-8", "a1677461736b5f696461ff", "UTF-8"},
		{"a tag", "c0a1677461736b5f69646161", "want a map"},
		{"null", "f6", "want a map"},
		{"a length of 2^64-1", "a1677461736b5f69647bffffffffffffffff", "ends too early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			err = wire.Decode(data, &wire.TaskID{})
			if e := (*wire.DecodeError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// TestDecodeErrorsNameTheMember: also where it is a member of a member.
func TestDecodeErrorsNameTheMember(t *testing.T) {
	data := wire.Encode(&wire.DecideParams{Surface: "models"})
	nested := bytes.Replace(data, []byte("\x6dagent_version\x60"), []byte("\x6dagent_version\x01"), 1)
	err := wire.Decode(nested, new(wire.DecideParams))
	if err == nil || !strings.Contains(err.Error(), "member config.abom.agent_version: want a text string") {
		t.Errorf("got %v", err)
	}
}

func TestDecodeBounds(t *testing.T) {
	deep := append(append([]byte("\xa2\x66method\x61a\x66params"), bytes.Repeat([]byte{0x81}, 100)...), 1)
	if err := wire.Decode(deep, &wire.Request{}); err == nil || !strings.Contains(err.Error(), "deeply") {
		t.Errorf("100 nested arrays: %v", err)
	}
	if err := wire.Decode(make([]byte, wire.MaxMessage+1), &wire.Request{}); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a message over the limit: %v", err)
	}
	// An array that claims to be huge must not be made room for.
	huge := []byte("\xa2\x63url\x60\x6dtrusted_hosts\x9a\x7f\xff\xff\xff")
	if n := testing.AllocsPerRun(10, func() { _ = wire.Decode(huge, &wire.BaseURLNormalizeParams{}) }); n > 50 {
		t.Errorf("%v allocations for a lying array", n)
	}
}

// FuzzCodecs holds the two codecs to the same refusals and the same content.
func FuzzCodecs(f *testing.F) {
	names := []string{"Request/full", "Response/full", "Event/full", "Effect/full", "DecideParams/full", "FlowState/full", "TaskIDSealParams/full"}
	all := messages()
	for i, name := range names {
		f.Add(byte(i), wire.Encode(all[name]))
	}
	f.Add(byte(0), []byte("\xa2\x66method\x61a\x66params\xfb\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(byte(1), []byte("\xa1\x62ok\xf6"))
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		typ := reflect.TypeOf(all[names[int(which)%len(names)]]).Elem()
		ours, peers := reflect.New(typ), reflect.New(typ)
		err := wire.Decode(data, ours.Interface().(wire.Message))
		ok := peerDecode(data, peers.Interface())
		if (err == nil) != ok {
			t.Fatalf("%s %x: wire says %v, the peer %v", typ.Name(), data, err, ok)
		}
		if err != nil {
			return
		}
		if again := wire.Encode(ours.Interface().(wire.Message)); !bytes.Equal(again, data) {
			t.Fatalf("%s: %x became %x", typ.Name(), data, again)
		}
	})
}
