package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cutFile lists functions that are cut although code leads to them, because what they are for cannot happen
// in a module that imports nothing and runs in one thread; and variables that nobody else reads. It lies
// beside the sources of the guest's main package; a guest need not have one.
//
// A function that is cut traps when it is entered. It never makes an answer wrong.
const cutFile = "cut.txt"

// cut is a line of the list.
type cut struct {
	name     string // of a function or a variable, as the linker has it
	prefix   bool   // all functions whose names begin like that
	variable bool
	line     int // in the list
}

func (c cut) errorf(format string, args ...any) error {
	return fmt.Errorf("%s, line %d: %s", cutFile, c.line, fmt.Sprintf(format, args...))
}

func (c cut) matches(function string) bool {
	return !c.variable && (function == c.name || c.prefix && strings.HasPrefix(function, c.name))
}

// parseCuts reads a list. A line is the name of a function, or the beginning of names and "*", or "var" and
// the name of a variable. What follows a "#" is a comment.
func parseCuts(list string) ([]cut, error) {
	var all []cut
	for n, fields := range listLines(list) {
		c := cut{line: n}
		switch {
		case len(fields) == 2 && fields[0] == "var":
			c.variable, c.name = true, fields[1]
		case len(fields) == 1:
			c.name, c.prefix = strings.CutSuffix(fields[0], "*")
		default:
			return nil, c.errorf("this is neither a function, nor \"var\" and a variable")
		}
		if c.name == "" {
			return nil, c.errorf("this is everything; write \"path/of/package.f\", \"path/of/package.(*T).m\" or \"path/of/package*\"")
		}
		if i := slices.IndexFunc(all, func(o cut) bool {
			return o.variable == c.variable && o.name == c.name && o.prefix == c.prefix || !c.variable && o.matches(c.name)
		}); i >= 0 {
			return nil, c.errorf("line %d says the same; remove one", all[i].line)
		}
		all = append(all, c)
	}
	return all, nil
}

// cuts is a list, and what the variables on it hold when the program starts.
type cuts struct {
	list      []cut
	variables map[string][]byte
}

// readCuts reads the list beside a guest that is built from these packages, its own last.
func readCuts(packages []listedPackage) (*cuts, error) {
	text, err := os.ReadFile(filepath.Join(packages[len(packages)-1].Dir, cutFile))
	if errors.Is(err, fs.ErrNotExist) {
		return new(cuts), nil
	} else if err != nil {
		return nil, err
	}
	list, err := parseCuts(string(text))
	if err != nil {
		return nil, err
	}
	c := &cuts{list: list, variables: make(map[string][]byte)}
	for _, line := range list {
		if !line.variable {
			continue
		}
		if c.variables[line.name], err = findVariable(packages, line); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// apply cuts the listed functions. Imports must have been replaced. A line that matches nothing is an error.
func (c *cuts) apply(m *module, f *functions) error {
	m.code = slices.Clone(m.code)
	matched := make([]bool, len(c.list))
	for i := range f.descriptions {
		name := f.name(i)
		for j, line := range c.list {
			if line.matches(name) {
				matched[j] = true
				m.code[m.stubs+i] = trap
			}
		}
	}
	for j, line := range c.list {
		if !line.variable && !matched[j] {
			return line.errorf("there is no function %s; remove the line, or find out what took its place", line.name)
		}
	}
	return nil
}
