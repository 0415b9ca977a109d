package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// readFile returns what a file says, by the flags' names, all of which are known.
func readFile(path string, known []string) (map[string]value, error) {
	data, err := read(path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("the configuration %s cannot be used: %w", path, err)
	}
	return parse(path, data, known)
}

func read(path string) ([]byte, error) {
	// Looked at before it is opened: to open a pipe is to wait for its writer, and what it
	// says could not be read again.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("every user of the machine can write to it, and so say where a sign-in is sent (its mode is %#o); with chmod o-w they cannot", info.Mode().Perm())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("it has more than 1 MiB")
	}
	return data, err
}

// parse reads one mapping of names to scalars, or to lists of them.
func parse(path string, data []byte, known []string) (map[string]value, error) {
	at := func(n *yaml.Node) string { return fmt.Sprintf("%s:%d", path, n.Line) }
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil // nothing but comments
	case err != nil:
		return nil, syntax(path, err)
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return nil, fmt.Errorf("%s: a second document begins; there is to be one", at(&more))
	case !errors.Is(err, io.EOF):
		return nil, syntax(path, err)
	}
	top := document.Content[0]
	if top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null" {
		return nil, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: there are to be lines like listen: 127.0.0.1:8081, with a flag's name before the colon", at(top))
	}
	values := make(map[string]value)
	for i := 0; i < len(top.Content); i += 2 {
		key, content := top.Content[i], top.Content[i+1]
		name := key.Value
		if key.Kind != yaml.ScalarNode || !slices.Contains(known, name) {
			return nil, unknownKey(at(key), name, known)
		}
		if before, twice := values[name]; twice {
			return nil, fmt.Errorf("%s: %s is there already, at %s", at(key), name, before.origin)
		}
		v, err := readValue(at(content), content)
		if err != nil {
			return nil, fmt.Errorf("%s: %s %w", at(content), name, err)
		}
		values[name] = v
	}
	return values, nil
}

func unknownKey(at, name string, known []string) error {
	near := Nearest(strings.TrimLeft(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "-"), known, 2)
	switch {
	case slices.Contains(notSettings, name):
		return fmt.Errorf("%s: --%s is for the command line alone", at, name)
	case len(near) > 0:
		return fmt.Errorf("%s: no flag is called %q; %s is meant, perhaps", at, name, near[0])
	}
	return fmt.Errorf("%s: no flag of any command is called %q; see agentassert COMMAND --help for those there are", at, name)
}

// readValue reads a scalar, or a list of scalars of one kind.
func readValue(at string, n *yaml.Node) (value, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		kind, err := kindOf(n)
		return value{texts: []string{n.Value}, kind: kind, origin: at}, err
	case yaml.SequenceNode:
		v := value{isList: true, kind: "!!str", origin: at}
		for _, element := range n.Content {
			if element.Kind != yaml.ScalarNode {
				return value{}, errors.New("has something else than a text in its list")
			}
			kind, err := kindOf(element)
			if err != nil {
				return value{}, err
			}
			if kind == "!!bool" {
				v.kind = kind // which no list takes
			}
			v.texts = append(v.texts, element.Value)
		}
		return v, nil
	case yaml.AliasNode:
		return value{}, errors.New("is an alias, for which there is no use here; write the value")
	}
	return value{}, errors.New("has keys below it, and no flag has")
}

// kindOf is !!bool, or !!str for whatever a flag reads by itself.
func kindOf(n *yaml.Node) (string, error) {
	switch tag := n.ShortTag(); tag {
	case "!!bool":
		return tag, nil
	case "!!str", "!!int", "!!float", "!!timestamp":
		return "!!str", nil
	case "!!null":
		return "", errors.New(`has no value; leave the line out, or write "" for an empty one`)
	default:
		return "", fmt.Errorf("has the tag %s, for which there is no use here", tag)
	}
}

// placed is how the parser says where something is wrong.
var placed = regexp.MustCompile(`^yaml: line ([0-9]+): (.*)$`)

// syntax is the error of what is no YAML. Nothing of the file is in it.
func syntax(path string, err error) error {
	if m := placed.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: this is no YAML: %s", path, m[1], m[2])
	}
	return fmt.Errorf("%s: this is no YAML: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
}
