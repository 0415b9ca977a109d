package testvectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// A value of a message is a map[string]any, []any, string, []byte, int64 or bool,
// on both sides: JSON becomes such values, and they become CBOR.

// Encode returns the deterministic CBOR of a value in the JSON form of the
// vectors.
func Encode(value json.RawMessage) ([]byte, error) {
	v, err := parse(value)
	if err != nil {
		return nil, err
	}
	return encode(v)
}

// Decode returns the JSON form of a value in deterministic CBOR. A byte string
// that is text is written as text.
func Decode(data []byte) (json.RawMessage, error) {
	v, err := decode(data)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(toJSON(v)); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		IndefLength:     cbor.IndefLengthForbidden,
		TagsMd:          cbor.TagsForbidden,
		IntDec:          cbor.IntDecConvertSignedOrFail,
		DefaultMapType:  reflect.TypeFor[map[string]any](),
		MaxNestedLevels: 16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encode(v any) ([]byte, error) { return encMode.Marshal(v) }

// decode reads data, which must be what encode would write.
func decode(data []byte) (any, error) {
	var v any
	if err := decMode.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	again, err := encode(v)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, errors.New("the CBOR is not in its deterministic form")
	}
	return v, check(v)
}

// check refuses what CBOR has and no message does.
func check(v any) error {
	switch v := v.(type) {
	case string, []byte, int64, bool:
		return nil
	case []any:
		for _, element := range v {
			if err := check(element); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, member := range v {
			if err := check(member); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no message holds a %T", v)
}

// parse reads the JSON form of a value.
func parse(value json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the end")
	}
	return fromJSON(v)
}

func fromJSON(v any) (any, error) {
	switch v := v.(type) {
	case string, bool:
		return v, nil
	case json.Number:
		return strconv.ParseInt(v.String(), 10, 64)
	case []any:
		array := make([]any, len(v))
		for i, element := range v {
			var err error
			if array[i], err = fromJSON(element); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return array, nil
	case map[string]any:
		if len(v) == 1 {
			if text, ok := v["utf8"].(string); ok {
				return []byte(text), nil
			}
			if text, ok := v["hex"].(string); ok {
				return hex.DecodeString(text)
			}
		}
		object := make(map[string]any, len(v))
		for name, member := range v {
			var err error
			if object[name], err = fromJSON(member); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		return object, nil
	}
	return nil, fmt.Errorf("no message holds a %T", v)
}

func toJSON(v any) any {
	switch v := v.(type) {
	case []byte:
		if isText(v) {
			return map[string]any{"utf8": string(v)}
		}
		return map[string]any{"hex": hex.EncodeToString(v)}
	case []any:
		array := make([]any, len(v))
		for i, element := range v {
			array[i] = toJSON(element)
		}
		return array
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, member := range v {
			object[name] = toJSON(member)
		}
		return object
	}
	return v
}

// isText says whether bytes read better as text.
func isText(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool {
		return r < ' ' && !strings.ContainsRune("\t\n\r", r)
	})
}

// compare returns an error that names the first difference, in the order of the
// members' names.
func compare(path string, got, want any) error {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			break
		}
		names := maps.Clone(want)
		maps.Copy(names, got)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			w, wanted := want[name]
			g, present := got[name]
			switch at := join(path, name); {
			case !present:
				return fmt.Errorf("%s: got nothing; want %s", at, show(w))
			case !wanted:
				return fmt.Errorf("%s: got %s; want nothing", at, show(g))
			default:
				if err := compare(at, g, w); err != nil {
					return err
				}
			}
		}
		return nil
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			break
		}
		for i := range want {
			if err := compare(fmt.Sprintf("%s[%d]", path, i), got[i], want[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %s; want %s", path, show(got), show(want))
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// show writes a value for an error.
func show(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(toJSON(v)); err != nil {
		return fmt.Sprintf("a %T", v)
	}
	const limit = 600
	s := strings.TrimRight(b.String(), "\n")
	if len(s) > limit {
		return fmt.Sprintf("%s… (%d characters)", s[:limit], len(s))
	}
	return s
}
