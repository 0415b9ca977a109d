package settings

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// got is what the command has been told.
type got struct {
	listen, file, jwt string
	strict, off       bool
	hosts             []string
	wait              time.Duration
	count             int
	ran               bool
	printed           string
	changed           []string
}

// run runs a command of a tree with a command line.
func run(t *testing.T, args ...string) (got, *cobra.Command, error) {
	t.Helper()
	var g got
	root := &cobra.Command{Use: "tool", SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return Apply(cmd) }}
	Register(root)
	serve := &cobra.Command{Use: "serve", RunE: func(cmd *cobra.Command, _ []string) error {
		g.ran = true
		for _, name := range []string{"listen", "file", "jwt", "strict", "off", "host"} {
			if cmd.Flags().Changed(name) {
				g.changed = append(g.changed, name)
			}
		}
		var out bytes.Buffer
		err := Print(&out, cmd, func(name, value string) string {
			if name == "jwt" && value != "" {
				return "hidden"
			}
			return value
		})
		g.printed = out.String()
		return err
	}}
	f := serve.Flags()
	f.StringVar(&g.listen, "listen", "here", "")
	f.StringVar(&g.file, "file", "", "")
	f.StringVar(&g.jwt, "jwt", "", "")
	f.BoolVar(&g.strict, "strict", false, "")
	f.BoolVar(&g.off, "off", false, "")
	f.StringArrayVar(&g.hosts, "host", nil, "")
	f.DurationVar(&g.wait, "wait", time.Second, "")
	f.IntVar(&g.count, "count", 1, "")
	serve.MarkFlagsMutuallyExclusive("file", "jwt")
	serve.MarkFlagsMutuallyExclusive("strict", "off")
	other := &cobra.Command{Use: "other", RunE: func(*cobra.Command, []string) error { return nil }}
	other.Flags().Int("thread-limit", 0, "")
	root.AddCommand(serve, other)
	root.SetArgs(append([]string{"serve"}, args...))
	cmd, err := root.ExecuteC()
	return g, cmd, err
}

// config writes a file, and has the environment name it.
func config(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AGENTASSERT_CONFIG", path)
}

func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name        string
		args        []string
		environment string
		file        string
		want        string
	}{
		{"default", nil, "", "", "here"},
		{"file", nil, "", "listen: file", "file"},
		{"environment", nil, "environment", "listen: file", "environment"},
		{"command line", []string{"--listen", "line"}, "environment", "listen: file", "line"},
		{"command line, empty", []string{"--listen="}, "environment", "listen: file", ""},
		{"environment that says the default", nil, "here", "listen: file", "here"},
		{"number as a text", nil, "", "listen: 007", "007"},
		{"quoted", nil, "", `listen: "true"`, "true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config(t, tt.file)
			t.Setenv("AGENTASSERT_LISTEN", tt.environment)
			g, _, err := run(t, tt.args...)
			if err != nil || g.listen != tt.want {
				t.Errorf("%q, %v; want %q", g.listen, err, tt.want)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	for _, tt := range []struct {
		name, file  string
		environment map[string]string
	}{
		{"file", "strict: true\nhost: [a, b]\nwait: 3s\ncount: 4\n", nil},
		{"environment", "strict: false\n", map[string]string{"STRICT": "true", "HOST": "a, b,", "WAIT": "3s", "COUNT": "4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config(t, tt.file)
			for name, v := range tt.environment {
				t.Setenv("AGENTASSERT_"+name, v)
			}
			g, _, err := run(t)
			if err != nil || !g.strict || !slices.Equal(g.hosts, []string{"a", "b"}) || g.wait != 3*time.Second || g.count != 4 {
				t.Errorf("%+v, %v", g, err)
			}
		})
	}
	t.Run("one element", func(t *testing.T) {
		config(t, "host: a,b\n")
		if g, _, err := run(t); err != nil || !slices.Equal(g.hosts, []string{"a,b"}) {
			t.Errorf("%+v, %v", g, err)
		}
	})
}

// TestExclusive: of flags that exclude each other the stronger source's counts.
func TestExclusive(t *testing.T) {
	for _, tt := range []struct {
		name        string
		args        []string
		environment string // of jwt
		file        string
		want, err   string
	}{
		{"line and file", []string{"--file", "f"}, "", "jwt: j", "file", ""},
		{"line and environment", []string{"--file", "f"}, "j", "", "file", ""},
		{"environment and file", nil, "j", "file: f", "jwt", ""},
		{"one file", nil, "", "file: f\njwt: j", "", "c.yaml:1) exclude each other"},
		{"one file, reversed", nil, "", "jwt: j\nfile: f", "", "c.yaml:2) exclude each other"},
		{"a flag that is left as it is", nil, "", "strict: false\noff: true", "off", ""},
		{"both on", nil, "", "strict: true\noff: true", "", "exclude each other"},
		{"off over on", []string{"--off"}, "", "strict: true", "off", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config(t, tt.file)
			t.Setenv("AGENTASSERT_JWT", tt.environment)
			g, _, err := run(t, tt.args...)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || strings.Join(g.changed, " ") != tt.want {
				t.Errorf("%q, %v; want %q", g.changed, err, tt.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		variable   string
		want       []string
	}{
		{"unknown key", "# \nlistn: x", "", []string{"c.yaml:2: ", `"listn"`, "listen is meant"}},
		{"a key as a variable", "THREAD_LIMITS: 3", "", []string{"c.yaml:1: ", "thread-limit is meant"}},
		{"a key as on the command line", "--listen: x", "", []string{"c.yaml:1: ", "listen is meant"}},
		{"nothing near", "frobnicate: x", "", []string{"c.yaml:1: ", "no flag of any command"}},
		{"twice", "listen: a\nstrict: true\nlisten: b", "", []string{"c.yaml:3: listen is there already, at ", "c.yaml:1"}},
		{"of the line", "config: x", "", []string{"c.yaml:1: ", "command line alone"}},
		{"a list for one", "listen: [a]", "", []string{"c.yaml:1: listen takes one value"}},
		{"keys below", "listen:\n  port: 3", "", []string{"c.yaml:2: listen has keys below it"}},
		{"a truth for a text", "listen: true", "", []string{"c.yaml:1: listen is no yes or no"}},
		{"a text for a truth", "strict: yes", "", []string{"c.yaml:1: strict is true or false"}},
		{"a number for a truth", "strict: 1", "", []string{"c.yaml:1: strict is true or false"}},
		{"no value", "listen:", "", []string{"c.yaml:1: listen has no value"}},
		{"no duration", "listen: x\nwait: soon", "", []string{`c.yaml:2: wait cannot be "soon"`}},
		{"no number", "count: many", "", []string{`c.yaml:1: count cannot be "many"`}},
		{"an empty element", "host: [a, null]", "", []string{"c.yaml:1: host has no value"}},
		{"a list of lists", "host: [[a]]", "", []string{"c.yaml:1: host has something else"}},
		{"truths in a list", "host: [true]", "", []string{"c.yaml:1: host is no yes or no"}},
		{"an alias", "listen: &x a\nfile: *x", "", []string{"c.yaml:2: file is an alias"}},
		{"a tag", "listen: !!binary aGk=", "", []string{"c.yaml:1: listen has the tag !!binary"}},
		{"a merge", "<<: {listen: x}", "", []string{"c.yaml:1: "}},
		{"two documents", "listen: a\n---\nlisten: b", "", []string{"c.yaml:2: ", "second document"}},
		{"a list", "- listen", "", []string{"c.yaml:1: there are to be lines"}},
		{"no YAML", "listen: [", "", []string{"c.yaml:", "no YAML"}},
		{"a tab", "listen: a\n\tstrict: true", "", []string{"c.yaml:2: ", "no YAML"}},
		{"home", "file: ~/x", "", []string{"c.yaml:1: file begins with ~"}},
		{"a socket's home", "listen: unix:~/x", "", []string{"c.yaml:1: listen begins with ~"}},
		{"a variable's truth", "", "STRICT=yes", []string{`AGENTASSERT_STRICT: strict is true or false, not "yes"`}},
		{"a variable's number", "", "COUNT=many", []string{`AGENTASSERT_COUNT: count cannot be "many"`}},
		{"a mistyped variable", "", "STRCT=true", []string{"AGENTASSERT_STRCT is set", "AGENTASSERT_STRICT is meant"}},
		{"of another command", "", "THREADLIMIT=true", []string{"AGENTASSERT_THREAD_LIMIT is meant"}},
		{"half a variable", "", "THREAD=x", []string{"AGENTASSERT_THREAD_LIMIT is meant"}},
		{"more than a variable", "", "LISTEN_ADDRESS=x", []string{"AGENTASSERT_LISTEN is meant"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config(t, tt.file)
			if name, v, ok := strings.Cut(tt.variable, "="); ok {
				t.Setenv("AGENTASSERT_"+name, v)
			}
			g, _, err := run(t)
			if err == nil || g.ran {
				t.Fatalf("it ran: %+v, %v", g, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nhas not %q", err, want)
				}
			}
		})
	}
}

// TestOthersVariables: what begins alike and is somebody else's is left alone.
func TestOthersVariables(t *testing.T) {
	for _, name := range []string{"TEST_POSTGRES", "LIBRARY", "STORE_KEY", "PORT", "SERVICE_HOST", "SERVICE_PORT",
		"SERVICE_PORT_LISTEN", "PORT_8081_TCP", "PORT_8081_TCP_ADDR", "PROXY_SERVICE_HOST", "LISTEN_PORT_80_TCP_PROTO"} {
		t.Setenv("AGENTASSERT_"+name, "x")
	}
	t.Setenv("AGENTASSERT_STRCT", "") // as if it were not set
	if g, _, err := run(t); err != nil || !g.ran {
		t.Error(err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name, path, want string
	}{
		{"none", filepath.Join(dir, "none"), "no such file"},
		{"a folder", dir, "not a regular file"},
		{"everybody's", write("open", []byte("listen: file"), 0o666), "chmod o-w"},
		{"too large", write("large", bytes.Repeat([]byte("#"), maxFile+1), 0o600), "1 MiB"},
		{"empty", write("empty", nil, 0o600), ""},
		{"comments", write("comments", []byte("# listen: file\n---\n"), 0o600), ""},
		{"a group's", write("group", []byte("strict: true\n"), 0o664), ""},
	} {
		if runtime.GOOS == "windows" && (tt.name == "everybody's" || tt.name == "none") {
			continue // other modes, other words
		}
		g, _, err := run(t, "--config", tt.path)
		if tt.want == "" && (err != nil || !g.ran) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %+v, %v", tt.name, g, err)
		}
	}
}

// TestPrint: what is printed is a file that says the same.
func TestPrint(t *testing.T) {
	config(t, "host: ['a b', 'no']\nlisten: 'true'\n")
	t.Setenv("AGENTASSERT_JWT", "secret")
	g, _, err := run(t, "--strict")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"listen: \"true\" # ", "c.yaml:2\n", "jwt: hidden # AGENTASSERT_JWT\n", "strict: true # the command line\n", "wait: 1s # default\n"} {
		if !strings.Contains(g.printed, want) {
			t.Errorf("%s\nhas not %q", g.printed, want)
		}
	}
	if strings.Contains(g.printed, "secret") {
		t.Errorf("%s", g.printed)
	}
	t.Setenv("AGENTASSERT_JWT", "")
	config(t, g.printed)
	again, _, err := run(t)
	if err != nil || again.listen != "true" || !again.strict || !slices.Equal(again.hosts, []string{"a b", "no"}) {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestAgain: a command that is not run has the settings that one which runs would have now,
// each time.
func TestAgain(t *testing.T) {
	tree := func() (*cobra.Command, *cobra.Command) {
		root := &cobra.Command{Use: "tool", SilenceErrors: true, SilenceUsage: true,
			PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return Apply(cmd) }}
		Register(root)
		serve := &cobra.Command{Use: "serve", RunE: func(*cobra.Command, []string) error { return nil }}
		serve.Flags().String("listen", "here", "")
		serve.Flags().StringArray("host", nil, "")
		serve.Flags().StringArray("line", nil, "")
		serve.Flags().Bool("strict", false, "")
		serve.Flags().String("needed", "", "")
		if err := serve.MarkFlagRequired("needed"); err != nil {
			t.Fatal(err)
		}
		root.AddCommand(serve)
		return root, serve
	}
	root, running := tree()
	config(t, "listen: a\nneeded: x\n")
	root.SetArgs([]string{"serve", "--line", "p", "--line", "q,r"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	first := Values(running)
	_, spare := tree()
	for _, tt := range []struct {
		file    string
		changed string // or an error
	}{
		{"listen: a\nneeded: x\n", ""},
		{"listen: b\nhost: [x, y]\nneeded: x\nline: [z]\n", "host listen"},
		{"needed: y\nstrict: true\n", "listen needed strict"},
		{"listen: a\n", "required flag"},
		{"host: [x]\nneeded: x\n", "host listen"},
		{"listen: a\nneeded: x\n", ""},
	} {
		config(t, tt.file)
		err := Again(spare, running)
		got := strings.Join(Changes(first, Values(spare)), " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.changed && (err == nil || !strings.Contains(got, tt.changed)) {
			t.Errorf("%q: %q, want %q", tt.file, got, tt.changed)
		}
		if line := spare.Flags().Lookup("line").Value.String(); err == nil && line != first["line"] {
			t.Errorf("the command line's is %s, not %s", line, first["line"])
		}
	}
}

func TestSources(t *testing.T) {
	config(t, "file: x\n")
	t.Setenv("AGENTASSERT_LISTEN", "there")
	_, cmd, err := run(t, "--strict")
	if err != nil {
		t.Fatal(err)
	}
	got := Sources(cmd, "--listen there, or --file, or --listen, or --strict, --wait, --nothing, - and --")
	if !strings.HasPrefix(got, "--listen is from AGENTASSERT_LISTEN, --file is from ") || !strings.HasSuffix(got, "c.yaml:1") {
		t.Error(got)
	}
}

// FuzzParse: whatever a file has, it is read or refused, and what is read is known.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "listen: x\n", "host: [a, b]", "listen: &a [*a]", "? [a]\n: b", "<<: *x", "\xff\xfel\x00", "a: !!int 3", "--- |\n x\n...\n---", "listen: \"\\x"} {
		f.Add([]byte(text))
	}
	known := []string{"host", "listen", "strict"}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := parse("c.yaml", data, known)
		if err != nil && (values != nil || !strings.HasPrefix(err.Error(), "c.yaml:")) {
			t.Errorf("%v, %v", values, err)
		}
		for name, v := range values {
			if !slices.Contains(known, name) || v.origin == "" || len(v.texts) == 0 && !v.isList {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}
