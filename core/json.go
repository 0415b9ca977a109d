package core

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxNetworkJSON is the largest JSON text that is read from the network or
	// from an assertion, in bytes.
	maxNetworkJSON = 64 << 10
	// maxStoredJSON is the largest JSON text that is read from a store, in bytes.
	maxStoredJSON = 512 << 10
	// maxJSONDepth bounds the nesting of arrays and objects.
	maxJSONDepth = 64
)

type jsonKind byte

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

// jsonValue is a value and where it stands in its text. The positions let a
// document be edited without touching any other byte of it.
type jsonValue struct {
	kind       jsonKind
	start, end int
	// text is the content of a string.
	text string
	// truth is that of a boolean.
	truth bool
	// members are those of an object, in their order.
	members []jsonMember
}

type jsonMember struct {
	name  string
	start int // of the name's opening quote
	value jsonValue
}

// member returns an object's member, or nil.
func (v *jsonValue) member(name string) *jsonValue {
	for i := range v.members {
		if v.members[i].name == name {
			return &v.members[i].value
		}
	}
	return nil
}

// stringMember returns the text of an object's member, and whether it is there
// and a string.
func (v *jsonValue) stringMember(name string) (string, bool) {
	if m := v.member(name); m != nil && m.kind == jsonString {
		return m.text, true
	}
	return "", false
}

// isTrue reports whether an object's member is there and true.
func (v *jsonValue) isTrue(name string) bool {
	m := v.member(name)
	return m != nil && m.kind == jsonBool && m.truth
}

// parseJSON reads one JSON text (RFC 8259) of at most limit bytes. It is as
// strict as I-JSON (RFC 7493) where parsers differ: valid UTF-8, no lone
// surrogates, no name twice in an object, no byte order mark.
func parseJSON(data []byte, limit int) (*jsonValue, error) {
	if len(data) > limit {
		return nil, errors.New("larger than " + strconv.Itoa(limit) + " bytes")
	}
	p := jsonParser{data: data}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos != len(data) {
		return nil, p.fail("more text after the end of the value")
	}
	return &v, nil
}

type jsonParser struct {
	data []byte
	pos  int
}

func (p *jsonParser) fail(problem string) error {
	return errors.New(problem + " at offset " + strconv.Itoa(p.pos))
}

func (p *jsonParser) space() {
	for p.pos < len(p.data) && strings.IndexByte(" \t\r\n", p.data[p.pos]) >= 0 {
		p.pos++
	}
}

// peek returns the next byte, or 0 at the end: no JSON token starts with it.
func (p *jsonParser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *jsonParser) value(depth int) (v jsonValue, err error) {
	if depth > maxJSONDepth {
		return v, p.fail("nested too deeply")
	}
	v.start = p.pos
	switch c := p.peek(); {
	case c == '{':
		v.kind = jsonObject
		v.members, err = p.object(depth)
	case c == '[':
		v.kind = jsonArray
		err = p.array(depth, nil)
	case c == '"':
		v.kind = jsonString
		v.text, err = p.string()
	case c == '-' || ('0' <= c && c <= '9'):
		v.kind = jsonNumber
		err = p.number()
	case c == 'n':
		err = p.word("null")
	case c == 't':
		v.kind, v.truth = jsonBool, true
		err = p.word("true")
	case c == 'f':
		v.kind = jsonBool
		err = p.word("false")
	case p.pos >= len(p.data):
		err = p.fail("the text ends too early")
	default:
		err = p.fail("no JSON value")
	}
	v.end = p.pos
	return v, err
}

func (p *jsonParser) word(w string) error {
	if !strings.HasPrefix(string(p.data[p.pos:min(p.pos+len(w), len(p.data))]), w) {
		return p.fail("no JSON value")
	}
	p.pos += len(w)
	return nil
}

func (p *jsonParser) number() error {
	digits := func() bool {
		start := p.pos
		for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
			p.pos++
		}
		return p.pos > start
	}
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if !digits() {
		return p.fail("no JSON number")
	}
	if p.peek() == '.' {
		p.pos++
		if !digits() {
			return p.fail("no JSON number")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !digits() {
			return p.fail("no JSON number")
		}
	}
	return nil
}

// elements are those of an array in data, the text that it was read from. They are
// read again each time, and not kept: half a megabyte of text can hold a quarter of
// a million.
func (v *jsonValue) elements(data []byte) iter.Seq[jsonValue] {
	return func(yield func(jsonValue) bool) {
		p := jsonParser{data: data, pos: v.start}
		_ = p.array(0, yield) // it was valid when it was read
	}
}

// array reads an array, and calls each, if there is one, for each element, until
// that returns false.
func (p *jsonParser) array(depth int, each func(jsonValue) bool) error {
	p.pos++
	p.space()
	if p.peek() == ']' {
		p.pos++
		return nil
	}
	for {
		p.space()
		element, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if each != nil && !each(element) {
			return nil
		}
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
		case ']':
			p.pos++
			return nil
		default:
			return p.fail("want , or ]")
		}
	}
}

func (p *jsonParser) object(depth int) (members []jsonMember, err error) {
	p.pos++
	p.space()
	if p.peek() == '}' {
		p.pos++
		return nil, nil
	}
	for {
		p.space()
		m := jsonMember{start: p.pos}
		if p.peek() != '"' {
			return nil, p.fail("want a name")
		}
		if m.name, err = p.string(); err != nil {
			return nil, err
		}
		p.space()
		if p.peek() != ':' {
			return nil, p.fail("want :")
		}
		p.pos++
		p.space()
		if m.value, err = p.value(depth + 1); err != nil {
			return nil, err
		}
		members = append(members, m)
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			return members, p.unique(members)
		default:
			return nil, p.fail("want , or }")
		}
	}
}

// unique refuses a name that an object has twice.
func (p *jsonParser) unique(members []jsonMember) error {
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		if seen[m.name] {
			return p.fail("a name that stands twice in one object, which ends")
		}
		seen[m.name] = true
	}
	return nil
}

func (p *jsonParser) string() (string, error) {
	p.pos++
	var b []byte // what comes before start, if there is an escape sequence in it
	start := p.pos
	for {
		if p.pos >= len(p.data) {
			return "", p.fail("the text ends too early")
		}
		switch c := p.data[p.pos]; {
		case c == '"':
			text := p.data[start:p.pos]
			if b != nil {
				text = append(b, text...)
			}
			if !utf8.Valid(text) {
				return "", p.fail("a string that is not valid UTF-8, which ends")
			}
			p.pos++
			return string(text), nil
		case c < 0x20:
			return "", p.fail("a control character in a string")
		case c == '\\':
			b = append(b, p.data[start:p.pos]...)
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			start = p.pos
		default:
			p.pos++
		}
	}
}

// escape reads an escape sequence, or two that form a surrogate pair.
func (p *jsonParser) escape() (rune, error) {
	if p.pos+1 >= len(p.data) {
		return 0, p.fail("the text ends too early")
	}
	if c := p.data[p.pos+1]; c != 'u' {
		const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
		i := strings.IndexByte(from, c)
		if i < 0 {
			return 0, p.fail("an escape sequence that JSON does not have")
		}
		p.pos += 2
		return rune(to[i]), nil
	}
	r, err := p.hex4()
	if err != nil {
		return 0, err
	}
	switch {
	case 0xdc00 <= r && r < 0xe000:
		return 0, p.fail("a lone surrogate, which ends")
	case 0xd800 <= r && r < 0xdc00:
		if p.pos+1 >= len(p.data) || p.data[p.pos] != '\\' || p.data[p.pos+1] != 'u' {
			return 0, p.fail("a lone surrogate, which ends")
		}
		low, err := p.hex4()
		if err != nil {
			return 0, err
		}
		if low < 0xdc00 || 0xe000 <= low {
			return 0, p.fail("a lone surrogate, which ends")
		}
		return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, nil
	}
	return r, nil
}

// hex4 reads \u and four digits.
func (p *jsonParser) hex4() (rune, error) {
	if len(p.data)-p.pos < 6 {
		return 0, p.fail("the text ends too early")
	}
	var r rune
	for _, c := range p.data[p.pos+2 : p.pos+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, p.fail("an escape sequence that JSON does not have")
		}
		r = r<<4 | rune(c)
	}
	p.pos += 6
	return r, nil
}

// appendJSONString appends s, quoted. Only quotes, backslashes and the control
// characters below U+0020 are escaped: the envelope's form (captures), and also
// what every JSON library can read.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\r':
			b = append(b, `\r`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '"')
}

// jsonText is a value that is JSON already.
type jsonText string

// appendJSONStrings appends an array of strings, compact.
func appendJSONStrings(b []byte, texts []string) []byte {
	b = append(b, '[')
	for i, s := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, s)
	}
	return append(b, ']')
}

// appendJSONObject appends a compact object with the given names and values,
// in their order. A value is a string or a jsonText.
func appendJSONObject(b []byte, namesAndValues ...any) []byte {
	for i := 0; i < len(namesAndValues); i += 2 {
		if i == 0 {
			b = append(b, '{')
		} else {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, namesAndValues[i].(string)), ':')
		switch v := namesAndValues[i+1].(type) {
		case string:
			b = appendJSONString(b, v)
		case jsonText:
			b = append(b, v...)
		}
	}
	return append(b, '}')
}

// setJSONMember returns document with the member of that name set to the JSON
// text value, or removed where value is empty. Every other byte stays as it is.
// The root must be the object that parseJSON read from document. A new member
// goes to the end, in the style of the last one before it.
func setJSONMember(document []byte, root *jsonValue, name string, value []byte) []byte {
	splice := func(from, to int, text []byte) []byte {
		return slices.Concat(document[:from], text, document[to:])
	}
	count := len(root.members)
	at := slices.IndexFunc(root.members, func(m jsonMember) bool { return m.name == name })
	switch {
	case at < 0 && len(value) == 0:
		return slices.Clone(document)
	case at < 0 && count == 0:
		member := appendJSONObject(nil, name, jsonText(value))
		return splice(root.start, root.end, member)
	case at < 0:
		last := root.members[count-1]
		before := spaceBefore(document, last.start)
		text := append([]byte{','}, before...)
		text = append(appendJSONString(text, name), ':')
		text = append(text, spaceBefore(document, last.value.start)...)
		text = append(text, indentLike(value, before)...)
		return splice(last.value.end, last.value.end, text)
	case len(value) > 0:
		member := root.members[at]
		return splice(member.value.start, member.value.end, indentLike(value, spaceBefore(document, member.start)))
	// What is left is a member to remove, and one of the commas beside it.
	case count == 1:
		return splice(root.start+1, root.end-1, nil)
	case at == 0:
		return splice(root.members[0].start, root.members[1].start, nil)
	default:
		return splice(root.members[at-1].value.end, root.members[at].value.end, nil)
	}
}

// spaceBefore returns the white space that ends at pos.
func spaceBefore(document []byte, pos int) []byte {
	start := pos
	for start > 0 && strings.IndexByte(" \t\r\n", document[start-1]) >= 0 {
		start--
	}
	return document[start:pos]
}

// indentLike breaks value, a compact JSON text, into lines if the white space
// before its member does. One level is indented by what the member is indented
// by, which is right for the members of a document's root. A value that has
// lines already stays as it is.
func indentLike(value, before []byte) []byte {
	nl := bytes.LastIndexByte(before, '\n')
	if nl < 0 || bytes.IndexByte(value, '\n') >= 0 {
		return value
	}
	unit := before[nl+1:]
	var b []byte
	line := func(depth int) {
		b = append(b, '\n')
		for range depth {
			b = append(b, unit...)
		}
	}
	depth := 1
	inString, escaped := false, false
	for i, c := range value {
		if inString {
			b = append(b, c)
			inString = escaped || c != '"'
			escaped = c == '\\' && !escaped
			continue
		}
		switch c {
		case '"':
			inString = true
			b = append(b, c)
		case '{', '[':
			b = append(b, c)
			// c+2 is the closing bracket, of both kinds.
			if value[i+1] != c+2 {
				depth++
				line(depth)
			}
		case '}', ']':
			if value[i-1] != c-2 {
				depth--
				line(depth)
			}
			b = append(b, c)
		case ',':
			b = append(b, c)
			line(depth)
		case ':':
			b = append(b, ": "...)
		case ' ', '\t', '\r':
		default:
			b = append(b, c)
		}
	}
	return b
}
