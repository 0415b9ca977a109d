package turns

import (
	"context"
	"sync"
	"testing"
)

func TestOneAtATime(t *testing.T) {
	var turns Turns
	var wg sync.WaitGroup
	count := map[string]int{} // the race detector sees whether two are in it at once
	var mu sync.Mutex
	for i := range 400 {
		name := []string{"a", "b"}[i%2]
		wg.Go(func() {
			end, err := turns.Take(context.Background(), name)
			if err != nil {
				t.Error(err)
				return
			}
			defer end()
			mu.Lock()
			count[name]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if count["a"] != 200 || count["b"] != 200 || len(turns.names) != 0 {
		t.Errorf("got %v, with %d names left", count, len(turns.names))
	}
}

func TestNamesDoNotWaitForEachOther(t *testing.T) {
	var turns Turns
	endA, err := turns.Take(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	endB, err := turns.Take(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := turns.Take(canceled, "a"); err != context.Canceled {
		t.Errorf("a turn that is taken, for nobody who waits: %v", err)
	}
	endA()
	endA() // once is enough, twice no harm
	endB()
	if len(turns.names) != 0 {
		t.Errorf("%d names are left", len(turns.names))
	}
}
