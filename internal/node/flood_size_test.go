//go:build !race

package node_test

// floodSize is how many donations end in one second: the end of a pick-up window
// in a large city.
const floodSize = 10_000
