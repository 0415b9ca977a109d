package settings

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Print writes the settings of a command in YAML, as a file could have them, and for each
// where it comes from. What nobody has given, and that has no default, is left out. Hide replaces
// what is not to be seen.
func Print(w io.Writer, cmd *cobra.Command, hide func(name, value string) string) error {
	top := &yaml.Node{Kind: yaml.MappingNode}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		origin := Origin(f)
		if slices.Contains(notSettings, f.Name) || origin == "" && isEmpty(f) {
			return
		}
		if origin == "" {
			origin = "default"
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: f.Name}
		content := &yaml.Node{LineComment: origin}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			content.Kind, content.Style = yaml.SequenceNode, yaml.FlowStyle
			for _, text := range list.GetSlice() {
				content.Content = append(content.Content, scalar(hide(f.Name, text), "!!str"))
			}
		} else {
			tag := "!!str"
			if f.Value.Type() == "bool" {
				tag = "!!bool"
			}
			comment := content.LineComment
			content = scalar(hide(f.Name, f.Value.String()), tag)
			content.LineComment = comment
		}
		top.Content = append(top.Content, key, content)
	})
	data, err := yaml.Marshal(top)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		return fmt.Errorf("the settings cannot be printed: %w", err)
	}
	return nil
}

// isEmpty reports whether there is nothing in a flag. To write an empty text down could mean
// something else than to leave it out.
func isEmpty(f *pflag.Flag) bool {
	list, isList := f.Value.(pflag.SliceValue)
	return f.Value.String() == "" || isList && len(list.GetSlice()) == 0
}

func scalar(text, tag string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
	if tag == "!!str" && text == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
