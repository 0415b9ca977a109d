package settings

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const prefix = "AGENTASSERT_"

// Variable is the name of a flag's variable.
func Variable(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// orchestrated are the variables that Kubernetes sets in every container beside a service
// whose name begins with agentassert.
var orchestrated = regexp.MustCompile(`^AGENTASSERT(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// shortName is the length below which a name is too common to be taken for another one
// that was mistyped.
const shortName = 4

// checkEnvironment looks for variables that somebody has mistyped: what they say would go
// unheard. Others that begin alike can be anybody's.
func checkEnvironment(environment, flags []string) error {
	variables := make(map[string]bool)
	for _, name := range flags {
		variables[Variable(name)] = true
	}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || value == "" || len(rest) < shortName || name == Variable(ConfigFlag) || variables[name] || slices.Contains(others, name) || orchestrated.MatchString(name) {
			continue
		}
		if near := meant(rest, flags); near != "" {
			return fmt.Errorf("the variable %s is set, and is no flag's; if %s is meant, call it that, or else unset it", name, Variable(near))
		}
	}
	return nil
}

// meant returns the flag whose variable somebody may have meant, or nothing.
func meant(rest string, flags []string) string {
	typed := strings.ReplaceAll(strings.ToLower(rest), "_", "-")
	for _, name := range flags {
		if len(name) >= shortName && strings.HasPrefix(typed, name+"-") {
			return name
		}
	}
	for _, name := range Nearest(typed, flags, len(typed)/4) {
		if len(name) >= shortName {
			return name
		}
	}
	return ""
}

// others are variables of this project that are no flags'.
var others = []string{"AGENTASSERT_STORE_KEY"}
