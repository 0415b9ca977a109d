//go:build !unix

package doctor

import "io/fs"

// modesCount says that modes and owners decide who gets at a file. Here a file has what
// its folder passes on, in the user's profile for the user alone.
const modesCount = false

func ownerOf(fs.FileInfo) owner { return owner{} }

// linksOf is how many names a file has, which is not looked at here.
func linksOf(fs.FileInfo) int { return 1 }

// cannotWrite would say why this user cannot write something: only trying tells here.
func cannotWrite(string) string { return "" }
