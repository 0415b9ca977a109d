package core

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIDSize is the longest id, in bytes.
const maxIDSize = 4096

// checkAgentRuntimeID refuses what would make the signed string ambiguous: a
// colon would move the border between the id and what follows it.
func checkAgentRuntimeID(id string) error {
	if problem := idProblem(id); problem != "" {
		return fail(CodeInvalidAgentRuntimeID, "the agent runtime id "+problem)
	}
	if strings.Contains(id, ":") {
		return fail(CodeInvalidAgentRuntimeID, "the agent runtime id contains a colon, which would make the signed text ambiguous")
	}
	return nil
}

// checkTaskID allows colons: a timestamp of fixed length follows the task id,
// so that the split stays unique.
func checkTaskID(id string) error {
	if problem := idProblem(id); problem != "" {
		return fail(CodeInvalidTaskID, "the task id "+problem)
	}
	return nil
}

func idProblem(id string) string {
	switch {
	case id == "":
		return "is empty"
	case len(id) > maxIDSize:
		return "is longer than 4096 bytes"
	case !utf8.ValidString(id):
		return "is not valid UTF-8"
	case strings.ContainsFunc(id, unicode.IsControl):
		return "contains a control character"
	}
	return ""
}
