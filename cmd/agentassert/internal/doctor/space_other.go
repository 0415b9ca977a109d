//go:build !linux && !darwin

package doctor

// freeSpace would be what this user can still write on a folder's disk.
func freeSpace(string) (free uint64, known bool) { return 0, false }
