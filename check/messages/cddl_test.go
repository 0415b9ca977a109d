package messages_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

const cddlFile = "../../wasm/agentassert.cddl"

// otherRules are the rules that do not have the name of their struct, noRule the
// structs that have none: a flow's state is opaque to hosts.
var (
	otherRules = map[string]string{
		"Request": "any-request", "Event": "$event", "Effect": "$effect",
		"FileEvent": "$file-event", "FileEffect": "$file-effect",
	}
	noRule = []string{"FlowState", "SignedState", "FileState"}
)

// The members of every struct, and which of them are optional, are those of the
// rule of its name.
func TestCDDLMessages(t *testing.T) {
	rules := readCDDL(t)
	described := map[string]bool{}
	for _, m := range structs(t) {
		rule := kebab(m.Name())
		if other, ok := otherRules[m.Name()]; ok {
			rule = other
		}
		if slices.Contains(noRule, m.Name()) {
			if _, ok := rules[rule]; ok {
				t.Errorf("%s is opaque, but has the rule %s", m.Name(), rule)
			}
			continue
		}
		described[rule] = true
		choices, ok := rules[rule]
		if !ok {
			t.Errorf("there is no rule %s for %s", rule, m.Name())
			continue
		}
		want, err := rules.union(choices)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		for _, problem := range compareMembers(rules, goMembers(m), want) {
			t.Errorf("%s and %s: %s", m.Name(), rule, problem)
		}
	}
	// And every rule that is a map is a struct's.
	for name, choices := range rules {
		if strings.HasPrefix(name, "$request") || described[name] {
			continue
		}
		for _, c := range choices {
			if c.kind == cddlMap {
				t.Errorf("the rule %s has no struct", name)
			}
		}
	}
	for name, choices := range rules {
		for _, c := range choices {
			for _, used := range c.names() {
				if _, ok := rules[used]; !ok && !slices.Contains(prelude, used) {
					t.Errorf("the rule %s uses %s, which there is not", name, used)
				}
			}
		}
	}
}

// The test above has to notice what is missing on either side.
func TestCDDLComparison(t *testing.T) {
	rules := cddl{}
	if err := rules.read(`m = { a: tstr, ? b: [+ n], c: bstr .size 32 } n = { x: int } ; a comment }`); err != nil {
		t.Fatal(err)
	}
	want, err := rules.union(rules["m"])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		message any
		problem string
	}{
		{struct {
			A string   `cbor:"a"`
			B []string `cbor:"b,omitempty"`
			C []byte   `cbor:"c"`
		}{}, "b: the kinds are "},
		{struct {
			A string        `cbor:"a"`
			B []wire.Header `cbor:"b,omitempty"`
			C []byte        `cbor:"c"`
		}{}, ""},
		{struct {
			A string        `cbor:"a"`
			B []wire.Header `cbor:"b,omitempty"`
		}{}, "c: only the rule has it"},
		{struct {
			A string        `cbor:"a"`
			B []wire.Header `cbor:"b,omitempty"`
			C []byte        `cbor:"c"`
			D bool          `cbor:"d,omitempty"`
		}{}, "d: only the struct has it"},
		{struct {
			A string        `cbor:"a"`
			B []wire.Header `cbor:"b"`
			C []byte        `cbor:"c"`
		}{}, "b: it is optional in one of the two"},
		{struct {
			A string        `cbor:"a,omitempty"`
			B []wire.Header `cbor:"b,omitempty"`
			C []byte        `cbor:"c"`
		}{}, "a: it is optional in one of the two"},
		{struct {
			A int64         `cbor:"a"`
			B []wire.Header `cbor:"b,omitempty"`
			C []byte        `cbor:"c"`
		}{}, "a: the kinds are "},
	} {
		got := compareMembers(rules, goMembers(reflect.TypeOf(c.message)), want)
		if c.problem == "" && len(got) > 0 || c.problem != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.problem)) {
			t.Errorf("%T: %q; want %q", c.message, got, c.problem)
		}
	}
	for _, damaged := range []string{"m = {", "m = { a tstr }", "m = }", "m", "= {}", `m = "a`, "m = { a: tstr b: tstr }", "m = { a: tstr, a: tstr }", "m = {} m = {}"} {
		if err := (cddl{}).read(damaged); err == nil {
			t.Errorf("%q is read without an error", damaged)
		}
	}
}

// The methods, their parameters and their results are those that messages.go
// lists.
func TestCDDLMethods(t *testing.T) {
	rules := readCDDL(t)
	results := map[string]bool{}
	for _, c := range rules["$result"] {
		results[c.name] = true
	}
	described := map[string]string{}
	for _, c := range rules["$request"] {
		described[c.members["method"].of[0].text] = c.members["params"].of[0].name
	}
	used := map[string]bool{}
	for _, c := range constants(t, "messages.go", "Method") {
		params, result, ok := strings.Cut(c.comment, ", ")
		if !ok {
			t.Fatalf("%s: the comment does not name parameters and result", c.name)
		}
		if described[c.value] != kebab(params) {
			t.Errorf("the parameters of %s are %s, not %q", c.value, kebab(params), described[c.value])
		}
		delete(described, c.value)
		if used[kebab(result)] = true; !results[kebab(result)] {
			t.Errorf("%s is not among the results", kebab(result))
		}
	}
	for method := range described {
		t.Errorf("there is no method %s", method)
	}
	for result := range results {
		if !used[result] {
			t.Errorf("no method has the result %s", result)
		}
	}
}

// Where a member is one of several texts, they are the constants of its kind.
func TestCDDLTexts(t *testing.T) {
	rules := readCDDL(t)
	texts := func(choices []cddlType) (texts []string) {
		for _, c := range choices {
			if c.kind == cddlText {
				texts = append(texts, c.text)
			}
		}
		return texts
	}
	types := func(rule string) (found []string) {
		for _, c := range rules[rule] {
			found = append(found, texts(c.members["type"].of)...)
		}
		return found
	}
	member := func(rule, name string) (found []string) {
		for _, c := range rules[rule] {
			found = append(found, texts(c.members[name].of)...)
		}
		return found
	}
	constantTexts := func(file, prefix string) (found []string) {
		for _, c := range constants(t, file, prefix) {
			if c.value != "" {
				found = append(found, c.value)
			}
		}
		return found
	}
	surfaces := []string{core.SurfaceBackground}
	for _, s := range core.Surfaces() {
		surfaces = append(surfaces, s.Name)
	}
	for _, c := range []struct {
		what      string
		got, want []string
	}{
		{"credentials.kind", member("credentials", "kind"), constantTexts("messages.go", "Credentials")},
		{"config.profile", member("config", "profile"), constantTexts("messages.go", "Profile")},
		{"key-generate-params.profile", member("key-generate-params", "profile"), constantTexts("messages.go", "Profile")},
		{"registration-request-params.step", member("registration-request-params", "step"), constantTexts("messages.go", "Step")},
		{"registration-read-params.step", member("registration-read-params", "step"), constantTexts("messages.go", "Step")},
		{"instance-config.header_mode", member("instance-config", "header_mode"), constantTexts("messages.go", "HeaderMode")},
		{"inspection.form", member("inspection", "form"), constantTexts("messages.go", "Form")},
		{"decide-params.agent", member("decide-params", "agent"), constantTexts("messages.go", "Agent")},
		{"the events' types", types("$event"), constantTexts("messages.go", "Event")},
		{"the events' failures", member("$event", "failure"), constantTexts("messages.go", "Failure")},
		{"the effects' types", types("$effect"), constantTexts("messages.go", "Effect")},
		{"slot", append(texts(rules["slot"]), wire.SlotThread), constantTexts("messages.go", "Slot")},
		{"surface-name", texts(rules["surface-name"]), surfaces},
		{"the file events' types", types("$file-event"), constantTexts("files.go", "FileEvent")},
		{"the file events' operations", member("$file-event", "operation"), constantTexts("files.go", "FileOperation")},
		{"the file events' failures", member("$file-event", "failure"), constantTexts("files.go", "FileFailure")},
		{"the file effects' types", types("$file-effect"), constantTexts("files.go", "FileEffect")},
		{"file-name", append(texts(rules["file-name"]), wire.FileNameRecord, wire.FileNameThread), constantTexts("files.go", "FileName")},
		{"scope", texts(rules["scope"]), constantTexts("../surface.go", "Scope")},
		{"mode", texts(rules["mode"]), constantTexts("../decide.go", "Mode")},
		{"reason", texts(rules["reason"]), constantTexts("../decide.go", "Reason")},
	} {
		slices.Sort(c.got)
		slices.Sort(c.want)
		if len(c.want) == 0 || !slices.Equal(c.got, c.want) {
			t.Errorf("%s: the texts are %q, the constants %q", c.what, c.got, c.want)
		}
	}
}

// structs returns the messages, which have to be all that the package declares.
func structs(t *testing.T) []reflect.Type {
	t.Helper()
	found := map[string]reflect.Type{}
	for _, m := range messages() {
		found[reflect.TypeOf(m).Elem().Name()] = reflect.TypeOf(m).Elem()
	}
	declared := map[string]bool{}
	for _, d := range append(parseGo(t, "messages.go").Decls, parseGo(t, "files.go").Decls...) {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			if s, ok := s.(*ast.TypeSpec); ok {
				declared[s.Name.Name] = true
				if found[s.Name.Name] == nil {
					t.Errorf("%s is not among the messages that the tests know", s.Name.Name)
				}
			}
		}
	}
	for name := range found {
		if !declared[name] {
			t.Errorf("nothing declares %s", name)
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b reflect.Type) int { return strings.Compare(a.Name(), b.Name()) })
}

// parseGo reads a file of package wire, or one beside its folder.
func parseGo(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "core", "wire", file), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

type constant struct{ name, value, comment string }

// constants returns a file's texts whose names begin with a prefix.
func constants(t *testing.T, file, prefix string) (found []constant) {
	t.Helper()
	for _, d := range parseGo(t, file).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			s := s.(*ast.ValueSpec)
			if len(s.Names) != 1 || len(s.Values) != 1 || !strings.HasPrefix(s.Names[0].Name, prefix) {
				continue
			}
			literal, ok := s.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, constant{s.Names[0].Name, value, strings.TrimSpace(s.Comment.Text())})
		}
	}
	return found
}

var (
	wordEnd    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	acronymEnd = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// kebab turns BaseURLNormalizeParams into base-url-normalize-params.
func kebab(name string) string {
	name = wordEnd.ReplaceAllString(name, "$1-$2")
	return strings.ToLower(acronymEnd.ReplaceAllString(name, "$1-$2"))
}

// member is one of a message: kinds are what it can be made of.
type member struct {
	optional bool
	kinds    []string
	of       []cddlType
}

func goMembers(m reflect.Type) map[string]member {
	members := map[string]member{}
	for i := range m.NumField() {
		name, options, _ := strings.Cut(m.Field(i).Tag.Get("cbor"), ",")
		members[name] = member{optional: options == "omitempty" || options == "omitzero", kinds: []string{goKind(m.Field(i).Type)}}
	}
	return members
}

func goKind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[wire.Raw](), t.Kind() == reflect.Struct:
		return "map"
	case t.Kind() == reflect.Pointer:
		return goKind(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "bytes"
	case t.Kind() == reflect.Slice:
		return "array of " + goKind(t.Elem())
	}
	return t.Kind().String()
}

// compareMembers returns what differs between a struct and a rule.
func compareMembers(rules cddl, got, want map[string]member) (problems []string) {
	names := maps.Clone(got)
	maps.Copy(names, want)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		g, inStruct := got[name]
		w, inRule := want[name]
		kinds := rules.kinds(w.of)
		switch {
		case !inStruct:
			problems = append(problems, name+": only the rule has it")
		case !inRule:
			problems = append(problems, name+": only the struct has it")
		case g.optional != w.optional:
			problems = append(problems, name+": it is optional in one of the two")
		case !slices.Equal(g.kinds, kinds):
			problems = append(problems, fmt.Sprintf("%s: the kinds are %q and %q", name, g.kinds, kinds))
		}
	}
	return problems
}

// What follows reads as much of CDDL (RFC 8610) as the file uses.

// cddl holds the choices of each rule.
type cddl map[string][]cddlType

const (
	cddlName = iota
	cddlText
	cddlMap
	cddlArray
)

type cddlType struct {
	kind    int
	name    string            // of cddlName
	text    string            // of cddlText
	members map[string]member // of cddlMap
	of      []cddlType        // of cddlArray, and what a wildcard in a cddlMap holds
}

// prelude are the types of RFC 8610, appendix D, that the file uses.
var prelude = []string{"tstr", "bstr", "int", "uint", "bool", "any"}

func readCDDL(t *testing.T) cddl {
	t.Helper()
	text, err := os.ReadFile(cddlFile)
	if err != nil {
		t.Fatal(err)
	}
	rules := cddl{}
	if err := rules.read(string(text)); err != nil {
		t.Fatalf("%s: %v", cddlFile, err)
	}
	return rules
}

// names returns the rules that a type uses.
func (c cddlType) names() (names []string) {
	if c.kind == cddlName {
		names = append(names, c.name)
	}
	inside := slices.Clone(c.of)
	for _, m := range c.members {
		inside = append(inside, m.of...)
	}
	for _, inner := range inside {
		names = append(names, inner.names()...)
	}
	return names
}

// union returns the members of all choices. One that a choice lacks is optional.
func (rules cddl) union(choices []cddlType) (map[string]member, error) {
	members := map[string]member{}
	count := map[string]int{}
	for _, c := range choices {
		if c.kind != cddlMap {
			return nil, fmt.Errorf("a choice is no map")
		}
		for name, m := range c.members {
			known := members[name]
			members[name] = member{optional: known.optional || m.optional, of: append(known.of, m.of...)}
			count[name]++
		}
	}
	for name, m := range members {
		m.optional = m.optional || count[name] < len(choices)
		members[name] = m
	}
	return members, nil
}

// kinds returns what types come to, in the words of goKind.
func (rules cddl) kinds(types []cddlType) []string {
	found := map[string]bool{}
	for _, c := range types {
		switch {
		case c.kind == cddlText, c.name == "tstr":
			found["string"] = true
		case c.kind == cddlMap:
			found["map"] = true
		case c.kind == cddlArray:
			for _, k := range rules.kinds(c.of) {
				found["array of "+k] = true
			}
		case c.name == "bstr":
			found["bytes"] = true
		case c.name == "int", c.name == "uint":
			found["int64"] = true
		case c.name == "bool":
			found["bool"] = true
		case c.name == "$result", c.name == "any":
			found["map"] = true
		default:
			for _, k := range rules.kinds(rules[c.name]) {
				found[k] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

var cddlToken = regexp.MustCompile(`^(?:"[^"]*"|/=|=>|[$]?[A-Za-z][\w-]*|\.[a-z]+|\d+|[=/{}\[\],:?*+])`)

type cddlParser struct{ tokens []string }

func (rules cddl) read(text string) error {
	var p cddlParser
	for _, line := range strings.Split(text, "\n") {
		for line = strings.TrimSpace(line); line != "" && line[0] != ';'; line = strings.TrimSpace(line) {
			token := cddlToken.FindString(line)
			if token == "" {
				return fmt.Errorf("no token at %q", line)
			}
			p.tokens = append(p.tokens, token)
			line = line[len(token):]
		}
	}
	for p.peek() != "" {
		name, assign := p.next(), p.next()
		if !isName(name) || assign != "=" && assign != "/=" {
			return fmt.Errorf("no rule at %q %q", name, assign)
		}
		if _, ok := rules[name]; ok && assign == "=" {
			return fmt.Errorf("two rules %s", name)
		}
		choices, err := p.choices()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rules[name] = append(rules[name], choices...)
	}
	return nil
}

func isName(token string) bool {
	return token != "" && (token[0] == '$' || 'a' <= token[0]|0x20 && token[0]|0x20 <= 'z')
}

func (p *cddlParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *cddlParser) next() string {
	token := p.peek()
	p.tokens = p.tokens[min(1, len(p.tokens)):]
	return token
}

func (p *cddlParser) choices() (choices []cddlType, err error) {
	for {
		c, err := p.choice()
		if err != nil {
			return nil, err
		}
		choices = append(choices, c)
		if strings.HasPrefix(p.peek(), ".") {
			// A control, such as .size 32, and its argument.
			p.next()
			if _, err := p.choice(); err != nil {
				return nil, err
			}
		}
		if p.peek() != "/" {
			return choices, nil
		}
		p.next()
	}
}

func (p *cddlParser) choice() (c cddlType, err error) {
	switch token := p.next(); {
	case token == "{":
		return p.group()
	case token == "[":
		c.kind = cddlArray
		if p.peek() == "+" || p.peek() == "*" {
			p.next()
		}
		if c.of, err = p.choices(); err != nil {
			return c, err
		}
		if end := p.next(); end != "]" {
			return c, fmt.Errorf("want ], not %q", end)
		}
		return c, nil
	case strings.HasPrefix(token, `"`):
		return cddlType{kind: cddlText, text: strings.Trim(token, `"`)}, nil
	case isName(token), token != "" && '0' <= token[0] && token[0] <= '9':
		return cddlType{kind: cddlName, name: token}, nil
	default:
		return c, fmt.Errorf("no type at %q", token)
	}
}

// group reads the members of a map, whose brace is open.
func (p *cddlParser) group() (c cddlType, err error) {
	c = cddlType{kind: cddlMap, members: map[string]member{}}
	for p.peek() != "}" {
		var m member
		wildcard := false
		switch p.peek() {
		case "?":
			m.optional = true
			p.next()
		case "*":
			wildcard = true
			p.next()
		}
		name, colon := p.next(), p.next()
		if !isName(name) || colon != map[bool]string{false: ":", true: "=>"}[wildcard] {
			return c, fmt.Errorf("no member at %q %q", name, colon)
		}
		if m.of, err = p.choices(); err != nil {
			return c, err
		}
		if _, ok := c.members[name]; ok {
			return c, fmt.Errorf("two members %s", name)
		}
		if wildcard {
			c.of = append(c.of, m.of...)
		} else {
			c.members[name] = m
		}
		switch end := p.peek(); end {
		case ",":
			p.next()
		case "}":
		default:
			return c, fmt.Errorf("want , or }, not %q", end)
		}
	}
	p.next()
	return c, nil
}
