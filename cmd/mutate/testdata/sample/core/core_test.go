package core

import "testing"

func TestUntested(t *testing.T) {
	if untested(limit) != nil || untested(limit+1) == nil || untested(0) != nil || untested(-1) == nil || limit != 9 {
		t.Error("wrong")
	}
}
