package main

import (
	"fmt"
	"os"
	"strings"
)

// list is the changes that make no difference: the key of each, by its name.
type list map[string]string

// readList reads a list: for each change its key and, after " # ", the reason, without
// which it would only be a way to a better score.
func readList(name string) (list, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("the list of changes that make no difference: %w", err)
	}
	all := make(list)
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " # ")
		if at < 0 || strings.TrimSpace(line[at+3:]) == "" {
			return nil, fmt.Errorf("%s:%d: there is no reason; write it after \" # \"", name, i+1)
		}
		key := strings.TrimSpace(line[:at])
		_, change, ok := strings.Cut(key, ":")
		if !ok {
			return nil, fmt.Errorf("%s:%d: there is no file; begin with its name and a colon", name, i+1)
		}
		if _, ok := all[change]; ok {
			return nil, fmt.Errorf("%s:%d: %s is there twice", name, i+1, key)
		}
		all[change] = key
	}
	return all, nil
}
