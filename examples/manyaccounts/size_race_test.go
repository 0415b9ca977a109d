//go:build race

package manyaccounts

// accounts is how many there are: fewer, for all that they do takes longer.
const accounts = 200
