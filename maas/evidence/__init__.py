"""What can be claimed: metrics with intervals, parity, benchmarks, baselines and plots. Nothing here trains or exports."""
