//go:build race

package node_test

// floodSize is less here: under the race detector a row takes many times as long.
const floodSize = 2_000
