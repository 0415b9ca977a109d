//go:build !race

package manyaccounts

// accounts is how many there are.
const accounts = 1000
