package pgstore

// LockKey is the number of the advisory lock of a name.
func LockKey(name string) int64 { return advisoryKey("lock", name) }
