package doctor

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

const checkNameClient = "client"

// checkClient finds out the version of the reference client, if it is installed. It is not
// started for that: it may write files of its own. npm's package says which one it is.
func (e *examination) checkClient() {
	path, err := exec.LookPath("codex")
	if err != nil {
		e.ok(checkNameClient, "there is no codex on PATH")
		return
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		e.note(checkNameClient, "", "codex is on PATH, and cannot be reached: %v", reason(err))
		return
	}
	version := packageVersion(target)
	switch {
	case version == "":
		e.ok(checkNameClient, "%s is on PATH; which version it is, codex --version says", path)
	case refusesIdentity(version) && !e.Beside && e.Store == nil:
		e.problem(checkNameClient, "say --identity-beside, or use another version of the client", "codex %s, on PATH, accepts no auth.json with an identity in it, as versions from 0.132 to 0.140", version)
	default:
		e.ok(checkNameClient, "codex %s is on PATH", version)
	}
}

// packageVersion returns the version of the npm package that a program is in.
func packageVersion(program string) string {
	folder := filepath.Dir(program)
	for range 3 { // the package's folder, or one or two below it
		content, _, err := readRegular(filepath.Join(folder, "package.json"))
		var p struct{ Name, Version string }
		if err == nil && json.Unmarshal(content, &p) == nil && p.Name == "@openai/codex" {
			return shown(p.Version)
		}
		folder = filepath.Dir(folder)
	}
	return ""
}

var versionForm = regexp.MustCompile(`^0\.([0-9]{1,6})\.`)

// refusesIdentity reports whether a client of that version accepts no identity in
// auth.json.
func refusesIdentity(version string) bool {
	m := versionForm.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	minor, err := strconv.Atoi(m[1])
	return err == nil && 132 <= minor && minor <= 140
}
