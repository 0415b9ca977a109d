package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
)

// homeVariable names the folder of the reference client, if that is not .codex in the
// user's own.
const homeVariable = "CODEX_HOME"

// defaultAuthFile returns where the reference client keeps its sign-in, and what says so.
// Like that, it wants CODEX_HOME to be a folder.
func defaultAuthFile() (path, origin string, err error) {
	if home := os.Getenv(homeVariable); home != "" {
		info, err := os.Stat(home)
		if err == nil && !info.IsDir() {
			err = errors.New("it is no folder")
		}
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // without the path a second time
		}
		if err != nil {
			return "", "", fmt.Errorf("%s names %s, which cannot be used: %w; have it name the client's folder, or unset it", homeVariable, home, err)
		}
		return filepath.Join(home, "auth.json"), homeVariable, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", "", fmt.Errorf("where the sign-in is cannot be told, since the user has no home folder (%w); give --auth-file", err)
	}
	return filepath.Join(home, ".codex", "auth.json"), "default", nil
}

// chooseSignIn has --auth-file name the reference client's sign-in where none of the flags
// is given.
func chooseSignIn(flags *pflag.FlagSet, signIns []string) error {
	for _, name := range signIns {
		switch f := flags.Lookup(name); {
		case f.Changed && f.Value.String() == "":
			return fmt.Errorf("--%s is empty; leave it out, or say where the sign-in is", name)
		case f.Changed:
			return nil
		}
	}
	path, origin, err := defaultAuthFile()
	if err != nil {
		return err
	}
	return settings.Default(flags.Lookup("auth-file"), path, origin)
}

// takesSettings reports whether a command is one whose flags the environment and a file
// set: not one that helps to write command lines.
func takesSettings(cmd *cobra.Command) bool {
	for c := cmd; c != nil; c = c.Parent() {
		switch c.Name() {
		case "help", "completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
			return false
		}
	}
	return true
}
