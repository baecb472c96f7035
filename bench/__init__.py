"""The figures of docs/benchmarks.md: each of ours against a peer or a limit, measured in the same run."""
