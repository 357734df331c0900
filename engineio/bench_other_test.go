//go:build !unix

package engineio_test

// The benchmarks read the processor time of their process as Unix tells it.
const benchReader = "LARDER_BENCH_READER"

func readForBenchmark(string) {}
