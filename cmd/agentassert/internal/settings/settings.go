// Package settings gives the flags of a command their values from the environment and
// from a file in YAML, where the command line does not.
//
// The order is: command line, environment, file, default. Flags that exclude each other
// (cobra's MarkFlagsMutuallyExclusive) are one matter: where a stronger source gives one
// of them, what weaker sources say of the others does not count.
//
// A value that is the flag's default does not make the flag Changed when it comes from the
// environment or a file, so that both can spell out what they leave as it is.
package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ConfigFlag is the name of the flag that names the file.
const ConfigFlag = "config"

// Help is what a person has to know, for a help text.
const Help = `Whatever a flag says can be said in the environment and in a file, too. The command
line counts first, then the environment, then the file, then the default.

The variable of a flag is AGENTASSERT_ and its name, in capitals and with _ for -:
AGENTASSERT_AUTH_FILE is --auth-file. Empty, it is as if it were not set. true and
false turn flags on and off; flags that can be given again take a list with commas.
A name that is close to a variable's and is none is an error.

--config, or AGENTASSERT_CONFIG, names the file, in YAML, which nobody but its owner
and group may write. Without it there is none. Its keys are the names of flags, for all
commands, and each command takes its own: a key that no command has is an error. Flags
that can be given again take a list. upstream and base-url stand in for each other.

    listen: 127.0.0.1:8081
    trust-host: [backend.example]
    strict: true

Paths are as on the command line, relative to the working folder; ~ means nothing.
Where a stronger source gives one of several flags that exclude each other, what a
weaker one says of the others does not count.`

// notSettings are flags that are given on the command line, or not at all.
var notSettings = []string{"help", "version", ConfigFlag, "print-config"}

// Register adds the flag that names the file, for all commands.
func Register(root *cobra.Command) {
	root.PersistentFlags().String(ConfigFlag, "", "a YAML file with values of flags, by their names; the environment (AGENTASSERT_ and the name in capitals) comes before it")
	if err := root.MarkPersistentFlagFilename(ConfigFlag, "yaml", "yml"); err != nil {
		panic(err) // the flag is there
	}
}

// Apply sets the flags of a command, which the command line has set already, from the
// environment and the file. It belongs before cobra's checks of required flags: into
// PersistentPreRunE.
//
// An error is of what the person has written, and says where. It is not safe for
// concurrent use with the same command.
func Apply(cmd *cobra.Command) error {
	flags := cmd.Flags()
	flags.Visit(func(f *pflag.Flag) { setOrigin(f, commandLine) })
	known := names(cmd.Root())
	if err := checkEnvironment(os.Environ(), known); err != nil {
		return err
	}
	environment := func(name string) (value, bool) {
		text := os.Getenv(Variable(name))
		return value{texts: []string{text}, origin: Variable(name)}, text != ""
	}
	if err := apply(flags, environment); err != nil {
		return err
	}
	path := flags.Lookup(ConfigFlag)
	if path == nil {
		return nil
	}
	if v, ok := environment(path.Name); ok && !path.Changed {
		if err := set(path, v); err != nil {
			return err
		}
	}
	if path.Value.String() == "" {
		return nil
	}
	values, err := readFile(path.Value.String(), known)
	if err != nil {
		return err
	}
	return apply(flags, func(name string) (value, bool) {
		v, ok := values[name]
		return v, ok
	})
}

// Again sets the flags of a command that is not run, as those of one that runs would be set
// now: by its command line, and by the environment and the file as they are. It makes
// cobra's checks of flags, too. Both commands are the same, and have a root of their own.
// It can be called again with the same ones, since cobra never forgets a command.
func Again(spare, running *cobra.Command) error {
	if err := spare.ParseFlags(nil); err != nil { // which adds those of the root
		return err
	}
	var err error
	spare.Flags().VisitAll(func(f *pflag.Flag) {
		if err == nil {
			err = reset(f)
		}
	})
	running.Flags().VisitAll(func(f *pflag.Flag) {
		if err == nil && Origin(f) == commandLine {
			err = copyValue(spare.Flags(), f)
		}
	})
	if err != nil {
		return err
	}
	if err := Apply(spare); err != nil {
		return err
	}
	if spare.PreRunE != nil {
		if err := spare.PreRunE(spare, nil); err != nil {
			return err
		}
	}
	if err := spare.ValidateRequiredFlags(); err != nil {
		return err
	}
	return spare.ValidateFlagGroups()
}

// reset gives a flag its default.
func reset(f *pflag.Flag) error {
	delete(f.Annotations, originAnnotation)
	f.Changed = false
	list, isList := f.Value.(pflag.SliceValue)
	switch {
	case f.Value.String() == f.DefValue:
		return nil
	case isList:
		return list.Replace(nil) // no list has another default
	}
	return f.Value.Set(f.DefValue)
}

func copyValue(to *pflag.FlagSet, f *pflag.Flag) error {
	list, isList := f.Value.(pflag.SliceValue)
	if !isList {
		return to.Set(f.Name, f.Value.String())
	}
	for _, text := range list.GetSlice() {
		if err := to.Set(f.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// Values returns the values of a command's flags, as text.
func Values(cmd *cobra.Command) map[string]string {
	values := make(map[string]string)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(notSettings, f.Name) {
			values[f.Name] = f.Value.String()
		}
	})
	return values
}

// Changes returns the names of those that differ, in their order.
func Changes(before, after map[string]string) (names []string) {
	for name, v := range after {
		if before[name] != v {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// apply sets the flags that no stronger source has decided from one source.
func apply(flags *pflag.FlagSet, source func(name string) (value, bool)) (err error) {
	decided := map[string]bool{} // by a stronger source, itself or another one in its place
	flags.VisitAll(func(f *pflag.Flag) {
		if Origin(f) == "" {
			return
		}
		decided[f.Name] = true
		for _, other := range excluded(f) {
			decided[other] = decided[other] || f.Changed
		}
	})
	flags.VisitAll(func(f *pflag.Flag) {
		if err != nil || decided[f.Name] || slices.Contains(notSettings, f.Name) {
			return
		}
		v, ok := source(f.Name)
		for _, other := range f.Annotations[elsewhereAnnotation] {
			if !ok {
				v, ok = source(other)
			}
		}
		if !ok {
			return
		}
		if err = set(f, v); err != nil {
			return
		}
		f.Changed = f.Value.String() != f.DefValue
		for _, name := range excluded(f) {
			if other := flags.Lookup(name); err == nil && f.Changed && other != nil && other.Changed {
				err = fmt.Errorf("%s (from %s) and %s (from %s) exclude each other; leave one out", f.Name, Origin(f), name, Origin(other))
			}
		}
	})
	return err
}

// value is what a source says of a flag.
type value struct {
	texts  []string
	isList bool
	// kind is YAML's short tag of every text; without one, a text is whatever it can be.
	kind   string
	origin string
}

// set gives a flag a value, and remembers from where.
func set(f *pflag.Flag, v value) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s "+format, append([]any{v.origin, f.Name}, args...)...)
	}
	isBool := f.Value.Type() == "bool"
	switch v.kind {
	case "": // the environment's
		if isBool && v.texts[0] != "true" && v.texts[0] != "false" {
			return fail("is true or false, not %q", v.texts[0])
		}
	case "!!bool":
		if !isBool {
			return fail("is no yes or no, but a text; put it between quotes if that is what it is")
		}
	default:
		if isBool {
			return fail("is true or false, without quotes")
		}
	}
	texts := v.texts
	list, takesList := f.Value.(pflag.SliceValue)
	switch {
	case takesList && v.kind == "":
		texts = split(texts[0])
	case !takesList && v.isList:
		return fail("takes one value, not a list")
	}
	for _, text := range texts {
		if strings.HasPrefix(strings.TrimPrefix(text, "unix:"), "~/") {
			return fail("begins with ~, which only a shell replaces; write the whole path")
		}
	}
	var err error
	if takesList {
		err = list.Replace(texts)
	} else {
		err = f.Value.Set(texts[0])
	}
	if err != nil {
		return fail("cannot be %q: %w", texts[0], err)
	}
	f.Changed = true
	setOrigin(f, v.origin)
	return nil
}

// split returns the elements of a list with commas.
func split(text string) (elements []string) {
	for element := range strings.SplitSeq(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			elements = append(elements, element)
		}
	}
	return elements
}

// Elsewhere says what a flag is called in other commands. A source that does not have the
// one has the other.
func Elsewhere(f *pflag.Flag, name string) { annotate(f, elsewhereAnnotation, name) }

// The annotations of flags: where the value comes from, what it is called in other commands,
// and cobra's of those that exclude each other, groups of names with spaces between.
const (
	originAnnotation    = "agentassert_origin"
	elsewhereAnnotation = "agentassert_elsewhere"
	exclusiveAnnotation = "cobra_annotation_mutually_exclusive"
)

// commandLine is the origin of what is given there.
const commandLine = "the command line"

func setOrigin(f *pflag.Flag, origin string) { annotate(f, originAnnotation, origin) }

func annotate(f *pflag.Flag, annotation, text string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[annotation] = []string{text}
}

// Origin says where a flag's value comes from: "the command line", a variable's name, or a
// file and line. It is empty for a default.
func Origin(f *pflag.Flag) string {
	if origin := f.Annotations[originAnnotation]; len(origin) > 0 {
		return origin[0]
	}
	return ""
}

// Default gives a flag that no source has decided a value that is found out now, and where
// from. The flag is not Changed by it.
func Default(f *pflag.Flag, text, origin string) error {
	if err := f.Value.Set(text); err != nil {
		return err
	}
	setOrigin(f, origin)
	return nil
}

// excluded returns the names of the flags that cannot be given beside another.
func excluded(f *pflag.Flag) (others []string) {
	for _, group := range f.Annotations[exclusiveAnnotation] {
		for name := range strings.FieldsSeq(group) {
			if name != f.Name {
				others = append(others, name)
			}
		}
	}
	return others
}

// names returns the names of the flags that can be set, of all commands.
func names(root *cobra.Command) []string {
	var all []string
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				if !slices.Contains(notSettings, f.Name) {
					all = append(all, f.Name)
				}
			})
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(root)
	slices.Sort(all)
	return slices.Compact(all)
}

// Sources says of the flags that a message names, --like-this, where their values come
// from, unless that is the command line.
func Sources(cmd *cobra.Command, message string) string {
	var said []string
	for _, word := range strings.FieldsFunc(message, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) {
		name, ok := strings.CutPrefix(word, "--")
		f := cmd.Flags().Lookup(name)
		if !ok || f == nil {
			continue
		}
		line := fmt.Sprintf("--%s is from %s", name, Origin(f))
		if origin := Origin(f); origin != "" && origin != commandLine && !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	return strings.Join(said, ", ")
}
