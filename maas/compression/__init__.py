"""A budget and passes: what comes out is measured, and refused unless it is smaller, fast and good enough."""
