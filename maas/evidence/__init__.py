"""What can be claimed: metrics with intervals, parity, benchmarks, baselines and plots. It does not train."""
