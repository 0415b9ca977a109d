package testvectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// A value of a message is a map[string]any, []any, string, []byte, int64 or bool,
// on both sides: JSON becomes such values, and they become CBOR.

// Valid says what is wrong with a value in the JSON form of the vectors, if
// anything is. It is stricter than package json: a member that stands there twice
// and half of a surrogate pair are refused.
func Valid(value json.RawMessage) error {
	_, err := parse(value)
	return err
}

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

// parse reads the JSON form of a value. It refuses what parsers read differently,
// because two values that are equal only to one of them could pass for the same.
func parse(value json.RawMessage) (any, error) {
	if !utf8.Valid(value) {
		return nil, errors.New("the JSON is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	v, err := parseNext(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the end")
	}
	if hasLoneSurrogate(value) {
		return nil, errors.New("half of a surrogate pair in a string")
	}
	return v, nil
}

// maxDepth is that of the CBOR, and one level for byte strings.
const maxDepth = 17

func parseNext(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case string, bool:
		return token, nil
	case json.Number:
		return strconv.ParseInt(token.String(), 10, 64)
	case json.Delim:
		if depth == maxDepth {
			return nil, errors.New("nested too deeply")
		}
		if token == '[' {
			return parseArray(d, depth+1)
		}
		return parseObject(d, depth+1)
	}
	return nil, errors.New("no message holds null")
}

func parseArray(d *json.Decoder, depth int) (any, error) {
	array := []any{}
	for d.More() {
		element, err := parseNext(d, depth)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", len(array), err)
		}
		array = append(array, element)
	}
	_, err := d.Token() // ]
	return array, err
}

func parseObject(d *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // or there was a syntax error
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the member %q stands there twice", name)
		}
		if object[name], err = parseNext(d, depth); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil { // }
		return nil, err
	}
	if len(object) == 1 {
		if text, ok := object["utf8"].(string); ok {
			return []byte(text), nil
		}
		if text, ok := object["hex"].(string); ok {
			return hex.DecodeString(text)
		}
	}
	return object, nil
}

var escapes = regexp.MustCompile(`\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|.)`)

// hasLoneSurrogate looks into a JSON text for half of a surrogate pair, which Go
// would read as U+FFFD.
func hasLoneSurrogate(text []byte) bool {
	for _, e := range escapes.FindAll(text, -1) {
		if len(e) == len(`\ud800`) {
			r, err := strconv.ParseUint(string(e[2:]), 16, 16)
			if err != nil || utf16.IsSurrogate(rune(r)) {
				return true
			}
		}
	}
	return false
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
