//go:build !linux

package doctor

// hasAccessList would report whether a file has an access control list; those of other
// systems are not looked at.
func hasAccessList(string) bool { return false }
